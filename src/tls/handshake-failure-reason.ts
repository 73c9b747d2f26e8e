import type { CertificateEntry } from './certificate-entry.ts';
import type { ClientHello, HelloStatus } from './client-hello.ts';
import type { NegotiationFailure } from './negotiate.ts';
import { negotiate } from './negotiate.ts';
import type { EffectivePolicy } from './ssl-policy.ts';

/** The closed list: one of these is the `reason` label of every failed handshake. */
export type HandshakeFailureReason =
  | NegotiationFailure
  | 'hello_timeout'
  | 'not_tls'
  | 'plain_http'
  | 'malformed_hello'
  | 'hello_too_large'
  | 'alpn_mismatch'
  | 'sni_unknown'
  | 'peer_alert_unknown_ca'
  | 'peer_alert_certificate_expired'
  | 'peer_alert_bad_certificate'
  | 'peer_alert_other'
  | 'peer_closed'
  | 'handshake_timeout'
  | 'internal'
  | `client_cert_${string}`;

/**
 * Who ended it. `client`: it sent no proper TLS, or an alert against what we showed. `proxy`: we refused, by policy or by defect.
 * `network`: nobody said anything; time ran out or the connection went away.
 */
export type FailureSide = 'client' | 'proxy' | 'network';

export interface HandshakeFailureCause {
  /** The reader's last status, for failures before a whole hello; else 'hello'. */
  readonly helloStatus: HelloStatus;
  /** The reader's `detail`. */
  readonly helloDetail?: string;
  /** `error`: OpenSSL or the socket said `code`. `refused`: our own choice said `refusal` before OpenSSL saw a byte. */
  readonly how: 'hello' | 'timeout' | 'closed' | 'error' | 'refused';
  /** `error.code` of node:tls, for instance ERR_SSL_NO_SHARED_CIPHER or ECONNRESET. */
  readonly code?: string;
  readonly refusal?: { readonly reason: HandshakeFailureReason; readonly detail: string };
}

export interface HandshakeFailureVerdict {
  readonly reason: HandshakeFailureReason;
  readonly side: FailureSide;
  readonly detail: string;
}

/** Why a client's handshake failed, from its hello, the policy, the certificate that was to be served and what happened last. */
export function handshakeFailureReason(
  hello: ClientHello | null,
  policy: EffectivePolicy,
  certificate: CertificateEntry | null,
  cause: HandshakeFailureCause,
): HandshakeFailureVerdict {
  switch (cause.how) {
    case 'refused':
      return verdict(cause.refusal?.reason ?? 'internal', 'proxy', cause.refusal?.detail ?? '');
    case 'timeout':
      if (hello === null) return verdict('hello_timeout', 'network', 'no whole ClientHello in time');
      return verdict('handshake_timeout', 'network', 'the handshake did not end in time');
    case 'closed':
      return verdict(
        'peer_closed',
        'network',
        hello === null ? 'closed inside the ClientHello' : 'closed during the handshake',
      );
    case 'hello':
      return helloVerdict(cause);
    case 'error':
      return errorVerdict(hello, policy, certificate, cause.code ?? '');
  }
}

/** The record that tells the client so, where OpenSSL is not asked; null: it does not speak TLS, or is gone. */
export function alertRecord(reason: HandshakeFailureReason): Buffer | null {
  const description = ALERTS[reason];
  if (description === undefined) return null;
  return Buffer.from([21, 3, 1, 0, 2, 2, description]); // RFC 8446 §6: alert record, fatal
}

function helloVerdict(cause: HandshakeFailureCause): HandshakeFailureVerdict {
  const detail = cause.helloDetail ?? '';
  switch (cause.helloStatus) {
    case 'not-tls':
      return verdict('not_tls', 'client', detail);
    case 'plain-http':
      return verdict('plain_http', 'client', detail);
    case 'malformed':
      return verdict('malformed_hello', 'client', detail);
    case 'too-large':
      return verdict('hello_too_large', 'client', detail);
    default:
      return verdict('internal', 'proxy', `hello status ${cause.helloStatus} is no failure`);
  }
}

function errorVerdict(
  hello: ClientHello | null,
  policy: EffectivePolicy,
  certificate: CertificateEntry | null,
  code: string,
): HandshakeFailureVerdict {
  const known = BY_CODE.get(code);
  if (known === undefined) {
    if (code.startsWith(ALERT_PREFIX_TLS) || code.startsWith(ALERT_PREFIX_SSL))
      return verdict('peer_alert_other', 'client', code);
    if (MALFORMED_CODES.has(code)) return verdict('malformed_hello', 'client', code);
    if (CLOSED_CODES.has(code)) return verdict('peer_closed', 'network', code);
    return verdict('internal', 'proxy', code);
  }
  if (known.side !== 'proxy' || hello === null || certificate === null) return verdict(known.reason, known.side, code);
  // OpenSSL says NO_SHARED_CIPHER for a missing group, scheme or key type as well: the hello tells which.
  const outcome = known.refine ? negotiate(hello, policy, certificate) : null;
  if (outcome === null || outcome.ok) return verdict(known.reason, known.side, code);
  return verdict(outcome.reason, 'proxy', `${code}: ${outcome.detail}`);
}

function verdict(reason: HandshakeFailureReason, side: FailureSide, detail: string): HandshakeFailureVerdict {
  return { reason, side, detail };
}

interface KnownCode {
  readonly reason: HandshakeFailureReason;
  readonly side: FailureSide;
  readonly refine: boolean;
}

const ALERT_PREFIX_TLS = 'ERR_SSL_TLSV1';
const ALERT_PREFIX_SSL = 'ERR_SSL_SSLV3_ALERT';
const REFUSED = { side: 'proxy', refine: true } as const;
const ALERTED = { side: 'client', refine: false } as const;

/** `code` as node:tls makes it from OpenSSL's reason. */
const BY_CODE: ReadonlyMap<string, KnownCode> = new Map<string, KnownCode>([
  ['ERR_SSL_UNSUPPORTED_PROTOCOL', { reason: 'unsupported_version', ...REFUSED }],
  ['ERR_SSL_VERSION_TOO_LOW', { reason: 'unsupported_version', ...REFUSED }],
  ['ERR_SSL_INAPPROPRIATE_FALLBACK', { reason: 'unsupported_version', ...REFUSED }],
  ['ERR_SSL_NO_SHARED_CIPHER', { reason: 'no_shared_cipher', ...REFUSED }],
  ['ERR_SSL_NO_SUITABLE_KEY_SHARE', { reason: 'no_shared_group', ...REFUSED }],
  ['ERR_SSL_NO_SHARED_GROUPS', { reason: 'no_shared_group', ...REFUSED }],
  ['ERR_SSL_NO_SUITABLE_GROUPS', { reason: 'no_shared_group', ...REFUSED }],
  ['ERR_SSL_NO_SHARED_SIGNATURE_ALGORITHMS', { reason: 'no_shared_signature_algorithm', ...REFUSED }],
  ['ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM', { reason: 'no_shared_signature_algorithm', ...REFUSED }],
  ['ERR_SSL_WRONG_SIGNATURE_TYPE', { reason: 'no_shared_signature_algorithm', ...REFUSED }],
  ['ERR_SSL_NO_APPLICATION_PROTOCOL', { reason: 'alpn_mismatch', side: 'proxy', refine: false }],
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', { reason: 'peer_alert_unknown_ca', ...ALERTED }],
  ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED', { reason: 'peer_alert_certificate_expired', ...ALERTED }],
  ['ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE', { reason: 'peer_alert_bad_certificate', ...ALERTED }],
  ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN', { reason: 'peer_alert_bad_certificate', ...ALERTED }],
  ['ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE', { reason: 'peer_alert_bad_certificate', ...ALERTED }],
  ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED', { reason: 'peer_alert_bad_certificate', ...ALERTED }],
  ['ERR_SSL_HTTP_REQUEST', { reason: 'plain_http', ...ALERTED }],
  ['ERR_SSL_WRONG_VERSION_NUMBER', { reason: 'not_tls', ...ALERTED }],
  ['ERR_TLS_HANDSHAKE_TIMEOUT', { reason: 'handshake_timeout', side: 'network', refine: false }],
]);

const CLOSED_CODES: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'EPIPE',
  'ERR_SSL_UNEXPECTED_EOF_WHILE_READING',
  'ETIMEDOUT',
]);

/** OpenSSL found in the hello (or in what followed) what our reader does not look at. */
const MALFORMED_CODES: ReadonlySet<string> = new Set([
  'ERR_SSL_BAD_EXTENSION',
  'ERR_SSL_BAD_KEY_SHARE',
  'ERR_SSL_BAD_LEGACY_VERSION',
  'ERR_SSL_BAD_PACKET',
  'ERR_SSL_BAD_PSK_IDENTITY',
  'ERR_SSL_BAD_RECORD_TYPE',
  'ERR_SSL_DECODE_ERROR',
  'ERR_SSL_LENGTH_MISMATCH',
  'ERR_SSL_LENGTH_TOO_SHORT',
  'ERR_SSL_MISSING_SIGALGS_EXTENSION',
  'ERR_SSL_MISSING_SUPPORTED_GROUPS_EXTENSION',
  'ERR_SSL_NO_COMPRESSION_SPECIFIED',
  'ERR_SSL_NOT_ON_RECORD_BOUNDARY',
  'ERR_SSL_UNEXPECTED_MESSAGE',
  'ERR_SSL_UNEXPECTED_RECORD',
]);

// RFC 8446 §6.2, RFC 7301 §3.2, RFC 6066 §3
const ALERTS: Readonly<Partial<Record<HandshakeFailureReason, number>>> = {
  malformed_hello: 50, // decode_error
  hello_too_large: 50,
  unsupported_version: 70, // protocol_version
  no_shared_cipher: 40, // handshake_failure
  no_shared_group: 40,
  no_shared_signature_algorithm: 40,
  certificate_key_type_mismatch: 40,
  alpn_mismatch: 120, // no_application_protocol
  sni_unknown: 112, // unrecognized_name
  internal: 80, // internal_error
};
