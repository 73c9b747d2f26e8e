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
      return verdict(cause.refusal?.reason ?? 'internal', cause.refusal?.detail ?? '');
    case 'timeout':
      if (hello === null) return verdict('hello_timeout', 'no whole ClientHello in time');
      return verdict('handshake_timeout', 'the handshake did not end in time');
    case 'closed':
      return verdict('peer_closed', hello === null ? 'closed inside the ClientHello' : 'closed during the handshake');
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
      return verdict('not_tls', detail);
    case 'plain-http':
      return verdict('plain_http', detail);
    case 'malformed':
      return verdict('malformed_hello', detail);
    case 'too-large':
      return verdict('hello_too_large', detail);
    default:
      return verdict('internal', `hello status ${cause.helloStatus} is no failure`);
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
      return verdict('peer_alert_other', code);
    if (MALFORMED_CODES.has(code)) return verdict('malformed_hello', code);
    if (CLOSED_CODES.has(code)) return verdict('peer_closed', code);
    return verdict('internal', code);
  }
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
  if (CLIENT_REASONS.has(reason)) return 'client';
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

const ALERT_PREFIX_TLS = 'ERR_SSL_TLSV1';
const ALERT_PREFIX_SSL = 'ERR_SSL_SSLV3_ALERT';
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
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', { reason: 'peer_alert_unknown_ca', ...PLAIN }],
  ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED', { reason: 'peer_alert_certificate_expired', ...PLAIN }],
  ['ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE', { reason: 'peer_alert_bad_certificate', ...PLAIN }],
  ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN', { reason: 'peer_alert_bad_certificate', ...PLAIN }],
  ['ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE', { reason: 'peer_alert_bad_certificate', ...PLAIN }],
  ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED', { reason: 'peer_alert_bad_certificate', ...PLAIN }],
  ['ERR_SSL_HTTP_REQUEST', { reason: 'plain_http', ...PLAIN }],
  ['ERR_SSL_WRONG_VERSION_NUMBER', { reason: 'not_tls', ...PLAIN }],
  ['ERR_TLS_HANDSHAKE_TIMEOUT', { reason: 'handshake_timeout', ...PLAIN }],
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
