import { constants } from 'node:http2';
import { type ErrorFacts, ProxyError } from '../base/errors.ts';
import type { Refused } from '../pki/verdict.ts';

/** The one place where what Node, OpenSSL, undici and nghttp2 say of a backend becomes a code of ours. */

export type ConnectPhase = 'dns' | 'tcp' | 'tls';

/** A connection that did not come up. */
export function connectError(error: unknown, phase: ConnectPhase, dialled: string): ProxyError {
  if (error instanceof ProxyError) return error;
  const { code, message } = read(error);
  const facts: ErrorFacts = { phase: phase === 'tls' ? 'tls' : 'connect', cause: error };
  if (phase === 'dns') return new ProxyError('backend_dns_failed', { ...facts, detail: `${dialled}: ${code}` });
  if (phase === 'tcp') {
    const detail = `${dialled}: ${code || message}`;
    if (code === 'ETIMEDOUT') return new ProxyError('backend_connect_timeout', { ...facts, detail });
    if (UNROUTABLE.has(code)) return new ProxyError('backend_unroutable', { ...facts, detail });
    return new ProxyError('backend_connect_refused', { ...facts, detail });
  }
  const alert = receivedAlert(code);
  if (alert !== null) return alertError(alert, dialled, facts);
  const detail = code.startsWith('ERR_SSL_')
    ? `${dialled}: the TLS handshake failed: ${message}`
    : `${dialled}: closed the connection during the TLS handshake without an alert (${code || message})`;
  return new ProxyError('backend_tls_failed', { ...facts, detail });
}

export function connectTimeout(dialled: string, phase: ConnectPhase, timeoutMs: number): ProxyError {
  const detail = `${dialled}: not connected after ${timeoutMs} ms (${PHASE_WORDS[phase]})`;
  return new ProxyError('backend_connect_timeout', { phase: 'connect', detail });
}

/** A certificate that was not accepted; the verdict travels as `cause` so that the log can name rule, depth and reason. */
export function refusedError(verdict: Refused, dialled: string): ProxyError {
  const detail = `${dialled}: rule ${verdict.rule}, depth ${verdict.depth}: ${verdict.reason}`;
  return new ProxyError(verdict.statusDetails, { phase: 'verify', detail, cause: verdict });
}

export function alpnError(agreed: string | false | null, dialled: string): ProxyError {
  const detail = `${dialled}: expected ALPN h2, found ${agreed || 'none'}`;
  return new ProxyError('failed_to_negotiate_alpn', { phase: 'tls', detail });
}

/** How far an exchange had come when its connection or stream failed. */
export interface ExchangeProgress {
  readonly dialled: string;
  /** The final response head had arrived. */
  readonly responded: boolean;
  /** No response ever came over this TLS connection: a late alert is still about its handshake, and nothing was processed. */
  readonly freshTls: boolean;
}

export interface Http1Progress extends ExchangeProgress {
  /** Body bytes that the response declared and did not send; 0 when complete, -1 when nobody knows. */
  readonly missingBytes: number;
}

export function http1Error(error: unknown, progress: Http1Progress): ProxyError {
  if (error instanceof ProxyError) return error;
  const { code, message, name } = read(error);
  const facts: ErrorFacts = {
    phase: progress.responded ? 'relay' : 'send',
    cause: error,
    detail: `${progress.dialled}: ${code === '' ? message : `${code}: ${message}`}`,
  };
  const alert = receivedAlert(code);
  // TLS 1.3: the server judges our certificate after we believe the handshake done, so its refusal comes with the first exchange.
  if (alert !== null && progress.freshTls && !progress.responded) return alertError(alert, progress.dialled, facts);
  if (code === 'UND_ERR_HEADERS_OVERFLOW') return new ProxyError('backend_response_headers_too_long', facts);
  if (OUR_MISTAKES.has(code)) return new ProxyError('internal_error', facts);
  if (code === 'UND_ERR_SOCKET' && INTERIM_MESSAGES.has(message)) {
    return new ProxyError('backend_interim_response_not_supported', facts);
  }
  const cutShort = code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH' || message.endsWith(END_IN_BODY);
  if (cutShort && progress.responded && progress.missingBytes !== 0) return closed(progress.responded, facts);
  if (cutShort || name === 'HTTPParserError' || code.startsWith('HPE_') || code === 'ERR_ASSERTION') {
    return new ProxyError('backend_response_corrupted', facts);
  }
  return closed(progress.responded, facts);
}

/** An HTTP/2 stream that ended without a whole response. `error` is what the stream or its session said, if anything. */
export function http2Error(error: unknown, rstCode: number, progress: ExchangeProgress): ProxyError {
  if (error instanceof ProxyError) return error;
  const { dialled, responded } = progress;
  const { code, message } = read(error);
  const reset = `RST_STREAM or GOAWAY with ${HTTP2_CODES.get(rstCode) ?? rstCode}`;
  const facts: ErrorFacts = {
    phase: responded ? 'relay' : 'send',
    cause: error,
    detail: `${dialled}: ${code === '' ? reset : `${message}; ${reset}`}`,
  };
  const alert = receivedAlert(code);
  if (alert !== null && progress.freshTls && !responded) return alertError(alert, dialled, facts);
  if (INVALID_REQUEST.has(code)) return new ProxyError('internal_error', facts);
  if (responded) return closed(responded, facts);
  // RFC 9113 §8.7: the server says that it has not processed the request.
  if (rstCode === constants.NGHTTP2_REFUSED_STREAM) return closed(false, { ...facts, retry: 'yes' });
  // nghttp2 resets a stream itself when the response head is over our SETTINGS_MAX_HEADER_LIST_SIZE.
  if (rstCode === constants.NGHTTP2_ENHANCE_YOUR_CALM)
    return new ProxyError('backend_response_headers_too_long', facts);
  if (CORRUPTED.has(rstCode)) return new ProxyError('backend_response_corrupted', facts);
  return closed(false, facts);
}

/** A stream that the backend broke off, or whose connection was taken back; `error` is what its socket said, if anything. */
export function streamError(error: unknown, progress: ExchangeProgress): ProxyError {
  if (error instanceof ProxyError) return error;
  const { code, message } = read(error);
  const facts: ErrorFacts = { phase: 'relay', cause: error, detail: `${progress.dialled}: ${code || message}` };
  const alert = receivedAlert(code);
  if (alert !== null && progress.freshTls && !progress.responded) return alertError(alert, progress.dialled, facts);
  return closed(progress.responded, facts);
}

function closed(responded: boolean, facts: ErrorFacts): ProxyError {
  return new ProxyError(
    responded
      ? 'backend_connection_closed_after_partial_response_sent'
      : 'backend_connection_closed_before_data_sent_to_client',
    facts,
  );
}

function alertError(alert: string, dialled: string, facts: ErrorFacts): ProxyError {
  if (alert === 'no_application_protocol') {
    return new ProxyError('failed_to_negotiate_alpn', { ...facts, detail: `${dialled}: TLS alert ${alert}` });
  }
  const who = CERTIFICATE_ALERTS.has(alert)
    ? 'the backend refused our client certificate'
    : 'the backend ended the TLS handshake';
  return new ProxyError('backend_tls_alert', {
    ...facts,
    phase: 'tls',
    detail: `${dialled}: ${who}: TLS alert ${alert}`,
  });
}

/** `ERR_SSL_TLSV1_ALERT_UNKNOWN_CA` → `unknown_ca`; null for what is no alert of the peer's. */
function receivedAlert(code: string): string | null {
  const at = code.indexOf('_ALERT_');
  if (code.startsWith('ERR_SSL_') && at !== -1) return code.slice(at + '_ALERT_'.length).toLowerCase();
  return ALERTS_WITHOUT_THE_WORD.get(code) ?? null;
}

/** By shape, not by class: errors from C++ belong to the main context's Error, which need not be ours. */
function read(error: unknown): { readonly code: string; readonly message: string; readonly name: string } {
  if (typeof error !== 'object' || error === null) return { code: '', message: 'no error was reported', name: '' };
  // OpenSSL's message is its whole error queue with addresses and source files; `reason` is the sentence in it.
  const { code, reason, message, name } = error as Partial<NodeJS.ErrnoException> & { readonly reason?: string };
  return { code: typeof code === 'string' ? code : '', message: reason ?? message ?? '', name: name ?? '' };
}

const PHASE_WORDS: Readonly<Record<ConnectPhase, string>> = {
  dns: 'looking up its name',
  tcp: 'waiting for TCP',
  tls: 'waiting for the TLS handshake',
};

const UNROUTABLE: ReadonlySet<string> = new Set(['EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT']);

/** RFC 8446 §6.2: what a server says of a client's certificate (handshake_failure: TLS 1.2 servers that got none). */
const CERTIFICATE_ALERTS: ReadonlySet<string> = new Set([
  'bad_certificate',
  'unsupported_certificate',
  'certificate_revoked',
  'certificate_expired',
  'certificate_unknown',
  'certificate_required',
  'unknown_ca',
  'access_denied',
]);

/** OpenSSL's reasons for received alerts that lack the word (include/openssl/sslerr.h, 1110 to 1120). */
const ALERTS_WITHOUT_THE_WORD: ReadonlyMap<string, string> = new Map([
  ['ERR_SSL_TLSV13_ALERT_MISSING_EXTENSION', 'missing_extension'],
  ['ERR_SSL_TLSV1_UNSUPPORTED_EXTENSION', 'unsupported_extension'],
  ['ERR_SSL_TLSV1_CERTIFICATE_UNOBTAINABLE', 'certificate_unobtainable'],
  ['ERR_SSL_TLSV1_UNRECOGNIZED_NAME', 'unrecognized_name'],
  ['ERR_SSL_TLSV1_BAD_CERTIFICATE_STATUS_RESPONSE', 'bad_certificate_status_response'],
  ['ERR_SSL_TLSV1_BAD_CERTIFICATE_HASH_VALUE', 'bad_certificate_hash_value'],
]);

/** undici refusing what we handed it: everything was to be checked before. */
const OUR_MISTAKES: ReadonlySet<string> = new Set([
  'UND_ERR_INVALID_ARG',
  'UND_ERR_NOT_SUPPORTED',
  'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH',
  'UND_ERR_CLOSED',
  'UND_ERR_DESTROYED',
]);

const INVALID_REQUEST: ReadonlySet<string> = new Set([
  'ERR_HTTP2_INVALID_CONNECTION_HEADERS',
  'ERR_HTTP2_INVALID_PSEUDOHEADER',
  'ERR_HTTP2_HEADER_SINGLE_VALUE',
  'ERR_HTTP2_HEADERS_OBJECT',
  'ERR_HTTP2_CONNECT_PATH',
  'ERR_INVALID_HTTP_TOKEN',
  'ERR_INVALID_CHAR',
  'ERR_INVALID_ARG_TYPE',
  'ERR_INVALID_ARG_VALUE',
]);

/** undici 8: an unasked 100 is a 'bad response' on a busy connection, an unasked 101 a 'bad upgrade'. */
const INTERIM_MESSAGES: ReadonlySet<string> = new Set(['bad response', 'bad upgrade']);

/** llhttp's reason when the connection ends inside chunks; undici gives it no code. */
const END_IN_BODY = '(Invalid EOF state)';

const CORRUPTED: ReadonlySet<number> = new Set([
  constants.NGHTTP2_PROTOCOL_ERROR,
  constants.NGHTTP2_FLOW_CONTROL_ERROR,
  constants.NGHTTP2_FRAME_SIZE_ERROR,
  constants.NGHTTP2_COMPRESSION_ERROR,
]);

/** RFC 9113 §7. */
const HTTP2_CODES: ReadonlyMap<number, string> = new Map([
  [constants.NGHTTP2_NO_ERROR, 'NO_ERROR'],
  [constants.NGHTTP2_PROTOCOL_ERROR, 'PROTOCOL_ERROR'],
  [constants.NGHTTP2_INTERNAL_ERROR, 'INTERNAL_ERROR'],
  [constants.NGHTTP2_FLOW_CONTROL_ERROR, 'FLOW_CONTROL_ERROR'],
  [constants.NGHTTP2_SETTINGS_TIMEOUT, 'SETTINGS_TIMEOUT'],
  [constants.NGHTTP2_STREAM_CLOSED, 'STREAM_CLOSED'],
  [constants.NGHTTP2_FRAME_SIZE_ERROR, 'FRAME_SIZE_ERROR'],
  [constants.NGHTTP2_REFUSED_STREAM, 'REFUSED_STREAM'],
  [constants.NGHTTP2_CANCEL, 'CANCEL'],
  [constants.NGHTTP2_COMPRESSION_ERROR, 'COMPRESSION_ERROR'],
  [constants.NGHTTP2_CONNECT_ERROR, 'CONNECT_ERROR'],
  [constants.NGHTTP2_ENHANCE_YOUR_CALM, 'ENHANCE_YOUR_CALM'],
  [constants.NGHTTP2_INADEQUATE_SECURITY, 'INADEQUATE_SECURITY'],
  [constants.NGHTTP2_HTTP_1_1_REQUIRED, 'HTTP_1_1_REQUIRED'],
]);
