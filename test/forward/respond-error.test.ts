import { STATUS_CODES } from 'node:http';
import { CODES } from '#src/base/error-codes.ts';
import { type CodeSpec, type ErrorCode, ProxyError } from '#src/base/errors.ts';
import { respondError, respondRedirect, respondStatus } from '#src/forward/respond-error.ts';
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

describe('to gRPC', () => {
  const GRPC = { protocol: 'HTTP/2', method: 'POST' } as const;

  test.each([
    ['invalid_request_headers', 'application/grpc', '13', '400 Bad Request'],
    ['config_not_found', 'application/grpc+proto', '12', '404 Not Found'],
    ['backend_connect_refused', 'application/grpc;charset=utf-8', '14', '502 Bad Gateway'],
    ['failed_to_pick_backend', 'application/grpc', '14', '503 Service Unavailable'],
    ['backend_timeout', 'application/grpc', '14', '504 Gateway Timeout'],
    ['headers_too_long', 'application/grpc', '2', '413 Payload Too Large'],
  ] as const)('%s is a status of its own, in a response of trailers only', (code, type, grpcStatus, message) => {
    const exchange = new MemoryExchange({ ...GRPC, headers: ['x-a', 'b', 'content-type', type] });
    respondError(exchange, new ProxyError(code, { detail: 'secret detail' }));
    expect(exchange.events).toEqual(['respond 200 no body', 'end']);
    expect(exchange.responseHeaders).toEqual([
      'content-type',
      'application/grpc',
      'grpc-status',
      grpcStatus,
      'grpc-message',
      message,
    ]);
  });

  test('a fault is one as well', () => {
    const exchange = new MemoryExchange({ ...GRPC, headers: ['content-type', 'application/grpc'] });
    respondStatus(exchange, 503);
    expect([exchange.status, exchange.header('grpc-status')]).toEqual([200, '14']);
  });

  test.each([
    ['HTTP/2', 'application/grpc-web'],
    ['HTTP/2', 'application/grpcx'],
    ['HTTP/2', 'application/json'],
    ['HTTP/1.1', 'application/grpc'],
  ] as const)('over %s, %s gets the plain status', (protocol, type) => {
    const exchange = new MemoryExchange({ protocol, method: 'POST', headers: ['content-type', type] });
    respondError(exchange, new ProxyError('backend_connect_refused'));
    expect(exchange.status).toBe(502);
  });
});
