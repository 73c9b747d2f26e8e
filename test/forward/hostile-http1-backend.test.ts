import { type Asked, asking } from './_hostile.ts';
import { closeAll, rawBackend, startProxy } from './_proxy.ts';
import type { Version } from './_sides.ts';

/**
 * An HTTP/1.1 backend that answers with what no server should send, seen by clients of both versions. For each answer: what the client
 * gets and whether it takes that for whole, the reason in the record, and that the connection serves nobody else (security rule 2).
 */

afterEach(closeAll);

interface Answer {
  readonly bytes: string;
  readonly method?: 'GET' | 'HEAD';
  /** What the backend does after the bytes, once the client has `passed` bytes of the body. */
  readonly end?: 'FIN' | 'RST';
  readonly passed?: number;
}

interface Expected {
  readonly status: number;
  readonly details: string;
  /** The body that the client takes for whole; null: it must not take it for whole. */
  readonly body: string | null;
  /** The connection is as good as new. */
  readonly reused?: true;
}

type Case = readonly [string, Answer, Expected];

const corrupted: Expected = { status: 502, details: 'backend_response_corrupted', body: '502 Bad Gateway\n' };
const interim: Expected = { ...corrupted, details: 'backend_interim_response_not_supported' };
const tooLong: Expected = { ...corrupted, details: 'backend_response_headers_too_long' };
const closedBefore: Expected = { ...corrupted, details: 'backend_connection_closed_before_data_sent_to_client' };
const cut: Expected = { status: 200, details: 'backend_connection_closed_after_partial_response_sent', body: null };
const cutCorrupted: Expected = { ...cut, details: 'backend_response_corrupted' };
const whole = (body: string, status = 200): Expected => ({ status, details: 'response_sent_by_backend', body });

const OK = 'HTTP/1.1 200 OK\r\n';
const POISON = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison';
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`;
const field = (line: string): Answer => ({ bytes: `${OK}${line}\r\nContent-Length: 2\r\n\r\nok` });
const line = (status: string): Answer => ({ bytes: `${status}\r\nContent-Length: 2\r\n\r\nok` });
const framed = (fields: string, body = 'ok'): Answer => ({ bytes: `${OK}${fields}\r\n\r\n${body}` });
const chunks = (body: string): Answer => ({ bytes: CHUNKED + body });

const SPLITTING: readonly Case[] = [
  ['a bare CR in a value', field('X-A: a\rX-Evil: 1'), corrupted],
  ['a bare LF in a value', field('X-A: a\nX-Evil: 1'), corrupted],
  ['a NUL in a value', field('X-A: a\0b'), corrupted],
  ['a control byte in a value', field('X-A: a\x01b'), corrupted],
  ['DEL in a value', field('X-A: a\x7fb'), corrupted],
  ['CR CR LF at the end of a value', field('X-A: a\r'), corrupted],
  ['a bare CR in a name', field('X\rA: 1'), corrupted],
  ['a bare LF in a name', field('X\nA: 1'), corrupted],
  ['a NUL in a name', field('X\0A: 1'), corrupted],
  ['a space in a name', field('X A: 1'), corrupted],
  ['a space before the colon', field('X-A : 1'), corrupted],
  ['a tab before the colon', field('X-A\t: 1'), corrupted],
  ['a high byte in a name', field('X-\xe4: 1'), corrupted],
  ['no name', field(': 1'), corrupted],
  ['no colon', field('X-A 1'), corrupted],
  ['a field folded with a space', field('X-A: a\r\n b'), corrupted],
  ['a field folded with a tab', field('X-A: a\r\n\tb'), corrupted],
  ['a fold before the first field', { bytes: `${OK} X-A: a\r\nContent-Length: 2\r\n\r\nok` }, corrupted],
  ['a bare LF after the status line', { bytes: 'HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok' }, corrupted],
  ['a bare LF at the end of the head', { bytes: `${OK}Content-Length: 2\r\n\nok` }, corrupted],
  ['a bare CR in the reason', line('HTTP/1.1 200 O\rK'), corrupted],
  // a client ignores the reason (RFC 9112 section 4), and this one does not pass it on
  ['a NUL in the reason', line('HTTP/1.1 200 O\0K'), { ...whole('ok'), reused: true }],
];

const STATUS_LINES: readonly Case[] = [
  ['status 000', line('HTTP/1.1 000 None'), corrupted],
  ['status 099', line('HTTP/1.1 099 None'), corrupted],
  ['status 600', line('HTTP/1.1 600 None'), corrupted],
  ['status 999', line('HTTP/1.1 999 None'), corrupted],
  ['a status of two digits', line('HTTP/1.1 20 OK'), corrupted],
  ['a status of four digits', line('HTTP/1.1 2000 OK'), corrupted],
  ['a status that is no number', line('HTTP/1.1 2x0 OK'), corrupted],
  ['a negative status', line('HTTP/1.1 -20 OK'), corrupted],
  ['no status', line('HTTP/1.1  OK'), corrupted],
  ['HTTP/0.9', { bytes: '<html>hello</html>\r\n', end: 'FIN' }, corrupted],
  // the parser reads these two as HTTP/1.0: framed by the same fields, and no second exchange
  ['HTTP/0.9 in a status line', line('HTTP/0.9 200 OK'), whole('ok')],
  ['HTTP/2.0', line('HTTP/2.0 200 OK'), whole('ok')],
  ['HTTP/1.2', line('HTTP/1.2 200 OK'), corrupted],
  ['HTTP/2 frames', { bytes: '\0\0\0\x04\0\0\0\0\0' }, corrupted],
  ['a request', { bytes: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n' }, corrupted],
  ['http in lower case', line('http/1.1 200 OK'), corrupted],
  ['a space before the status line', line(' HTTP/1.1 200 OK'), corrupted],
  ['two spaces before the status', line('HTTP/1.1  200 OK'), corrupted],
  ['a tab before the status', line('HTTP/1.1\t200 OK'), corrupted],
];

const INTERIM: readonly Case[] = [
  [
    'a 101 nobody asked for',
    { bytes: 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n' },
    interim,
  ],
  ['a 101 without Upgrade', { bytes: `HTTP/1.1 101 Switching Protocols\r\n\r\n${POISON}` }, interim],
  ['a 100 nobody asked for', { bytes: `HTTP/1.1 100 Continue\r\n\r\n${POISON}` }, interim],
  ['17 times 103', { bytes: `${'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(17)}${POISON}` }, interim],
  ['17 times 102', { bytes: `${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(17)}${POISON}` }, interim],
  ['100 000 times 103', { bytes: 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(100_000) }, interim],
  ['a 103 with a bare LF in a field', { bytes: `HTTP/1.1 103 Early Hints\r\nX-A: a\nb\r\n\r\n${POISON}` }, corrupted],
  ['a 103 and the end', { bytes: 'HTTP/1.1 103 Early Hints\r\n\r\n', end: 'FIN' }, closedBefore],
];

const LENGTHS: readonly Case[] = [
  ['a length and chunks', framed('Content-Length: 2\r\nTransfer-Encoding: chunked', '2\r\nok\r\n0\r\n\r\n'), corrupted],
  ['chunks and a length', framed('Transfer-Encoding: chunked\r\nContent-Length: 2', '2\r\nok\r\n0\r\n\r\n'), corrupted],
  ['two lengths that differ', framed('Content-Length: 2\r\nContent-Length: 3'), corrupted],
  ['a list of lengths that differ', framed('Content-Length: 2, 3'), corrupted],
  ['a list of the same length', framed('Content-Length: 2, 2'), corrupted],
  ['the same length twice', framed('Content-Length: 2\r\nContent-Length: 2'), corrupted],
  ['a length with +', framed('Content-Length: +2'), corrupted],
  ['a length with -', framed('Content-Length: -2'), corrupted],
  ['a hexadecimal length', framed('Content-Length: 0x2'), corrupted],
  ['a length with a point', framed('Content-Length: 2.0'), corrupted],
  ['a length with a space in it', framed('Content-Length: 2 0'), corrupted],
  ['an empty length', framed('Content-Length:'), corrupted],
  ['a length over 2^64', framed('Content-Length: 18446744073709551618'), corrupted],
  ['a length over 2^53', framed('Content-Length: 9007199254740994'), corrupted],
  ['a coding before chunked', framed('Transfer-Encoding: gzip, chunked', '2\r\nok\r\n0\r\n\r\n'), corrupted],
  ['a coding after chunked', framed('Transfer-Encoding: chunked, gzip', '2\r\nok\r\n0\r\n\r\n'), corrupted],
  ['chunked twice', framed('Transfer-Encoding: chunked, chunked', '2\r\nok\r\n0\r\n\r\n'), corrupted],
  [
    'chunked in two fields',
    framed('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', '2\r\nok\r\n0\r\n\r\n'),
    corrupted,
  ],
  ['xchunked', framed('Transfer-Encoding: xchunked', '2\r\nok\r\n0\r\n\r\n'), corrupted],
  ['identity', framed('Transfer-Encoding: identity'), corrupted],
  ['identity and a length', framed('Transfer-Encoding: identity\r\nContent-Length: 2'), corrupted],
  ['an empty coding', framed('Transfer-Encoding:'), corrupted],
  // RFC 9112 section 6.1: read, and the connection closed after it
  [
    'chunks in HTTP/1.0',
    { bytes: 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n' },
    whole('ok'),
  ],
];

const CHUNKS: readonly Case[] = [
  ['a chunk size that is no number', chunks('2\r\nok\r\nzz\r\n'), cutCorrupted],
  ['a chunk size with +', chunks('2\r\nok\r\n+2\r\nok\r\n0\r\n\r\n'), cutCorrupted],
  ['a chunk size with -', chunks('2\r\nok\r\n-2\r\nok\r\n0\r\n\r\n'), cutCorrupted],
  ['a chunk size with 0x', chunks('2\r\nok\r\n0x2\r\nok\r\n0\r\n\r\n'), cutCorrupted],
  ['an empty chunk size', chunks('2\r\nok\r\n\r\n0\r\n\r\n'), cutCorrupted],
  ['a chunk size over 2^64', chunks('2\r\nok\r\n10000000000000002\r\nok\r\n0\r\n\r\n'), cutCorrupted],
  ['a space before a chunk size', chunks('2\r\nok\r\n 2\r\nok\r\n0\r\n\r\n'), cutCorrupted],
  ['a space after a chunk size', chunks('2\r\nok\r\n2 \r\nok\r\n0\r\n\r\n'), cutCorrupted],
  ['a bare LF after a chunk size', chunks('2\r\nok\r\n2\nok\r\n0\r\n\r\n'), cutCorrupted],
  ['a bare CR after a chunk size', chunks('2\r\nok\r\n2\rok\r\n0\r\n\r\n'), cutCorrupted],
  ['a bare LF after a chunk', chunks('2\r\nok\n2\r\nok\r\n0\r\n\r\n'), cutCorrupted],
  ['a chunk longer than its size', chunks('2\r\nok\r\n2\r\nokok\r\n0\r\n\r\n'), cutCorrupted],
  ['a bare LF in an extension', chunks('2\r\nok\r\n2;a\nb\r\nok\r\n0\r\n\r\n'), cutCorrupted],
  ['a bare CR in an extension', chunks('2\r\nok\r\n2;a\rb\r\nok\r\n0\r\n\r\n'), cutCorrupted],
  ['a NUL in an extension', chunks('2\r\nok\r\n2;a\0b\r\nok\r\n0\r\n\r\n'), cutCorrupted],
  ['an extension that HTTP allows', chunks('2;a="b c"\r\nok\r\n0;last\r\n\r\n'), { ...whole('ok'), reused: true }],
  ['a bare LF in a trailer', chunks('2\r\nok\r\n0\r\nX-A: a\nb\r\n\r\n'), cutCorrupted],
  ['a space before the colon of a trailer', chunks('2\r\nok\r\n0\r\nX-A : a\r\n\r\n'), cutCorrupted],
  ['a folded trailer', chunks('2\r\nok\r\n0\r\nX-A: a\r\n b\r\n\r\n'), cutCorrupted],
  ['a Content-Length among the trailers', chunks('2\r\nok\r\n0\r\nContent-Length: 9\r\n\r\n'), cutCorrupted],
  ['a Transfer-Encoding among the trailers', chunks('2\r\nok\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n'), whole('ok')],
  ['an Upgrade among the trailers', chunks('2\r\nok\r\n0\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n'), whole('ok')],
  [
    'trailers that frame and route',
    chunks('2\r\nok\r\n0\r\nConnection: close\r\nHost: evil\r\nVia: evil\r\nTrailer: evil\r\n\r\n'),
    whole('ok'),
  ],
];

const TOO_MUCH: readonly Case[] = [
  ['a second response', { bytes: `${OK}Content-Length: 2\r\n\r\nok${POISON}` }, whole('ok')],
  ['a second response after chunks', { bytes: `${CHUNKED}2\r\nok\r\n0\r\n\r\n${POISON}` }, whole('ok')],
  ['a second response to HEAD', { method: 'HEAD', bytes: `${OK}Content-Length: 2\r\n\r\n${POISON}` }, whole('')],
  ['bytes after the length', { bytes: `${OK}Content-Length: 2\r\n\r\nokpoison` }, whole('ok')],
  // nothing that could be for anybody
  [
    'line ends after the length',
    { bytes: `${OK}Content-Length: 2\r\n\r\nok\r\n\r\n` },
    { ...whole('ok'), reused: true },
  ],
  ['a NUL after the length', { bytes: `${OK}Content-Length: 2\r\n\r\nok\0` }, whole('ok')],
  ['bytes after the last chunk', { bytes: `${CHUNKED}2\r\nok\r\n0\r\n\r\npoison` }, whole('ok')],
  ['a body to HEAD', { method: 'HEAD', bytes: `${OK}Content-Length: 6\r\n\r\npoison` }, whole('')],
  ['chunks to HEAD', { method: 'HEAD', bytes: `${CHUNKED}6\r\npoison\r\n0\r\n\r\n` }, whole('')],
  ['a body to 204', { bytes: 'HTTP/1.1 204 No Content\r\n\r\npoison' }, whole('', 204)],
  [
    'a body of declared length to 204',
    { bytes: 'HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\npoison' },
    whole('', 204),
  ],
  [
    'chunks to 204',
    { bytes: 'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n6\r\npoison\r\n0\r\n\r\n' },
    whole('', 204),
  ],
  ['a body to 304', { bytes: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\npoison' }, whole('', 304)],
  [
    'chunks to 304',
    { bytes: 'HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n6\r\npoison\r\n0\r\n\r\n' },
    whole('', 304),
  ],
  ['a response to a 304', { bytes: `HTTP/1.1 304 Not Modified\r\n\r\n${POISON}` }, whole('', 304)],
];

const TOO_LONG: readonly Case[] = [
  ['a field of 129 KiB', field(`X-A: ${'a'.repeat(129 * 1024)}`), tooLong],
  ['a name of 129 KiB', field(`${'a'.repeat(129 * 1024)}: a`), tooLong],
  [
    '129 KiB in many fields',
    field(Array.from({ length: 1290 }, () => `X-A: ${'a'.repeat(100)}`).join('\r\n')),
    tooLong,
  ],
  ['10 000 empty fields', field(Array.from({ length: 20_000 }, () => 'X-A:').join('\r\n')), tooLong],
  ['a field without end', { bytes: `${OK}X-A: ${'a'.repeat(4 * 1024 * 1024)}` }, tooLong],
  ['fields without end', { bytes: `${OK}${'X-A: a\r\n'.repeat(512 * 1024)}` }, tooLong],
  ['a name without end', { bytes: `${OK}${'a'.repeat(4 * 1024 * 1024)}` }, tooLong],
  [
    'trailers without end',
    chunks(`2\r\nok\r\n0\r\n${'X-A: a\r\n'.repeat(512 * 1024)}`),
    { ...cut, details: 'backend_response_headers_too_long' },
  ],
];

const ENDS: readonly Case[] = [
  ['FIN before anything', { bytes: '', end: 'FIN' }, closedBefore],
  ['RST before anything', { bytes: '', end: 'RST' }, closedBefore],
  ['FIN in the status line', { bytes: 'HTTP/1.1 2', end: 'FIN' }, closedBefore],
  ['RST in the status line', { bytes: 'HTTP/1.1 2', end: 'RST' }, closedBefore],
  ['FIN in the head', { bytes: `${OK}Content-Le`, end: 'FIN' }, closedBefore],
  ['RST in the head', { bytes: `${OK}Content-Le`, end: 'RST' }, closedBefore],
  ['FIN before the body', { bytes: `${OK}Content-Length: 2\r\n\r\n`, end: 'FIN' }, cut],
  ['FIN in the body', { bytes: `${OK}Content-Length: 4\r\n\r\nok`, end: 'FIN', passed: 2 }, cut],
  ['RST in the body', { bytes: `${OK}Content-Length: 4\r\n\r\nok`, end: 'RST', passed: 2 }, cut],
  // undici takes it for the end
  ['RST in a body that ends with the connection', { bytes: `${OK}\r\nok`, end: 'RST', passed: 2 }, cut],
  ['RST in a body of HTTP/1.0', { bytes: 'HTTP/1.0 200 OK\r\n\r\nok', end: 'RST', passed: 2 }, cut],
  [
    'RST in a chunk with Connection: close',
    { bytes: `${OK}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nok`, end: 'RST', passed: 2 },
    cut,
  ],
  [
    'RST in a body with Connection: close',
    { bytes: `${OK}Connection: close\r\nContent-Length: 4\r\n\r\nok`, end: 'RST', passed: 2 },
    cut,
  ],
  ['FIN in a body that ends with the connection', { bytes: `${OK}\r\nok`, end: 'FIN', passed: 2 }, whole('ok')],
  ['FIN before the first chunk', { bytes: CHUNKED, end: 'FIN' }, cut],
  ['FIN in a chunk size', { bytes: `${CHUNKED}2\r\nok\r\n1`, end: 'FIN', passed: 2 }, cut],
  ['RST in a chunk size', { bytes: `${CHUNKED}2\r\nok\r\n1`, end: 'RST', passed: 2 }, cut],
  ['FIN in a chunk', { bytes: `${CHUNKED}4\r\nok`, end: 'FIN', passed: 2 }, cut],
  ['RST in a chunk', { bytes: `${CHUNKED}4\r\nok`, end: 'RST', passed: 2 }, cut],
  ['FIN instead of the last chunk', { bytes: `${CHUNKED}2\r\nok\r\n`, end: 'FIN', passed: 2 }, cut],
  ['FIN in the last chunk', { bytes: `${CHUNKED}2\r\nok\r\n0\r\n`, end: 'FIN', passed: 2 }, cut],
  ['FIN in the trailers', { bytes: `${CHUNKED}2\r\nok\r\n0\r\nX-A: a`, end: 'FIN', passed: 2 }, cut],
  ['RST in the trailers', { bytes: `${CHUNKED}2\r\nok\r\n0\r\nX-A: a`, end: 'RST', passed: 2 }, cut],
  ['FIN after the response', { bytes: `${OK}Content-Length: 2\r\n\r\nok`, end: 'FIN', passed: 2 }, whole('ok')],
  ['RST after the response', { bytes: `${OK}Content-Length: 2\r\n\r\nok`, end: 'RST', passed: 2 }, whole('ok')],
];

describe.each<Version>(['http1', 'http2'])('a client of %s', (version) => {
  describe.each([
    ['response splitting', SPLITTING],
    ['status lines', STATUS_LINES],
    ['interim responses', INTERIM],
    ['lengths', LENGTHS],
    ['chunks', CHUNKS],
    ['more than one response', TOO_MUCH],
    ['too much of a head', TOO_LONG],
    ['early ends', ENDS],
  ])('%s', (_what, cases) => {
    test.each(cases)('%s', async (_name, answer, expected) => {
      const { method = 'GET', bytes, end, passed = 0 } = answer;
      const asked = Promise.withResolvers<Asked>();
      let onHostile = 0;
      const backend = await rawBackend(async (connection, index) => {
        for (let count = 0; ; count++) {
          await connection.head();
          connection.text = '';
          if (index === 0) onHostile++;
          if (index > 0 || count > 0) {
            connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext');
            continue;
          }
          connection.socket.write(bytes, 'latin1');
          if (end === undefined) continue;
          await (await asked.promise).received(passed);
          if (end === 'FIN') connection.socket.end();
          else connection.socket.resetAndDestroy();
          return;
        }
      });
      const proxy = await startProxy([backend.port], { clients: version });
      const clients = asking(version, proxy);
      const first = clients.ask(method);
      asked.resolve(first);
      const seen = await first.outcome;
      const record = await proxy.records.nth(1);
      expect(record).toMatchObject({ status: expected.status, statusDetails: expected.details, attempts: 1 });
      if (expected.body === null) expect(seen.isComplete).toBe(false);
      else expect(seen).toMatchObject({ status: expected.status, body: expected.body, isComplete: true });
      expect(seen.text).not.toMatch(/evil|poison|\0/i);
      const next = await clients.ask().outcome;
      expect(next).toMatchObject({ status: 200, body: 'next', isComplete: true });
      expect(onHostile).toBe(expected.reused ? 2 : 1);
      clients.stop();
    });
  });
});

// Neither is held in memory or passed on; what has no end takes no longer than any other response may.
describe.each<Version>(['http1', 'http2'])('a client of %s is not left to', (version) => {
  test.each<[string, string, number]>([
    ['a reason without end', 'HTTP/1.1 200 ', 504],
    ['a chunk extension without end', `${CHUNKED}2\r\nok\r\n2;`, 200],
  ])('%s', async (_name, bytes, status) => {
    const backend = await rawBackend(async (connection, index) => {
      await connection.head();
      if (index > 0) connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext');
      else connection.socket.write(bytes + 'a'.repeat(4 * 1024 * 1024));
    });
    const proxy = await startProxy([backend.port], { clients: version, timeoutSec: 1 });
    const clients = asking(version, proxy);
    const seen = await clients.ask().outcome;
    expect(await proxy.records.nth(1)).toMatchObject({ status, statusDetails: 'backend_timeout' });
    expect(seen.isComplete).toBe(status === 504);
    expect((await clients.ask().outcome).body).toBe('next');
    expect(backend.connections).toHaveLength(2);
    clients.stop();
  });
});

// It cannot come before the response is over: that one belongs to the client, and what is after it to nobody.
test('a response that comes while nobody asks ends the connection and answers no one', async () => {
  const backend = await rawBackend(async (connection) => {
    await connection.head();
    connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext');
  });
  const proxy = await startProxy([backend.port]);
  const clients = asking('http1', proxy);
  expect((await clients.ask().outcome).body).toBe('next');
  const [first] = backend.connections;
  first!.socket.write(POISON);
  await first!.until((self) => self.closed);
  expect((await clients.ask().outcome).body).toBe('next');
  expect(backend.connections).toHaveLength(2);
});
