import fc from 'fast-check';
import type { BackendRequest } from '#src/backend/contract.ts';
import { requestHead } from '#src/backend/http1-request-head.ts';

const request = (facts: Partial<BackendRequest>): BackendRequest => ({
  method: 'GET',
  target: '/',
  scheme: 'https',
  authority: 'a.example',
  headers: [],
  contentLength: 0,
  isWebSocket: false,
  ...facts,
});

describe('requestHead()', () => {
  test('writes the line, Host, Connection and the fields', () => {
    const head = requestHead(
      request({ method: 'PUT', target: '/a?b', headers: ['x-a', '1', 'x-b', '\xfc \t'] }),
      false,
    );
    expect(head).toBe('PUT /a?b HTTP/1.1\r\nhost: a.example\r\nconnection: keep-alive\r\nx-a: 1\r\nx-b: \xfc \t\r\n');
    expect(requestHead(request({}), true)).toContain('\r\nconnection: close\r\n');
    expect(requestHead(request({ isWebSocket: true }), false)).toContain(
      'connection: upgrade\r\nupgrade: websocket\r\n',
    );
    expect(requestHead(request({ method: 'OPTIONS', target: '*' }), false)).toMatch(/^OPTIONS https:..a.example HTTP/);
  });

  test.each<[string, Partial<BackendRequest>]>([
    ['a line end in a value', { headers: ['x', 'a\r\nb'] }],
    ['a bare CR in a value', { headers: ['x', 'a\rb'] }],
    ['a bare LF in a value', { headers: ['x', 'a\nb'] }],
    ['a NUL in a value', { headers: ['x', 'a\0b'] }],
    ['what latin1 would turn into a line end', { headers: ['x', 'a\u010d\u010ab'] }],
    ['no name', { headers: ['', 'a'] }],
    ['a space in a name', { headers: ['x a', 'a'] }],
    ['an upper-case name', { headers: ['Host', 'evil'] }],
    ['a Host of its own', { headers: ['host', 'evil'] }],
    ['a Content-Length of its own', { headers: ['content-length', '5'] }],
    ['a Transfer-Encoding of its own', { headers: ['transfer-encoding', 'chunked'] }],
    ['a Connection of its own', { headers: ['connection', 'x'] }],
    ['a Keep-Alive of its own', { headers: ['keep-alive', 'timeout=1'] }],
    ['an Upgrade of its own', { headers: ['upgrade', 'h2c'] }],
    ['an Expect', { headers: ['expect', '100-continue'] }],
    ['a space in the path', { target: '/a b' }],
    ['a line end in the path', { target: '/a\r\nb' }],
    ['DEL in the path', { target: '/a\x7f' }],
    ['a path that latin1 would change', { target: '/\u0120' }],
    ['no path', { target: '' }],
    ['a path without slash', { target: 'a' }],
    ['a method that is no token', { method: 'GET /' }],
    ['no method', { method: '' }],
    ['a line end in the authority', { authority: 'a\r\nb' }],
  ])('refuses %s', (_what, facts) => {
    expect(requestHead(request(facts), false)).toBeNull();
  });

  test('has a line for each field and no other, whatever it is given', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', ' ', ':', '\r', '\n', '\0', '\xfc', '\u010a', '-') });
    fc.assert(
      fc.property(text, text, fc.array(fc.tuple(text, text)), (target, authority, fields) => {
        const head = requestHead(request({ target: `/${target}`, authority, headers: fields.flat() }), false);
        if (head === null) return;
        const bytes = Buffer.from(head, 'latin1').toString('latin1');
        expect(bytes).toBe(head);
        expect(bytes.split(/[\r\n]+/)).toHaveLength(3 + fields.length + 1);
      }),
      { numRuns: 1000 },
    );
  });
});
