import fc from 'fast-check';
import type { ConnectionFacts, HeaderList, HttpProtocol, TlsFacts } from '#src/http/exchange.ts';
import {
  backendRequestHeaders,
  clientResponseHeaders,
  responseContentLength,
  viaCount,
} from '#src/http/forwarding-headers.ts';

const TRACE = '0123456789abcdef0123456789abcdef/1;o=0';
const plain: ConnectionFacts = {
  id: '1',
  remoteAddress: '192.0.2.7',
  remotePort: 50000,
  localAddress: '203.0.113.1',
  localPort: 443,
  targetProxy: 'web',
  forwardingRule: 'https',
  tls: null,
};
const secure: ConnectionFacts = { ...plain, tls: { protocol: 'TLSv1.3' } as TlsFacts };

function forwarded(
  headers: HeaderList,
  {
    to = 'http1',
    protocol = 'HTTP/1.1',
    connection = secure,
  }: { to?: 'http1' | 'http2'; protocol?: HttpProtocol; connection?: ConnectionFacts } = {},
): string[] {
  return backendRequestHeaders({ connection, protocol, headers }, to, TRACE);
}

function valuesOf(headers: HeaderList, name: string): string[] {
  return headers.filter((_, i) => i % 2 === 1 && headers[i - 1] === name);
}

const OURS = ['x-forwarded-for', '192.0.2.7,203.0.113.1', 'x-forwarded-proto', 'https', 'via', '1.1 sallyport'];

describe('backendRequestHeaders()', () => {
  test('keeps order, case of values and duplicates, and adds ours last', () => {
    expect(forwarded(['b', 'X', 'accept', 'a', 'accept', 'B'])).toEqual([
      'b',
      'X',
      'accept',
      'a',
      'accept',
      'B',
      ...OURS,
      'x-cloud-trace-context',
      TRACE,
    ]);
  });

  test.each([
    ['connection', 'close'],
    ['keep-alive', 'timeout=5'],
    ['proxy-connection', 'keep-alive'],
    ['proxy-authorization', 'Basic eDp5'],
    ['te', 'gzip'],
    ['trailer', 'x'],
    ['transfer-encoding', 'chunked'],
    ['upgrade', 'h2c'],
    ['http2-settings', 'AAMAAABkAAQAAP__'],
    ['expect', '100-continue'],
    ['content-length', '5'],
    ['host', 'a'],
    ['forwarded', 'for=10.0.0.1;proto=https'],
    ['x_forwarded-proto', 'https'],
    ['x_forwarded_for', '10.0.0.1'],
  ])('drops %s', (name, value) => {
    expect(forwarded([name, value])).toEqual(forwarded([]));
  });

  test('drops what Connection names before ours are added, so that no client can name ours away', () => {
    const headers = forwarded([
      'connection',
      'X-Secret, x-forwarded-for, x-forwarded-proto, via',
      'x-secret',
      '1',
      'x-forwarded-for',
      'spoofed',
    ]);
    expect(headers).toEqual([...OURS, 'x-cloud-trace-context', TRACE]);
  });

  test('passes te: trailers, and nothing else of te, to HTTP/2 only', () => {
    expect(valuesOf(forwarded(['te', 'Trailers'], { to: 'http2' }), 'te')).toEqual(['trailers']);
    expect(valuesOf(forwarded(['te', 'trailers', 'te', 'trailers'], { to: 'http2' }), 'te')).toEqual(['trailers']);
    expect(valuesOf(forwarded(['te', 'trailers, gzip'], { to: 'http2' }), 'te')).toEqual([]);
    expect(valuesOf(forwarded(['te', 'trailers']), 'te')).toEqual([]);
  });

  test('appends client and own address to the X-Forwarded-For that was supplied, over all its fields', () => {
    const headers = forwarded([
      'x-forwarded-for',
      '10.0.0.1, 10.0.0.2',
      'a',
      'b',
      'x-forwarded-for',
      '',
      'x-forwarded-for',
      '10.0.0.3',
    ]);
    expect(valuesOf(headers, 'x-forwarded-for')).toEqual(['10.0.0.1, 10.0.0.2,10.0.0.3,192.0.2.7,203.0.113.1']);
  });

  test('takes X-Forwarded-Proto from the socket, whatever the client says (security rule 4)', () => {
    expect(valuesOf(forwarded(['x-forwarded-proto', 'https'], { connection: plain }), 'x-forwarded-proto')).toEqual([
      'http',
    ]);
    expect(valuesOf(forwarded(['x-forwarded-proto', 'http']), 'x-forwarded-proto')).toEqual(['https']);
  });

  test('adds its Via after those that are there', () => {
    expect(valuesOf(forwarded(['via', '1.0 fred']), 'via')).toEqual(['1.0 fred', '1.1 sallyport']);
  });

  test('adds X-Cloud-Trace-Context only where there is none, and never touches traceparent', () => {
    const headers = forwarded(['x-cloud-trace-context', 'mine', 'traceparent', 'theirs', 'tracestate', 'a=b']);
    expect(valuesOf(headers, 'x-cloud-trace-context')).toEqual(['mine']);
    expect(valuesOf(headers, 'traceparent')).toEqual(['theirs']);
    expect(valuesOf(headers, 'tracestate')).toEqual(['a=b']);
  });

  test.each([[['early-data', '1']], [['early-data', '1', 'early-data', 'x']], [['early-data', '0']]])(
    'passes %j as one Early-Data: 1 (RFC 8470 section 5.2)',
    (headers) => {
      expect(valuesOf(forwarded(headers), 'early-data')).toEqual(['1']);
    },
  );

  test('joins the cookie fields of HTTP/2 towards HTTP/1.1 only', () => {
    const headers = ['cookie', 'a=1', 'x', 'y', 'cookie', 'b=2', 'cookie', 'c=3'];
    expect(valuesOf(forwarded(headers, { protocol: 'HTTP/2' }), 'cookie')).toEqual(['a=1; b=2; c=3']);
    expect(valuesOf(forwarded(headers, { protocol: 'HTTP/2', to: 'http2' }), 'cookie')).toEqual(['a=1', 'b=2', 'c=3']);
    expect(valuesOf(forwarded(headers, { protocol: 'HTTP/1.1' }), 'cookie')).toEqual(['a=1', 'b=2', 'c=3']);
  });

  test('whatever the fields: nothing hop-by-hop is left, ours are there once', () => {
    const name = fc.constantFrom(
      'connection',
      'te',
      'upgrade',
      'keep-alive',
      'x-a',
      'cookie',
      'via',
      'x-forwarded-for',
      'x-forwarded-proto',
      'transfer-encoding',
      'content-length',
      'early-data',
      'x-cloud-trace-context',
      'forwarded',
      'expect',
    );
    const value = fc.constantFrom('close', 'x-a', 'cookie, via', 'trailers', '', '1', 'a,b');
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value)), fc.constantFrom('http1', 'http2'), (pairs, to) => {
        const headers = forwarded(pairs.flat(), { to, protocol: 'HTTP/2' });
        expect(headers.length % 2).toBe(0);
        for (const gone of [
          'connection',
          'upgrade',
          'keep-alive',
          'transfer-encoding',
          'content-length',
          'forwarded',
          'expect',
        ]) {
          expect(valuesOf(headers, gone)).toEqual([]);
        }
        for (const own of ['x-forwarded-for', 'x-forwarded-proto']) expect(valuesOf(headers, own)).toHaveLength(1);
        expect(valuesOf(headers, 'via').at(-1)).toBe('1.1 sallyport');
        expect(valuesOf(headers, 'early-data').length).toBeLessThanOrEqual(1);
        if (to === 'http1') expect(valuesOf(headers, 'cookie').length).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe('clientResponseHeaders()', () => {
  test('drops hop-by-hop and Connection-named fields and adds Via', () => {
    const headers = clientResponseHeaders(
      [
        'connection',
        'close, x-internal',
        'x-internal',
        '1',
        'content-type',
        'text/html',
        'transfer-encoding',
        'chunked',
        'set-cookie',
        'a=1',
        'set-cookie',
        'b=2',
        'keep-alive',
        'timeout=5',
        'proxy-authenticate',
        'Basic',
        'trailer',
        'x',
        'upgrade',
        'h2c',
      ],
      200,
    );
    expect(headers).toEqual([
      'content-type',
      'text/html',
      'set-cookie',
      'a=1',
      'set-cookie',
      'b=2',
      'via',
      '1.1 sallyport',
    ]);
  });

  test('sends Content-Length once, and not at all with 1xx and 204', () => {
    const length = ['content-length', '5', 'content-length', '5'];
    expect(clientResponseHeaders(length, 200)).toEqual(['content-length', '5', 'via', '1.1 sallyport']);
    expect(clientResponseHeaders(length, 304)).toEqual(['content-length', '5', 'via', '1.1 sallyport']);
    expect(clientResponseHeaders(length, 204)).toEqual(['via', '1.1 sallyport']);
    expect(clientResponseHeaders(length, 103)).toEqual(['via', '1.1 sallyport']);
  });

  test('leaves Content-Length out where trailers are announced, for they have no place after it', () => {
    expect(clientResponseHeaders(['content-length', '5', 'a', 'b', 'trailer', 'digest'], 200)).toEqual([
      'a',
      'b',
      'via',
      '1.1 sallyport',
    ]);
  });

  test('takes whitespace around a value for what it is: no part of it', () => {
    expect(clientResponseHeaders(['a', ' x y \t'], 200)).toEqual(['a', 'x y', 'via', '1.1 sallyport']);
  });

  test.each([
    ['a', 'x\r\ny: z'],
    ['a', 'x\0'],
    ['a', '\u0100'],
    ['a b', 'x'],
    ['A', 'x'],
    ['', 'x'],
    [':status', '200'],
  ])('is null for %j: %j (RFC 9110 section 5.5)', (name, value) => {
    expect(clientResponseHeaders([name, value], 200)).toBeNull();
  });

  test('never emits a byte that could end a field, whatever the backend sent (security rule 15)', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }))), (pairs) => {
        // oxlint-disable-next-line no-control-regex
        for (const text of clientResponseHeaders(pairs.flat(), 200) ?? []) expect(text).not.toMatch(/[\r\n\0]/);
      }),
    );
  });
});

describe('responseContentLength()', () => {
  test.each<[HeaderList, number]>([
    [[], -1],
    [['content-length', '0'], 0],
    [['content-length', ' 12 '], 12],
    [['content-length', '7', 'content-length', '7'], 7],
    [['content-length', '7', 'content-length', '8'], -2],
    [['content-length', '7, 7'], -2],
    [['content-length', '+7'], -2],
    [['content-length', '-7'], -2],
    [['content-length', '0x7'], -2],
    [['content-length', ''], -2],
    [['content-length', '9'.repeat(16)], -2],
  ])('%j is %d', (headers, expected) => {
    expect(responseContentLength(headers)).toBe(expected);
  });
});

describe('viaCount()', () => {
  test.each<[HeaderList, number]>([
    [[], 0],
    [['via', '1.1 google'], 0],
    [['via', '1.1 sallyport'], 1],
    [['via', '1.0 fred, 1.1 sallyport (x), 1.1 sallyport', 'via', '1.1 sallyport,2 other'], 3],
    [['via', '1.1 sallyports'], 0],
    [['x-via', '1.1 sallyport'], 0],
  ])('of %j is %d', (headers, expected) => {
    expect(viaCount(headers)).toBe(expected);
  });
});
