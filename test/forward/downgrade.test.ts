import { connect } from 'node:net';
import {
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  GOAWAY,
  HEADERS,
  headerBlock,
  RawHttp2,
  RST_STREAM,
} from '../harness/raw-http2.ts';
import { LENIENCIES, type LenientBackend, lenientBackend, requestsIn } from './_lenient-backend.ts';
import { closeAll, type Proxy as RunningProxy, startProxy } from './_proxy.ts';

/** HTTP/2 to HTTP/1.1: HPACK carries any byte, so every part of a head can hold what would be framing one protocol down. */

let backend: LenientBackend;
let proxy: RunningProxy;

beforeAll(async () => {
  backend = await lenientBackend();
  proxy = await startProxy([backend.port], { clients: 'http2' });
});
afterAll(closeAll);

type Field = readonly [string, string];
const EVIL = 'x\r\nevil: 1\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: evil';

describe('a head with more in it than it should have never reaches a backend (security rule 31)', () => {
  test.each<[string, readonly Field[]]>([
    ['CR LF in :path', pseudo({ ':path': `/a HTTP/1.1\r\n${EVIL}` })],
    ['CR LF in :method', pseudo({ ':method': `GET / HTTP/1.1\r\n${EVIL}` })],
    ['CR LF in :authority', pseudo({ ':authority': `a\r\n${EVIL}` })],
    ['a space in :path', pseudo({ ':path': '/a b' })],
    ['a version in :path', pseudo({ ':path': '/a HTTP/1.1' })],
    ['a tab in :path', pseudo({ ':path': '/a\tb' })],
    ['a NUL in :path', pseudo({ ':path': '/a\0b' })],
    ['a high byte in :path', pseudo({ ':path': '/a\xff' })],
    ['a fragment in :path', pseudo({ ':path': '/a#b' })],
    ['an absolute :path', pseudo({ ':path': 'http://evil/' })],
    ['a relative :path', pseudo({ ':path': 'a' })],
    ['an empty :path', pseudo({ ':path': '' })],
    ['* for GET', pseudo({ ':path': '*' })],
    ['two :path', [...pseudo({}), [':path', '/b']]],
    ['no :path', pseudo({}).filter(([name]) => name !== ':path')],
    ['no :method', pseudo({}).filter(([name]) => name !== ':method')],
    ['a :method with a space', pseudo({ ':method': 'GET /smuggled' })],
    ['a :method in lower case', pseudo({ ':method': 'get' })],
    [
      'CONNECT',
      [
        [':method', 'CONNECT'],
        [':authority', 'a:1'],
      ],
    ],
    ['userinfo in :authority', pseudo({ ':authority': 'a@b' })],
    ['a path in :authority', pseudo({ ':authority': 'a/b' })],
    ['a space in :authority', pseudo({ ':authority': 'a b' })],
    ['a host that differs', [...pseudo({}), ['host', 'evil']]],
    ['two hosts', [...pseudo({}), ['host', 'a.example'], ['host', 'a.example']]],
    ['an unknown pseudo-header', [[':evil', 'x'], ...pseudo({})]],
    ['a pseudo-header behind a field', [['x', 'y'], ...pseudo({})]],
    ['transfer-encoding', [...pseudo({}), ['transfer-encoding', 'chunked']]],
    ['transfer_encoding', [...pseudo({}), ['transfer_encoding', 'chunked']]],
    ['content_length', [...pseudo({}), ['content_length', '5']]],
    ['connection', [...pseudo({}), ['connection', 'close']]],
    ['keep-alive', [...pseudo({}), ['keep-alive', 'x']]],
    ['proxy-connection', [...pseudo({}), ['proxy-connection', 'x']]],
    ['upgrade', [...pseudo({}), ['upgrade', 'websocket']]],
    ['te: gzip', [...pseudo({}), ['te', 'gzip']]],
    ['a content-length without a body', [...pseudo({}), ['content-length', '5']]],
    ['two content-lengths', [...pseudo({}), ['content-length', '0'], ['content-length', '0']]],
    ['a signed content-length', [...pseudo({}), ['content-length', '+0']]],
    ['a list of content-lengths', [...pseudo({}), ['content-length', '0, 0']]],
    ['an upper-case name', [...pseudo({}), ['Evil', 'x']]],
  ])('%s', async (_what, fields) => {
    const before = proxiedCount();
    const client = open();
    client.socket.write(frame(HEADERS, END_HEADERS | END_STREAM, 1, headerBlock(fields)));
    expect(await outcome(client, 1)).not.toBe(200);
    await settled();
    expect(proxiedCount()).toBe(before);
    expect(backend.excess(proxy.records)).toEqual([]);
  });
});

describe('a field that may not be sent is left out or refused, never sent as something else (security rule 31)', () => {
  test.each<[string, Field]>([
    ['CR LF in a value', ['x-a', EVIL]],
    ['a bare LF in a value', ['x-a', 'x\nevil: 1']],
    ['a bare CR in a value', ['x-a', 'x\revil: 1']],
    ['a NUL in a value', ['x-a', 'x\0evil: 1']],
    ['CR LF in a cookie', ['cookie', EVIL]],
    ['a colon in a name', ['evil: 1\r\nx', 'y']],
    ['a colon at the end of a name', ['content-length:', '5']],
    ['a space in a name', ['transfer-encoding ', 'chunked']],
    ['CR LF in a name', ['x\r\nevil', '1']],
    ['a NUL in a name', ['evil\0', '1']],
    ['an empty name', ['', 'evil']],
    ['whitespace around a value', ['x-a', ' evil\t']],
  ])('%s', async (_what, field) => {
    const client = open();
    const target = `/field-${sequence++}`;
    client.socket.write(
      frame(
        HEADERS,
        END_HEADERS | END_STREAM,
        1,
        headerBlock([...pseudo({ ':path': target }), field, ['x-last', '1']]),
      ),
    );
    await outcome(client, 1);
    await settled();
    for (const { text } of backend.connections) {
      expect(text).not.toMatch(/evil|\0/);
      const [head = ''] = text.split('\r\n\r\n', 1);
      for (const line of head.split('\r\n').slice(1)) expect(line).toMatch(/^[a-z0-9-]+: [^\r\n\0]*$/);
    }
    expect(backend.excess(proxy.records)).toEqual([]);
  });
});

describe('a body that is not what its content-length says is never complete', () => {
  test.each<[string, string, string]>([
    ['shorter', '9', 'GET /'],
    ['longer', '2', 'xxGET /smuggled HTTP/1.1\r\n\r\n'],
  ])('%s', async (_what, length, body) => {
    const client = open();
    const fields: Field[] = [
      ...pseudo({ ':method': 'POST', ':path': `/body-${sequence++}` }),
      ['content-length', length],
    ];
    client.socket.write(
      Buffer.concat([
        frame(HEADERS, END_HEADERS, 1, headerBlock(fields)),
        frame(DATA, END_STREAM, 1, Buffer.from(body)),
      ]),
    );
    expect(await outcome(client, 1)).not.toBe(200);
    await settled();
    const strict = LENIENCIES[0]!;
    for (const { text } of backend.connections) expect(requestsIn(text, strict).complete).toBe(0);
    expect(backend.excess(proxy.records)).toEqual([]);
  });
});

test('a body where content-length says none is for nobody', async () => {
  const client = open();
  const fields: Field[] = [...pseudo({ ':method': 'POST', ':path': '/none' }), ['content-length', '0']];
  client.socket.write(
    Buffer.concat([
      frame(HEADERS, END_HEADERS, 1, headerBlock(fields)),
      frame(DATA, END_STREAM, 1, Buffer.from('GET /smuggled HTTP/1.1\r\n\r\n')),
    ]),
  );
  await outcome(client, 1);
  await settled();
  for (const { text } of backend.connections) expect(text).not.toContain('smuggled');
  expect(backend.excess(proxy.records)).toEqual([]);
});

test('a body of unknown length that hides a request goes on as one chunked body', async () => {
  const client = open();
  client.socket.write(
    Buffer.concat([
      frame(HEADERS, END_HEADERS, 1, headerBlock(pseudo({ ':method': 'POST', ':path': '/chunked' }))),
      frame(DATA, 0, 1, Buffer.from('0\r\n\r\n')),
      frame(DATA, END_STREAM, 1, Buffer.from('GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n')),
    ]),
  );
  expect(await outcome(client, 1)).toBe(200);
  await settled();
  expect(backend.excess(proxy.records)).toEqual([]);
});

test('trailers that frame, route or identify do not reach an HTTP/1.1 backend', async () => {
  const client = open();
  const trailers: Field[] = [
    ['content-length', '5'],
    ['host', 'evil'],
    ['x-forwarded-for', 'evil'],
    ['x-client-cert-present', 'evil'],
  ];
  client.socket.write(
    Buffer.concat([
      frame(HEADERS, END_HEADERS, 1, headerBlock(pseudo({ ':method': 'POST', ':path': '/trailers' }))),
      frame(DATA, 0, 1, Buffer.from('hello')),
      frame(HEADERS, END_HEADERS | END_STREAM, 1, headerBlock(trailers)),
    ]),
  );
  await outcome(client, 1);
  await settled();
  for (const { text } of backend.connections) expect(text).not.toContain('evil');
  expect(backend.excess(proxy.records)).toEqual([]);
});

let sequence = 0;

function open(): RawHttp2 {
  const socket = connect({ port: proxy.port, host: '127.0.0.1' });
  socket.on('error', () => {});
  return new RawHttp2(socket);
}

/** The status of the stream, or 0 where it or the connection was ended without one. */
async function outcome(client: RawHttp2, streamId: number): Promise<number> {
  const of = (type: number) => client.of(type).filter((found) => found.streamId === streamId);
  const ends = () => [...of(HEADERS), ...of(DATA)].some(({ flags }) => (flags & END_STREAM) !== 0);
  while (!client.closed && of(RST_STREAM).length + client.of(GOAWAY).length === 0 && !ends()) {
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  client.socket.destroy();
  return of(HEADERS)[0]?.payload[0] === STATUS_200 ? 200 : 0;
}

async function settled(): Promise<void> {
  const { records } = proxy;
  while (records.all.length < records.startedCount) await records.nth(records.startedCount);
}

function proxiedCount(): number {
  return proxy.records.all.filter(({ attempts }) => attempts > 0).length;
}

function pseudo(overrides: Readonly<Record<string, string>>): Field[] {
  return Object.entries({
    ':method': 'GET',
    ':scheme': 'http',
    ':authority': 'a.example',
    ':path': '/a',
    ...overrides,
  });
}

const STATUS_200 = 0x88; // RFC 7541 appendix A: `:status: 200` is number 8 of the static table
