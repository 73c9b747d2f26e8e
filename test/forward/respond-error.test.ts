import { STATUS_CODES } from 'node:http';
import { CODES } from '#src/base/error-codes.ts';
import { type CodeSpec, type ErrorCode, ProxyError } from '#src/base/errors.ts';
import { respondError, respondRedirect } from '#src/forward/respond-error.ts';
import { MemoryExchange } from './_memory.ts';

const codes = Object.keys(CODES) as ErrorCode[];

describe('respondError()', () => {
  test.each(codes.filter((code) => CODES[code].status >= 400 && CODES[code].status !== 499))(
    'answers %s with its status and nothing that tells why',
    (code) => {
      const exchange = new MemoryExchange();
      respondError(exchange, new ProxyError(code, { detail: 'secret detail', cause: new Error('secret cause') }));
      const { status, retryAfterSec }: CodeSpec = CODES[code];
      expect(exchange.status).toBe(status);
      expect(exchange.body).toBe(`${status} ${STATUS_CODES[status]}\n`);
      expect(exchange.responseHeaders).toEqual([
        'cache-control',
        'no-store',
        ...(retryAfterSec === undefined ? [] : ['retry-after', String(retryAfterSec)]),
        'content-type',
        'text/plain',
        'content-length',
        String(exchange.body.length),
      ]);
      expect(exchange.events).toEqual([`respond ${status} body`, 'end']);
    },
  );

  test.each(codes.filter((code) => CODES[code].status < 400 || CODES[code].status === 499))(
    'aborts for %s, which has no status for anybody',
    (code) => {
      const exchange = new MemoryExchange();
      respondError(exchange, new ProxyError(code));
      expect(exchange.events).toEqual([`abort ${code}`]);
    },
  );
});

test('every refusal for load says when to come again, and no other failure does', () => {
  const specs: (readonly [string, CodeSpec])[] = Object.entries(CODES);
  for (const [code, { status, proxyStatus, retryAfterSec }] of specs) {
    const isForLoad = status === 429 || proxyStatus === 'connection_limit_reached';
    expect([code, retryAfterSec !== undefined]).toEqual([code, isForLoad]);
  }
});

describe('respondRedirect()', () => {
  test('is 302 with the location', () => {
    const exchange = new MemoryExchange();
    respondRedirect(exchange, 302, 'https://a.example/b');
    expect(exchange.status).toBe(302);
    expect(exchange.header('location')).toBe('https://a.example/b');
  });

  test('never emits a location that would split the response', () => {
    const exchange = new MemoryExchange();
    respondRedirect(exchange, 302, 'https://a.example/\r\nset-cookie: a=b');
    expect(exchange.header('location')).toBeNull();
  });
});
