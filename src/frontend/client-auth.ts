import { constants } from 'node:crypto';
import type { TlsOptions } from 'node:tls';
import { digestOf } from '../base/digest.ts';
import type { ErrorCode } from '../base/errors.ts';
import type { LinkedServerTlsPolicy } from '../config/linked.ts';
import type { ClientCertificateFacts, ClientLeaf } from '../http/client-certificate.ts';
import { type Certificate, parseCertificate } from '../pki/certificate.ts';
import { DerError } from '../pki/der.ts';
import type { Revocation } from '../pki/revocation.ts';
import { type TrustStore, trustStore } from '../pki/trust-store.ts';
import type { Verdict } from '../pki/verdict.ts';
import { VerdictCache } from '../pki/verdict-cache.ts';

/** What the engines and handshakes of one proxy need to authenticate clients; from a serverTlsPolicy, built by the snapshot. */
export interface ClientAuthentication {
  readonly policyName: string;
  /** Whose connections end when their certificate does not verify; the others' facts say so to backends. */
  readonly rejectsInvalid: boolean;
  /** The verdict on a chain as a client sent it; empty: it sent none. */
  judge(chain: readonly Uint8Array[], atMs: number): JudgedClient;
  /** Options of an engine that does not authenticate, made into those of one that does. */
  engineOptions(options: TlsOptions): TlsOptions;
}

export interface JudgedClient {
  readonly facts: ClientCertificateFacts;
  /** Wall time at which the verdict ends: the earliest notAfter of the path; Infinity where nothing was verified. */
  readonly validUntilMs: number;
}

/** Our verifier decides (spec 10.18); OpenSSL only asks, and proves that the client has the leaf's key. */
export function clientAuthentication(policy: LinkedServerTlsPolicy): ClientAuthentication {
  const { trustConfig } = policy;
  const store = trustConfig === null ? null : trustStore({ ...trustConfig, publicRoots: false });
  const verdicts = new VerdictCache();
  const revocation = trustConfig?.revocation ?? null;
  return {
    policyName: policy.name,
    rejectsInvalid: policy.clientValidationMode === 'REJECT_INVALID',
    judge: (chain, atMs) => judge(chain, { store, revocation, verdicts }, atMs),
    engineOptions: (options) => askingOptions(options, policy, store),
  };
}

/**
 * The client_cert_* word for a handshake that OpenSSL ended because of the client's certificate, before our verifier saw it;
 * null: for another reason. Only for engines that ask.
 */
export function clientCertificateError(opensslCode: string): ErrorCode | null {
  return OPENSSL_ERRORS.get(opensslCode) ?? (UNREADABLE.test(opensslCode) ? 'client_cert_validation_failed' : null);
}

/** Whom a policy trusts; `store` null: nobody is verified. */
interface ClientTrust {
  readonly store: TrustStore | null;
  readonly revocation: Revocation | null;
  readonly verdicts: VerdictCache;
}

function judge(chain: readonly Uint8Array[], trust: ClientTrust, atMs: number): JudgedClient {
  if (chain.length === 0) return unverified(NOTHING_SENT, 'client_cert_not_provided', 'the client sent no certificate');
  const leaf = clientLeaf(chain[0]!);
  const sent = { present: true, chain, leaf };
  const { store, revocation, verdicts } = trust;
  if (store === null) return unverified(sent, 'client_cert_validation_not_performed', NO_TRUST_CONFIG);
  const verdict: Verdict = verdicts.verify({ chain, store, purpose: 'client', names: NO_NAMES, atMs, revocation });
  if (!verdict.ok)
    return unverified(sent, verdict.statusDetails, `${verdict.rule} at depth ${verdict.depth}: ${verdict.reason}`);
  return { facts: { ...sent, verified: true, error: null, reason: '' }, validUntilMs: verdict.notAfterMs };
}

function unverified(
  sent: Pick<ClientCertificateFacts, 'present' | 'chain' | 'leaf'>,
  error: ErrorCode,
  reason: string,
): JudgedClient {
  return { facts: { ...sent, verified: false, error, reason }, validUntilMs: Number.POSITIVE_INFINITY };
}

/** null: it cannot be parsed, so nothing that it says is passed on. */
function clientLeaf(der: Uint8Array): ClientLeaf | null {
  let certificate: Certificate;
  try {
    certificate = parseCertificate(der);
  } catch (thrown) {
    if (!(thrown instanceof DerError)) throw thrown;
    return null;
  }
  const names = certificate.subjectAltName ?? [];
  const { serial, sha256, subject, issuer, notBeforeMs, notAfterMs } = certificate;
  return {
    sha256,
    serialHex: serial.toString('hex').replace(/^00(?=[89a-f])/, ''),
    subject: subject.text,
    issuer: issuer.text,
    subjectDer: subject.der,
    issuerDer: issuer.der,
    notBeforeMs,
    notAfterMs,
    dnsNames: names.flatMap((name) => (name.kind === 'dns' ? [name.text] : [])),
    uris: names.flatMap((name) => (name.kind === 'uri' ? [name.text] : [])),
  };
}

/**
 * Asks for a certificate and names the anchors, so that browsers offer only what fits. No tickets (security rule 19): a resumed
 * session would show no more than the leaf, and keep an old verdict. Edwards curves are offered beside the policy's signature
 * schemes, for no other use: a client whose key we do not take would send no certificate at all, and the reason would be lost.
 */
function askingOptions(options: TlsOptions, policy: LinkedServerTlsPolicy, store: TrustStore | null): TlsOptions {
  const { ticketKeys: _ticketKeys, sessionTimeout: _sessionTimeout, ...rest } = options;
  return {
    ...rest,
    ca: (store?.anchors ?? []).map(({ der }) => pem(der)),
    requestCert: true,
    rejectUnauthorized: false,
    sigalgs: `${options.sigalgs ?? ''}:ed25519:ed448`,
    secureOptions: (options.secureOptions ?? 0) | constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
    // without one OpenSSL fails a client that offers any session
    sessionIdContext: digestOf({ clients: policy.digest }).slice(0, SESSION_ID_CONTEXT_BYTES),
  };
}

function pem(der: Uint8Array): string {
  const lines = Buffer.from(der).toString('base64').replace(/.{64}/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

const NOTHING_SENT = { present: false, chain: [], leaf: null } as const;
const NO_NAMES = { dnsNames: [], uris: [] } as const;
const NO_TRUST_CONFIG = 'the serverTlsPolicy has no clientValidationTrustConfig';
const SESSION_ID_CONTEXT_BYTES = 32; // SSL_MAX_SID_CTX_LENGTH

const OPENSSL_ERRORS: ReadonlyMap<string, ErrorCode> = new Map([
  ['ERR_SSL_WRONG_CURVE', 'client_cert_unsupported_elliptic_curve_key'], // P-521 on TLS 1.2; our verifier's word on 1.3
  ['ERR_SSL_EXCESSIVE_MESSAGE_SIZE', 'client_cert_exceeded_size_limit'], // about 100 kB
  ['ERR_SSL_BAD_SIGNATURE', 'client_cert_validation_failed'], // proof of possession, spec 2.5
  ['ERR_SSL_WRONG_SIGNATURE_TYPE', 'client_cert_validation_failed'], // signed with a scheme that was not offered
  ['ERR_SSL_UNKNOWN_CERTIFICATE_TYPE', 'client_cert_unsupported_key_algorithm'],
]);
/** A certificate, or a key in one, that OpenSSL cannot parse. */
const UNREADABLE = /^ERR_(?:OSSL_ASN1|OSSL_X509|OSSL_EC|SSL_ASN1|SSL_X509)_/;
