import fc from 'fast-check';
import type { ErrorCode } from '#src/base/errors.ts';
import type { RequestHead } from '#src/http/request-head.ts';
import { isAuthority, MAX_HEAD_BYTES, readHttp1Head, readHttp2Head } from '#src/http/request-head.ts';

const HOST = ['Host', 'a.example'];
const WEBSOCKET = ['Connection', 'keep-alive, Upgrade', 'Upgrade', 'WebSocket'];
const PSEUDO = pseudo({});

describe('readHttp1Head()', () => {
  test('lower-cases names, keeps order and duplicates, and takes Host out', () => {
    const head = http1('GET', '/a?b=%2F', ['Host', 'Example.com:8443', 'X-A', '1', 'x-a', '2', 'Cookie', 'k=v']);
    expect(head).toMatchObject({
      authority: 'Example.com:8443',
      target: '/a?b=%2F',
      contentLength: 0,
      rejection: null,
    });
    expect(head.headers).toEqual(['x-a', '1', 'x-a', '2', 'cookie', 'k=v']);
  });

  test('an absolute-form target replaces Host (security rule 4)', () => {
    const cases: [string, string, string, string][] = [
      ['GET', 'https://real.example/p?q', 'real.example', '/p?q'],
      ['GET', 'HTTP://real.example:81', 'real.example:81', '/'],
      ['GET', 'https://real.example?q', 'real.example', '/?q'],
      ['OPTIONS', 'https://real.example', 'real.example', '*'],
      ['OPTIONS', '*', 'other.example', '*'],
    ];
    for (const [method, requestTarget, authority, target] of cases) {
      expect(http1(method, requestTarget, ['Host', 'other.example'])).toMatchObject({
        authority,
        target,
        rejection: null,
      });
    }
  });

  test.each<[string, () => RequestHead, ErrorCode]>([
    ['no Host', () => http1('GET', '/', []), 'invalid_request_headers'],
    ['two Hosts', () => http1('GET', '/', ['Host', 'a', 'host', 'a']), 'invalid_request_headers'],
    ['an empty Host', () => http1('GET', '/', ['Host', '']), 'invalid_request_headers'],
    ['userinfo in Host', () => http1('GET', '/', ['Host', 'a/b@c']), 'invalid_request_headers'],
    ['userinfo in the target', () => http1('GET', 'https://u@a/', ['Host', 'a']), 'invalid_request_headers'],
    ['a list in Host', () => http1('GET', '/', ['Host', 'a, b']), 'invalid_request_headers'],
    ['a port beyond 65535', () => http1('GET', '/', ['Host', 'a:65536']), 'invalid_request_headers'],
    ['a fragment', () => http1('GET', '/a#b', HOST), 'failed_parsing_client_headers'],
    ['a non-ASCII target', () => http1('GET', '/\xe9', HOST), 'failed_parsing_client_headers'],
    ['`*` for GET', () => http1('GET', '*', HOST), 'failed_parsing_client_headers'],
    ['authority-form for GET', () => http1('GET', 'a:1', HOST), 'failed_parsing_client_headers'],
    ['another scheme', () => http1('GET', 'ftp://a/', HOST), 'failed_parsing_client_headers'],
    ['an absolute-form without authority', () => http1('GET', 'https:///x', HOST), 'failed_parsing_client_headers'],
    ['gzip, chunked', () => post(['Transfer-Encoding', 'gzip, chunked']), 'invalid_request_headers'],
    [
      'chunked twice',
      () => post(['Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked']),
      'invalid_request_headers',
    ],
    [
      'chunked and Content-Length',
      () => post(['Transfer-Encoding', 'chunked', 'Content-Length', '3']),
      'invalid_request_headers',
    ],
    ['two Content-Lengths', () => post(['Content-Length', '3', 'Content-Length', '3']), 'invalid_request_headers'],
    ['a signed Content-Length', () => post(['Content-Length', '+3']), 'invalid_request_headers'],
    ['a list in Content-Length', () => post(['Content-Length', '3, 3']), 'invalid_request_headers'],
    [
      'chunked in HTTP/1.0',
      () => http1('POST', '/', [...HOST, 'Transfer-Encoding', 'chunked'], 1, 0),
      'invalid_request_headers',
    ],
    ['HTTP/0.9', () => http1('GET', '/', [], 0, 9), 'http_version_not_supported'],
    ['HTTP/2.0 in a request line', () => http1('GET', '/', HOST, 2, 0), 'http_version_not_supported'],
    ['HTTP/1.2', () => http1('GET', '/', HOST, 1, 2), 'http_version_not_supported'],
    ['CONNECT', () => http1('CONNECT', 'a:1', HOST), 'unsupported_method'],
    ['another Expect', () => post(['Expect', 'a-pony', 'Content-Length', '1']), 'unsupported_100_continue'],
    ['two Expects', () => post(['Expect', '100-continue', 'Expect', '100-continue']), 'unsupported_100_continue'],
    ['TRACE with a body', () => http1('TRACE', '/', [...HOST, 'Content-Length', '1']), 'body_not_allowed'],
    ['a WebSocket POST', () => http1('POST', '/', [...HOST, ...WEBSOCKET]), 'upgrade_header_rejected'],
    [
      'a WebSocket with a body',
      () => http1('GET', '/', [...HOST, ...WEBSOCKET, 'Content-Length', '1']),
      'upgrade_header_rejected',
    ],
    ['a long head', () => http1('GET', '/', [...HOST, 'x', 'v'.repeat(MAX_HEAD_BYTES)]), 'headers_too_long'],
    ['1001 fields', () => http1('GET', '/', [...HOST, ...Array(2002).fill('x')]), 'headers_too_long'],
  ])('refuses %s and ends the connection (security rule 4)', (_what, read, code) => {
    const head = read();
    expect(head.rejection?.code).toBe(code);
    expect(head.isLast).toBe(true);
  });

  test('refuses https:// on a plaintext connection', () => {
    expect(readHttp1Head('GET', 'https://a/', 1, 1, HOST, false).rejection?.code).toBe('secure_url_rejected');
    expect(readHttp1Head('GET', 'http://a/', 1, 1, HOST, false).rejection).toBeNull();
  });

  test('reads the length of the body', () => {
    expect(post(['Content-Length', '17']).contentLength).toBe(17);
    expect(post(['Transfer-Encoding', 'Chunked']).contentLength).toBe(-1);
    expect(post([]).contentLength).toBe(0);
  });

  test('asks for 100 Continue only when a body follows and the client speaks HTTP/1.1', () => {
    expect(post(['Expect', '100-Continue', 'Content-Length', '1']).expectsContinue).toBe(true);
    expect(post(['Expect', '100-continue']).expectsContinue).toBe(false);
    const old = http1('POST', '/', [...HOST, 'Expect', 'a-pony', 'Content-Length', '1'], 1, 0);
    expect(old).toMatchObject({ rejection: null, expectsContinue: false });
  });

  test('an upgrade is a WebSocket only when it is exactly that; other tokens are dropped', () => {
    const websocket = http1('GET', '/', [...HOST, ...WEBSOCKET]);
    expect(websocket).toMatchObject({ isWebSocket: true, rejection: null });
    expect(websocket.headers).toEqual(['connection', 'keep-alive, Upgrade', 'upgrade', 'WebSocket']);
    for (const token of ['h2c', 'websocket, h2c', 'TLS/1.0']) {
      const head = http1('GET', '/', [
        ...HOST,
        'Connection',
        'Upgrade, HTTP2-Settings',
        'Upgrade',
        token,
        'HTTP2-Settings',
        'AAMAAABk',
      ]);
      expect(head).toMatchObject({
        isWebSocket: false,
        rejection: null,
        headers: ['connection', 'Upgrade, HTTP2-Settings'],
      });
    }
    expect(http1('GET', '/', [...HOST, 'Upgrade', 'websocket']).isWebSocket).toBe(false);
    expect(http1('GET', '/', [...HOST, ...WEBSOCKET], 1, 0).isWebSocket).toBe(false);
  });

  test('knows which request is the last of its connection', () => {
    expect(http1('GET', '/', HOST).isLast).toBe(false);
    expect(http1('GET', '/', [...HOST, 'Connection', 'foo ,\tClose']).isLast).toBe(true);
    expect(http1('GET', '/', ['Connection', 'keep-alive'], 1, 0)).toMatchObject({
      isLast: true,
      authority: '',
      rejection: null,
    });
  });

  test('never throws, and what it lets through is clean, for any input', () => {
    const text = fc
      .array(fc.integer({ min: 0, max: 255 }), { maxLength: 20 })
      .map((codes) => String.fromCharCode(...codes));
    const name = fc.oneof(
      fc.constantFrom('Host', 'content-length', 'Transfer-Encoding', 'Expect', 'Connection', 'Upgrade'),
      text,
    );
    const value = fc.oneof(
      fc.constantFrom('a.example', '1', 'chunked', '100-continue', 'close', 'websocket', 'upgrade'),
      text,
    );
    const target = fc.oneof(
      fc.constantFrom('/', '*', 'https://b.example/x'),
      text,
      text.map((rest) => `/${rest}`),
    );
    const method = fc.constantFrom('GET', 'POST', 'OPTIONS', 'CONNECT', 'NOPE');
    fc.assert(
      fc.property(
        method,
        target,
        fc.array(fc.tuple(name, value)),
        fc.constantFrom(0, 1),
        (verb, path, fields, minor) => {
          const head = readHttp1Head(verb, path, 1, minor, fields.flat(), true);
          if (head.rejection !== null) return;
          expect(isAuthority(head.authority) || (minor === 0 && head.authority === '')).toBe(true);
          expect(head.target).toMatch(/^(\/[!"$-~]*|\*)$/);
          const codings = fields.filter(([field]) => field.toLowerCase() === 'transfer-encoding');
          expect(
            codings.length === 0 || (codings.length === 1 && codings[0]![1] === 'chunked' && head.contentLength === -1),
          ).toBe(true);
          expect(fields.filter(([field]) => field.toLowerCase() === 'host').length).toBeLessThanOrEqual(1);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('readHttp2Head()', () => {
  test('reads pseudo-header fields and keeps the rest in order', () => {
    const head = readHttp2Head([...PSEUDO, 'cookie', 'a=1', 'cookie', 'b=2'], true);
    expect(head).toMatchObject({
      method: 'GET',
      authority: 'a.example',
      target: '/x',
      contentLength: 0,
      rejection: null,
    });
    expect(head.headers).toEqual(['cookie', 'a=1', 'cookie', 'b=2']);
  });

  test('takes the authority from host when :authority is absent (security rule 4)', () => {
    const fields = [':method', 'GET', ':scheme', 'https', ':path', '/', 'host', 'b.example'];
    expect(readHttp2Head(fields, true)).toMatchObject({ authority: 'b.example', rejection: null });
  });

  test('knows the length of the body', () => {
    expect(readHttp2Head(PSEUDO, false).contentLength).toBe(-1);
    expect(readHttp2Head([...PSEUDO, 'content-length', '5'], false).contentLength).toBe(5);
  });

  test.each<[string, string[], ErrorCode]>([
    ['host that differs', [...PSEUDO, 'host', 'b.example'], 'invalid_request_headers'],
    ['two hosts', [...PSEUDO, 'host', 'a.example', 'host', 'a.example'], 'invalid_request_headers'],
    ['no authority', [':method', 'GET', ':scheme', 'https', ':path', '/'], 'invalid_request_headers'],
    ['userinfo', pseudo({ ':authority': 'u@a' }), 'invalid_request_headers'],
    ['a fragment', pseudo({ ':path': '/a#b' }), 'invalid_http2_client_request_path'],
    ['a space in :path', pseudo({ ':path': '/a b' }), 'invalid_http2_client_request_path'],
    ['an absolute :path', pseudo({ ':path': 'https://a/' }), 'invalid_http2_client_request_path'],
    ['CONNECT', pseudo({ ':method': 'CONNECT' }), 'unsupported_method'],
    ['an unknown method', pseudo({ ':method': 'FOO' }), 'unsupported_method'],
    ['a method that is no token', pseudo({ ':method': 'G T' }), 'failed_parsing_client_headers'],
    ['a connection field', [...PSEUDO, 'connection', 'close'], 'invalid_http2_client_header_format'],
    ['te: gzip', [...PSEUDO, 'te', 'gzip'], 'invalid_http2_client_header_format'],
    ['an upper-case name', [...PSEUDO, 'X', '1'], 'invalid_http2_client_header_format'],
    ['a value with CR LF', [...PSEUDO, 'x', '1\r\ny: 2'], 'invalid_http2_client_header_format'],
    [
      'two content-lengths',
      [...PSEUDO, 'content-length', '1', 'content-length', '1'],
      'invalid_http2_client_header_format',
    ],
    ['expect', [...PSEUDO, 'expect', 'tea'], 'unsupported_100_continue'],
    ['a long head', [...PSEUDO, 'x', 'v'.repeat(MAX_HEAD_BYTES)], 'headers_too_long'],
  ])('refuses %s (security rule 4)', (_what, fields, code) => {
    expect(readHttp2Head(fields, false).rejection?.code).toBe(code);
  });
});

describe('isAuthority()', () => {
  test.each(['a', 'a.b:1', '127.0.0.1:65535', '[::1]', '[2001:db8::1]:443', 'my_host.example'])(
    'accepts %s',
    (text) => {
      expect(isAuthority(text)).toBe(true);
    },
  );
  test.each([
    '',
    ':1',
    'a:',
    'a:b',
    'a:123456',
    '[::1',
    '[]',
    '[::1]x',
    '[1.2.3.4]',
    '[fe80::1%eth0]',
    '::1',
    'a b',
    'a%41',
    'caf\xe9',
  ])('refuses %j', (text) => {
    expect(isAuthority(text)).toBe(false);
  });
});

function pseudo(overrides: Record<string, string>): string[] {
  const fields = { ':method': 'GET', ':scheme': 'https', ':authority': 'a.example', ':path': '/x', ...overrides };
  return Object.entries(fields).flat();
}

function http1(method: string, target: string, headers: string[], major = 1, minor = 1): RequestHead {
  return readHttp1Head(method, target, major, minor, headers, true);
}

function post(headers: string[]): RequestHead {
  return http1('POST', '/', [...HOST, ...headers]);
}
