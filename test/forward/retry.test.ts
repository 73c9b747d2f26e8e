import fc from 'fast-check';
import { CODES } from '#src/base/error-codes.ts';
import { type ErrorCode, ProxyError } from '#src/base/errors.ts';
import { CONNECT_RETRY_WINDOW_MS, decideRetry, type FailedAttempt, isIdempotent } from '#src/forward/retry.ts';

const reset = new ProxyError('backend_connection_closed_before_data_sent_to_client');
const notProcessed = new ProxyError(reset.code, { retry: 'yes' });
const refused = new ProxyError('backend_connect_refused');
const attempt: FailedAttempt = {
  error: reset,
  method: 'GET',
  reused: true,
  sent: true,
  bodyTaken: false,
  answered: false,
  resetRetried: false,
  elapsedMs: 0,
};

describe('decideRetry()', () => {
  test.each<[string, Partial<FailedAttempt>, string]>([
    ['a reset on a reused connection', {}, 'once-more'],
    ['a second reset', { resetRetried: true }, 'no'],
    ['a reset on a fresh connection', { reused: false }, 'no'],
    ['a reset of POST', { method: 'POST' }, 'no'],
    ['a reset of POST before anything was sent', { method: 'POST', sent: false }, 'once-more'],
    ['a reset after body bytes', { bodyTaken: true }, 'no'],
    ['a reset after a response byte', { answered: true }, 'no'],
    ['a failed connect', { error: refused, reused: false, sent: false }, 'next-endpoint'],
    ['a failed connect for POST', { error: refused, method: 'POST', sent: false }, 'next-endpoint'],
    ['a failed connect after a reset was retried', { error: refused, resetRetried: true }, 'next-endpoint'],
    ['a failed connect after two connect timeouts', { error: refused, elapsedMs: CONNECT_RETRY_WINDOW_MS }, 'no'],
    ['a POST that an HTTP/2 server refused', { error: notProcessed, method: 'POST', reused: false }, 'once-more'],
    ['the same a second time', { error: notProcessed, resetRetried: true }, 'no'],
    ['the same with body bytes taken', { error: notProcessed, bodyTaken: true }, 'no'],
    ['a corrupted response', { error: new ProxyError('backend_response_corrupted') }, 'no'],
    ['a timeout', { error: new ProxyError('backend_timeout') }, 'no'],
  ])('%s', (_what, change, expected) => {
    expect(decideRetry({ ...attempt, ...change })).toBe(expected);
  });

  test('never retries after a response byte or with body bytes taken, whatever else is so', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...(Object.keys(CODES) as ErrorCode[])),
        fc.constantFrom('yes', 'no', 'if-reused'),
        fc.record({ reused: fc.boolean(), sent: fc.boolean(), resetRetried: fc.boolean(), answered: fc.boolean() }),
        (code, retry, facts) => {
          const error = new ProxyError(code, { retry });
          const decision = decideRetry({ ...attempt, ...facts, error, bodyTaken: !facts.answered });
          expect(decision).toBe('no');
        },
      ),
    );
  });
});

test.each([
  ['GET', true],
  ['HEAD', true],
  ['OPTIONS', true],
  ['TRACE', true],
  ['PUT', true],
  ['DELETE', true],
  ['POST', false],
  ['PATCH', false],
  ['get', false],
])('isIdempotent(%s) is %s (RFC 9110 section 9.2.2)', (method, expected) => {
  expect(isIdempotent(method)).toBe(expected);
});
