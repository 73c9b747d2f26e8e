import { describe, expect, test } from '@jest/globals';
import { CODES } from '#src/base/error-codes.ts';
import { asProxyError, ProxyError } from '#src/base/errors.ts';

describe('the table of codes', () => {
  test.each(Object.entries(CODES))(
    '%s has a status that fits its source and a word without surprises',
    (_code, spec) => {
      expect(spec.statusDetails).toMatch(/^[a-z][a-z0-9_]*$/);
      if (spec.source === 'client') expect([0, 400, 408, 413, 421, 499]).toContain(spec.status);
      if (spec.source === 'backend') expect([502, 504]).toContain(spec.status);
      expect(spec.doc).toMatch(/\.$/);
    },
  );

  test('decides the statuses of spec 10.20', () => {
    expect(CODES.failed_to_pick_backend.status).toBe(503);
    expect(CODES.backend_timeout.status).toBe(504);
    expect(CODES.backend_connect_refused).toMatchObject({ status: 502, statusDetails: 'failed_to_connect_to_backend' });
    expect(CODES.headers_too_long.status).toBe(413);
    expect(CODES.config_not_found.status).toBe(404);
  });
});

describe('ProxyError', () => {
  test('takes source and retry from the table and keeps what caused it', () => {
    const cause = new Error('read ECONNRESET');
    const error = new ProxyError('backend_connection_closed_before_data_sent_to_client', {
      cause,
      phase: 'send',
      detail: 'x',
    });
    expect(error).toMatchObject({ source: 'backend', retry: 'if-reused', phase: 'send', detail: 'x', cause });
    expect(error.spec.status).toBe(502);
  });

  test('asProxyError() passes a ProxyError through and wraps anything else', () => {
    const own = new ProxyError('internal_error');
    expect(asProxyError(own, 'backend_timeout')).toBe(own);
    expect(asProxyError(new TypeError('boom'), 'internal_error')).toMatchObject({
      code: 'internal_error',
      detail: 'boom',
    });
    expect(asProxyError('text', 'internal_error').detail).toBe('text');
  });
});
