import type { CertificateEntry } from './certificate-entry.ts';
import type { ClientHello, HelloStatus } from './client-hello.ts';
import { type NegotiationFailure, negotiate } from './negotiate.ts';
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
 * Who ended it. `client`: it sent no proper TLS, no certificate that verifies, or an alert against what we showed. `proxy`: we refused, by policy or by defect.
 * `network`: nobody said anything; time ran out or the connection went away.
 */
export type FailureSide = 'client' | 'proxy' | 'network';

export type HandshakeFailureCause =
  /** The reader ended with something else than a hello. */
  | { readonly how: 'hello'; readonly status: HelloStatus; readonly detail: string }
  /** The certificate choice refused before OpenSSL saw a byte. */
  | { readonly how: 'refused'; readonly reason: HandshakeFailureReason; readonly detail: string }
  /** OpenSSL or the socket said `error.code`, for instance ERR_SSL_NO_SHARED_CIPHER or ECONNRESET. */
  | { readonly how: 'error'; readonly code: string }
  | { readonly how: 'timeout' }
  | { readonly how: 'closed' };

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
      return verdict(cause.reason, cause.detail);
    case 'timeout':
      if (hello === null) return verdict('hello_timeout', 'no whole ClientHello in time');
      return verdict('handshake_timeout', 'the handshake did not end in time');
    case 'closed':
      return verdict('peer_closed', hello === null ? 'closed inside the ClientHello' : 'closed during the handshake');
    case 'hello':
      return helloVerdict(cause.status, cause.detail);
    case 'error':
      return errorVerdict(hello, policy, certificate, cause.code);
  }
}

/** The record that tells the client so, where OpenSSL is not asked; null: it does not speak TLS, or is gone. */
export function alertRecord(reason: HandshakeFailureReason): Buffer | null {
  const description = ALERTS[reason];
  if (description === undefined) return null;
  return Buffer.from([21, 3, 1, 0, 2, 2, description]); // RFC 8446 §6: alert record, fatal
}

function helloVerdict(status: HelloStatus, detail: string): HandshakeFailureVerdict {
  switch (status) {
    case 'not-tls':
      return verdict('not_tls', detail);
    case 'plain-http':
      return verdict('plain_http', detail);
    case 'malformed':
      return verdict('malformed_hello', detail);
    case 'too-large':
      return verdict('hello_too_large', detail);
    default:
      return verdict('internal', `hello status ${status} is no failure`);
  }
}

function errorVerdict(
  hello: ClientHello | null,
  policy: EffectivePolicy,
  certificate: CertificateEntry | null,
  code: string,
): HandshakeFailureVerdict {
  const alert = ALERT.exec(code);
  if (alert !== null) return verdict(BY_ALERT.get(alert[1]!) ?? 'peer_alert_other', code);
  const known = BY_CODE.get(code);
  if (known === undefined) return verdict(MALFORMED.test(code) ? 'malformed_hello' : 'internal', code);
  if (!known.refine || hello === null || certificate === null) return verdict(known.reason, code);
  // OpenSSL says NO_SHARED_CIPHER for a missing group, scheme or key type as well: the hello tells which.
  const outcome = negotiate(hello, policy, certificate);
  if (outcome.ok) return verdict(known.reason, code);
  return verdict(outcome.reason, `${code}: ${outcome.detail}`);
}

function verdict(reason: HandshakeFailureReason, detail: string): HandshakeFailureVerdict {
  return { reason, side: sideOf(reason), detail };
}

function sideOf(reason: HandshakeFailureReason): FailureSide {
  if (CLIENT_REASONS.has(reason) || reason.startsWith('client_cert_')) return 'client';
  return NETWORK_REASONS.has(reason) ? 'network' : 'proxy';
}

interface KnownCode {
  readonly reason: HandshakeFailureReason;
  /** The hello says more than the code. */
  readonly refine: boolean;
}

const CLIENT_REASONS: ReadonlySet<HandshakeFailureReason> = new Set<HandshakeFailureReason>([
  'not_tls',
  'plain_http',
  'malformed_hello',
  'hello_too_large',
  'peer_alert_unknown_ca',
  'peer_alert_certificate_expired',
  'peer_alert_bad_certificate',
  'peer_alert_other',
]);
const NETWORK_REASONS: ReadonlySet<HandshakeFailureReason> = new Set<HandshakeFailureReason>([
  'hello_timeout',
  'handshake_timeout',
  'peer_closed',
]);

const REFUSED = { refine: true } as const;
const PLAIN = { refine: false } as const;

/** `code` as node:tls makes it from OpenSSL's reason. */
const BY_CODE: ReadonlyMap<string, KnownCode> = new Map<string, KnownCode>([
  ['ERR_SSL_UNSUPPORTED_PROTOCOL', { reason: 'unsupported_version', ...REFUSED }],
  ['ERR_SSL_BAD_LEGACY_VERSION', { reason: 'unsupported_version', ...REFUSED }],
  ['ERR_SSL_VERSION_TOO_LOW', { reason: 'unsupported_version', ...REFUSED }],
  ['ERR_SSL_INAPPROPRIATE_FALLBACK', { reason: 'unsupported_version', ...REFUSED }],
  ['ERR_SSL_NO_SHARED_CIPHER', { reason: 'no_shared_cipher', ...REFUSED }],
  ['ERR_SSL_NO_SUITABLE_KEY_SHARE', { reason: 'no_shared_group', ...REFUSED }],
  ['ERR_SSL_NO_SHARED_GROUPS', { reason: 'no_shared_group', ...REFUSED }],
  ['ERR_SSL_NO_SUITABLE_GROUPS', { reason: 'no_shared_group', ...REFUSED }],
  ['ERR_SSL_NO_SHARED_SIGNATURE_ALGORITHMS', { reason: 'no_shared_signature_algorithm', ...REFUSED }],
  ['ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM', { reason: 'no_shared_signature_algorithm', ...REFUSED }],
  ['ERR_SSL_WRONG_SIGNATURE_TYPE', { reason: 'no_shared_signature_algorithm', ...REFUSED }],
  ['ERR_SSL_NO_APPLICATION_PROTOCOL', { reason: 'alpn_mismatch', ...PLAIN }],
  ['ERR_SSL_HTTP_REQUEST', { reason: 'plain_http', ...PLAIN }],
  ['ERR_SSL_WRONG_VERSION_NUMBER', { reason: 'not_tls', ...PLAIN }],
  ['ECONNRESET', { reason: 'peer_closed', ...PLAIN }],
  ['EPIPE', { reason: 'peer_closed', ...PLAIN }],
  ['ETIMEDOUT', { reason: 'peer_closed', ...PLAIN }],
  ['ERR_SSL_UNEXPECTED_EOF_WHILE_READING', { reason: 'peer_closed', ...PLAIN }],
  ['ERR_TLS_HANDSHAKE_TIMEOUT', { reason: 'handshake_timeout', ...PLAIN }],
]);

/** An alert of the client: OpenSSL names them by the version that brought them. */
const ALERT = /^ERR_SSL_(?:SSL\/TLS|SSLV3|TLSV1|TLSV13)_(?:ALERT_)?(.+)$/;
const BY_ALERT: ReadonlyMap<string, HandshakeFailureReason> = new Map<string, HandshakeFailureReason>([
  ['UNKNOWN_CA', 'peer_alert_unknown_ca'],
  ['CERTIFICATE_EXPIRED', 'peer_alert_certificate_expired'],
  ['BAD_CERTIFICATE', 'peer_alert_bad_certificate'],
  ['CERTIFICATE_UNKNOWN', 'peer_alert_bad_certificate'],
  ['UNSUPPORTED_CERTIFICATE', 'peer_alert_bad_certificate'],
  ['CERTIFICATE_REVOKED', 'peer_alert_bad_certificate'],
]);

/** OpenSSL's words for what a client got wrong where our reader does not look: inside extensions, or after the hello. */
const MALFORMED =
  /^ERR_SSL_(?:SSL3_EXT_INVALID|BAD|BINDER|CCS|DATA|DECODE|DECRYPTION|DIGEST|DUPLICATE|EXCESSIVE|ILLEGAL|INCONSISTENT|INVALID|LENGTH|MISSING|MIXED|NOT_ON_RECORD|NO_COMPRESSION|PACKET|RECORD|TOO|UNEXPECTED|UNKNOWN|UNSAFE|UNSOLICITED)_/;

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
