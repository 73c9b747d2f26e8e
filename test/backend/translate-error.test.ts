import { constants } from 'node:http2';
import { connectError, http1Error, http2Error } from '#src/backend/translate-error.ts';
import { ProxyError } from '#src/base/errors.ts';

function coded(code: string, message = 'message', name = 'Error'): Error {
  return Object.assign(new Error(message), { code, name });
}

describe('`connectError()`', () => {
  test.each([
    ['ENOTFOUND', 'dns', 'backend_dns_failed'],
    ['EAI_AGAIN', 'dns', 'backend_dns_failed'],
    ['ECONNREFUSED', 'tcp', 'backend_connect_refused'],
    ['ECONNRESET', 'tcp', 'backend_connect_refused'],
    ['ETIMEDOUT', 'tcp', 'backend_connect_timeout'],
    ['EHOSTUNREACH', 'tcp', 'backend_unroutable'],
    ['ENETUNREACH', 'tcp', 'backend_unroutable'],
    ['ECONNRESET', 'tls', 'backend_tls_failed'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'tls', 'backend_tls_failed'],
    ['ERR_SSL_BAD_SIGNATURE', 'tls', 'backend_tls_failed'],
    ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'tls', 'backend_tls_alert'],
    ['ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE', 'tls', 'backend_tls_alert'],
    ['ERR_SSL_TLSV1_UNRECOGNIZED_NAME', 'tls', 'backend_tls_alert'],
    ['ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL', 'tls', 'failed_to_negotiate_alpn'],
  ] as const)('%s in %s is %s', (code, phase, expected) => {
    const error = connectError(coded(code), phase, '192.0.2.1:443');
    expect(error.code).toBe(expected);
    expect(error.detail).toContain('192.0.2.1:443');
    expect(error.retry).toBe('yes');
  });

  test('tells a refused client certificate from other alerts', () => {
    const refused = connectError(coded('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'), 'tls', 'a:1');
    const other = connectError(coded('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION'), 'tls', 'a:1');
    expect(refused.detail).toBe('a:1: the backend refused our client certificate: TLS alert certificate_required');
    expect(other.detail).toBe('a:1: the backend ended the TLS handshake: TLS alert protocol_version');
  });

  test('leaves a ProxyError as it is', () => {
    const error = new ProxyError('backend_queue_full');
    expect(connectError(error, 'tcp', 'a:1')).toBe(error);
  });
});

describe('`http1Error()`', () => {
  const fresh = { dialled: 'a:1', responded: false, missingBytes: 0, freshTls: true };
  const relaying = { dialled: 'a:1', responded: true, missingBytes: 5, freshTls: false };

  test.each([
    ['ECONNRESET', fresh, 'backend_connection_closed_before_data_sent_to_client', 'if-reused'],
    ['EPIPE', fresh, 'backend_connection_closed_before_data_sent_to_client', 'if-reused'],
    ['UND_ERR_SOCKET', fresh, 'backend_connection_closed_before_data_sent_to_client', 'if-reused'],
    ['ECONNRESET', relaying, 'backend_connection_closed_after_partial_response_sent', 'no'],
    ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', fresh, 'backend_response_corrupted', 'no'],
    ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', relaying, 'backend_connection_closed_after_partial_response_sent', 'no'],
    ['UND_ERR_HEADERS_OVERFLOW', fresh, 'backend_response_headers_too_long', 'no'],
    ['UND_ERR_REQ_CONTENT_LENGTH_MISMATCH', fresh, 'internal_error', 'no'],
    ['ERR_ASSERTION', fresh, 'backend_response_corrupted', 'no'],
    ['HPE_INVALID_CONSTANT', fresh, 'backend_response_corrupted', 'no'],
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', fresh, 'backend_tls_alert', 'yes'],
    [
      'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
      relaying,
      'backend_connection_closed_after_partial_response_sent',
      'no',
    ],
  ] as const)('%s (%j) is %s', (code, progress, expected, retry) => {
    expect(http1Error(coded(code), progress)).toMatchObject({ code: expected, retry });
  });
});

describe('`http2Error()`', () => {
  test.each([
    [constants.NGHTTP2_REFUSED_STREAM, false, 'backend_connection_closed_before_data_sent_to_client', 'yes'],
    [constants.NGHTTP2_REFUSED_STREAM, true, 'backend_connection_closed_after_partial_response_sent', 'no'],
    [constants.NGHTTP2_INTERNAL_ERROR, false, 'backend_connection_closed_before_data_sent_to_client', 'if-reused'],
    [constants.NGHTTP2_PROTOCOL_ERROR, false, 'backend_response_corrupted', 'no'],
    [constants.NGHTTP2_COMPRESSION_ERROR, false, 'backend_response_corrupted', 'no'],
    [constants.NGHTTP2_ENHANCE_YOUR_CALM, false, 'backend_response_headers_too_long', 'no'],
  ] as const)('code %d (responded: %s) is %s', (rstCode, responded, expected, retry) => {
    const error = http2Error(coded('ERR_HTTP2_STREAM_ERROR'), rstCode, { dialled: 'a:1', responded, freshTls: true });
    expect(error).toMatchObject({ code: expected, retry });
  });

  test('an alert is about the handshake only while nothing was ever answered', () => {
    const alert = coded('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED');
    const code = (freshTls: boolean) => http2Error(alert, 0, { dialled: 'a:1', responded: false, freshTls });
    expect(code(true)).toMatchObject({ code: 'backend_tls_alert', retry: 'yes' });
    expect(code(false)).toMatchObject({
      code: 'backend_connection_closed_before_data_sent_to_client',
      retry: 'if-reused',
    });
  });
});
