import { createServer, type Socket } from 'node:net';
import {
  ACK,
  CLIENT_MAGIC,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  GOAWAY,
  HEADERS,
  headerBlock,
  PADDED,
  PING,
  PUSH_PROMISE,
  RawHttp2,
  RST_STREAM,
  SETTINGS,
  setting,
  WINDOW_UPDATE,
} from '../harness/raw-http2.ts';
import { until } from '../harness/until.ts';
import { askHttp1 } from './_hostile.ts';
import { closeAll, listen, type ProxyOptions, type Proxy as RunningProxy, startProxy } from './_proxy.ts';

const cleanups: (() => void)[] = [];
afterEach(async () => {
  await closeAll();
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

/** Of the first session, what comes back once the innocent request beside it is there; its stream is 1, that of the innocent 3. */
type Script = readonly Buffer[];

interface Expected {
  readonly status: number;
  readonly details: string;
  /** The body that the client takes for whole; null: it must not. */
  readonly body: string | null;
  readonly attempts?: number;
  /** 2: the session is over, and who shared it is asked again. */
  readonly sessions: 1 | 2;
}

type Case = readonly [string, Script, Expected];

const CORRUPTED = 'backend_response_corrupted';
const BEFORE = 'backend_connection_closed_before_data_sent_to_client';
const AFTER = 'backend_connection_closed_after_partial_response_sent';
const refused = (details: string, sessions: 1 | 2 = 1): Expected => ({
  status: 502,
  details,
  body: '502 Bad Gateway\n',
  sessions,
});
const cut = (sessions: 1 | 2 = 1, details = AFTER): Expected => ({ status: 200, details, body: null, sessions });
const whole = (body: string, sessions: 1 | 2 = 1): Expected => ({
  status: 200,
  details: 'response_sent_by_backend',
  body,
  sessions,
});

type Fields = readonly (readonly [string, string])[];
const head = (fields: Fields, flags = END_HEADERS | END_STREAM): Buffer =>
  frame(HEADERS, flags, 1, headerBlock(fields));
const ok = (fields: Fields = [], flags = END_HEADERS): Buffer => head([[':status', '200'], ...fields], flags);
const data = (text: string, flags = 0): Buffer => frame(DATA, flags, 1, Buffer.from(text));
const u32 = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, 4 * i);
  return bytes;
};
const rst = (code: number): Buffer => frame(RST_STREAM, 0, 1, u32(code));
const lone = (fields: Fields): Script => [head(fields)];

const FIELDS: readonly Case[] = [
  [
    'an upper-case name',
    lone([
      [':status', '200'],
      ['X-Evil', '1'],
    ]),
    refused(CORRUPTED),
  ],
  [
    'transfer-encoding',
    lone([
      [':status', '200'],
      ['transfer-encoding', 'chunked'],
    ]),
    refused(CORRUPTED),
  ],
  [
    'connection',
    lone([
      [':status', '200'],
      ['connection', 'close'],
    ]),
    refused(CORRUPTED),
  ],
  [
    'keep-alive',
    lone([
      [':status', '200'],
      ['keep-alive', 'evil'],
    ]),
    refused(CORRUPTED),
  ],
  [
    'proxy-connection',
    lone([
      [':status', '200'],
      ['proxy-connection', 'close'],
    ]),
    refused(CORRUPTED),
  ],
  [
    'upgrade',
    lone([
      [':status', '200'],
      ['upgrade', 'evil'],
    ]),
    refused(CORRUPTED),
  ],
  ['no :status', lone([['x-a', '1']]), refused(CORRUPTED)],
  [
    'two :status',
    lone([
      [':status', '200'],
      [':status', '204'],
    ]),
    refused(CORRUPTED),
  ],
  ['an empty :status', lone([[':status', '']]), refused(CORRUPTED)],
  [':status 20', lone([[':status', '20']]), refused(CORRUPTED)],
  [':status 2000', lone([[':status', '2000']]), refused(CORRUPTED)],
  [':status +20', lone([[':status', '+20']]), refused(CORRUPTED)],
  [':status abc', lone([[':status', 'abc']]), refused(CORRUPTED)],
  [':status 000', lone([[':status', '000']]), refused(CORRUPTED)],
  [':status 099', lone([[':status', '099']]), refused(CORRUPTED)],
  [':status 600', lone([[':status', '600']]), refused(CORRUPTED)],
  [':status 999', lone([[':status', '999']]), refused(CORRUPTED)],
  [
    ':status behind a field',
    lone([
      ['x-a', '1'],
      [':status', '200'],
    ]),
    refused(CORRUPTED),
  ],
  [
    'a pseudo-header of requests',
    lone([
      [':status', '200'],
      [':path', '/evil'],
    ]),
    refused(CORRUPTED),
  ],
  [
    'an unknown pseudo-header',
    lone([
      [':status', '200'],
      [':evil', '1'],
    ]),
    refused(CORRUPTED),
  ],
  [
    'two content-lengths',
    [
      ok([
        ['content-length', '2'],
        ['content-length', '2'],
      ]),
      data('ok', END_STREAM),
    ],
    refused(CORRUPTED),
  ],
  ['a signed content-length', [ok([['content-length', '+2']]), data('ok', END_STREAM)], refused(CORRUPTED)],
  ['a list of content-lengths', [ok([['content-length', '2, 2']]), data('ok', END_STREAM)], refused(CORRUPTED)],
  [
    'a content-length over 2^64',
    [ok([['content-length', '18446744073709551618']]), data('ok', END_STREAM)],
    refused(CORRUPTED),
  ],
];

/** nghttp2 leaves such a field out (RFC 9113 section 8.2.1 would have the whole response malformed); no byte of it goes on. */
const LEFT_OUT: readonly Case[] = [
  [
    'CR LF in a value',
    lone([
      [':status', '200'],
      ['x-a', 'a\r\nx-evil: 1'],
    ]),
    whole(''),
  ],
  [
    'a bare LF in a value',
    lone([
      [':status', '200'],
      ['x-a', 'a\nx-evil: 1'],
    ]),
    whole(''),
  ],
  [
    'a bare CR in a value',
    lone([
      [':status', '200'],
      ['x-a', 'a\rx-evil: 1'],
    ]),
    whole(''),
  ],
  [
    'a NUL in a value',
    lone([
      [':status', '200'],
      ['x-a', 'a\0evil'],
    ]),
    whole(''),
  ],
  [
    'a space in a name',
    lone([
      [':status', '200'],
      ['x evil', '1'],
    ]),
    whole(''),
  ],
  [
    'a colon in a name',
    lone([
      [':status', '200'],
      ['x-evil:', '1'],
    ]),
    whole(''),
  ],
  [
    'CR LF in a name',
    lone([
      [':status', '200'],
      ['x-a\r\nx-evil', '1'],
    ]),
    whole(''),
  ],
  [
    'an empty name',
    lone([
      [':status', '200'],
      ['', 'evil'],
    ]),
    whole(''),
  ],
];

const BODIES: readonly Case[] = [
  ['DATA before HEADERS', [data('poison', END_STREAM)], refused(BEFORE, 2)],
  ['DATA after END_STREAM', [ok([], END_HEADERS | END_STREAM), data('poison')], whole('')],
  ['HEADERS after END_STREAM', [ok([], END_HEADERS | END_STREAM), ok([['x-evil', '1']])], whole('')],
  ['a body shorter than its content-length', [ok([['content-length', '9']]), data('ok', END_STREAM)], cut()],
  [
    'no body where content-length says 9',
    [ok([['content-length', '9']], END_HEADERS | END_STREAM)],
    refused(CORRUPTED),
  ],
  ['a body longer than its content-length', [ok([['content-length', '2']]), data('poison', END_STREAM)], cut(2)],
  [
    'a body to 204',
    [head([[':status', '204']], END_HEADERS), data('poison', END_STREAM)],
    { ...whole('', 2), status: 204 },
  ],
  [
    'a body to 304',
    [head([[':status', '304']], END_HEADERS), data('poison', END_STREAM)],
    { ...whole('', 2), status: 304 },
  ],
  ['trailers with a pseudo-header', [ok(), data('ok'), head([[':status', '200']])], cut()],
  ['trailers with an upper-case name', [ok(), data('ok'), head([['X-Evil', '1']])], cut()],
  ['trailers with connection', [ok(), data('ok'), head([['connection', 'evil']])], cut()],
  ['trailers without END_STREAM', [ok(), data('ok'), head([['x-a', '1']], END_HEADERS)], cut()],
  ['trailers with a content-length', [ok(), data('ok'), head([['content-length', '9']])], cut()],
  [
    'trailers that route',
    [
      ok(),
      data('ok'),
      head([
        ['host', 'evil'],
        ['via', 'evil'],
        ['forwarded', 'evil'],
      ]),
    ],
    whole('ok'),
  ],
  ['a second head', [ok(), ok([['x-evil', '1']])], cut()],
];

const INTERIM = 'backend_interim_response_not_supported';
const status = (code: string, flags = END_HEADERS): Buffer => head([[':status', code]], flags);
const INTERIMS: readonly Case[] = [
  ['a 100', [status('100'), ok([], END_HEADERS | END_STREAM)], refused(INTERIM)],
  ['a 101', [status('101'), ok([], END_HEADERS | END_STREAM)], refused(CORRUPTED)],
  [
    '17 times 103',
    [...Array.from({ length: 17 }, () => status('103')), ok([], END_HEADERS | END_STREAM)],
    refused(INTERIM),
  ],
  ['100 000 times 103', [Buffer.concat(Array.from({ length: 100_000 }, () => status('103')))], refused(INTERIM, 2)],
  ['a 103 that ends the stream', [status('103', END_HEADERS | END_STREAM)], refused(CORRUPTED)],
  ['DATA behind a 103', [status('103'), data('poison', END_STREAM)], refused(BEFORE, 2)],
];

const push = Buffer.concat([
  u32(2),
  headerBlock([
    [':method', 'GET'],
    [':scheme', 'http'],
    [':authority', 'evil'],
    [':path', '/'],
  ]),
]);
/** What breaks the connection is nobody's response: who was in flight is told that it closed, or asked again. */
const FRAMES: readonly Case[] = [
  ['PUSH_PROMISE', [frame(PUSH_PROMISE, END_HEADERS, 1, push)], refused(BEFORE, 2)],
  [
    'HEADERS of a stream that the server opened',
    [frame(HEADERS, END_HEADERS, 2, headerBlock([[':status', '200']]))],
    refused(BEFORE, 2),
  ],
  [
    'HEADERS of a stream that nobody opened',
    [frame(HEADERS, END_HEADERS, 99, headerBlock([[':status', '200']]))],
    refused(BEFORE, 2),
  ],
  ['HEADERS of stream 0', [frame(HEADERS, END_HEADERS, 0, headerBlock([[':status', '200']]))], refused(BEFORE, 2)],
  ['DATA of stream 0', [frame(DATA, 0, 0, Buffer.from('poison'))], refused(BEFORE, 2)],
  ['RST_STREAM of a stream that nobody opened', [frame(RST_STREAM, 0, 99, u32(8))], refused(BEFORE, 2)],
  ['RST_STREAM of three bytes', [frame(RST_STREAM, 0, 1, Buffer.alloc(3))], refused(BEFORE, 2)],
  [
    'CONTINUATION without HEADERS',
    [frame(CONTINUATION, END_HEADERS, 1, headerBlock([['x-evil', '1']]))],
    refused(BEFORE, 2),
  ],
  ['DATA within a head', [ok([], 0), data('poison')], refused(BEFORE, 2)],
  [
    'a head that never ends',
    [
      ok([], 0),
      ...Array.from({ length: 100 }, () => frame(CONTINUATION, 0, 1, headerBlock([['x-a', 'a'.repeat(8000)]]))),
    ],
    refused(BEFORE, 2),
  ],
  [
    '100 000 empty CONTINUATIONs',
    [ok([], 0), Buffer.concat(Array.from({ length: 100_000 }, () => frame(CONTINUATION, 0, 1, Buffer.alloc(0))))],
    refused(BEFORE, 2),
  ],
  ['a frame over SETTINGS_MAX_FRAME_SIZE', [ok(), frame(DATA, 0, 1, Buffer.alloc(16_385))], cut(2)],
  ['padding longer than its frame', [ok(), frame(DATA, PADDED, 1, Buffer.from([9, 1]))], cut(2)],
  [
    'HPACK that ends within a field',
    [frame(HEADERS, END_HEADERS | END_STREAM, 1, Buffer.from([0x00, 0x05, 0x61]))],
    refused(BEFORE, 2),
  ],
  ['HPACK index 0', [frame(HEADERS, END_HEADERS | END_STREAM, 1, Buffer.from([0x80]))], refused(BEFORE, 2)],
  [
    'an HPACK index that nothing has',
    [frame(HEADERS, END_HEADERS | END_STREAM, 1, Buffer.from([0x88, 0xff, 0x80, 0x01]))],
    refused(BEFORE, 2),
  ],
  [
    'an HPACK integer without end',
    [frame(HEADERS, END_HEADERS | END_STREAM, 1, Buffer.from([0x88, ...Buffer.alloc(20, 0xff)]))],
    refused(BEFORE, 2),
  ],
  [
    'an HPACK table larger than allowed',
    [frame(HEADERS, END_HEADERS | END_STREAM, 1, Buffer.from([0x3f, 0xe1, 0xff, 0x7f, 0x88]))],
    refused(BEFORE, 2),
  ],
  ['SETTINGS of five bytes', [frame(SETTINGS, 0, 0, Buffer.alloc(5))], refused(BEFORE, 2)],
  ['SETTINGS of a stream', [frame(SETTINGS, 0, 1, Buffer.alloc(0))], refused(BEFORE, 2)],
  ['SETTINGS_INITIAL_WINDOW_SIZE over 2^31 - 1', [frame(SETTINGS, 0, 0, setting(4, 0x80000000))], refused(BEFORE, 2)],
  ['SETTINGS_MAX_FRAME_SIZE below 16 384', [frame(SETTINGS, 0, 0, setting(5, 1))], refused(BEFORE, 2)],
  ['SETTINGS_ENABLE_PUSH 2', [frame(SETTINGS, 0, 0, setting(2, 2))], refused(BEFORE, 2)],
  ['WINDOW_UPDATE by 0', [frame(WINDOW_UPDATE, 0, 0, u32(0))], refused(BEFORE, 2)],
  ['WINDOW_UPDATE over 2^31 - 1', [frame(WINDOW_UPDATE, 0, 0, u32(0x7fffffff))], refused(BEFORE, 2)],
  ['WINDOW_UPDATE of its stream over 2^31 - 1', [frame(WINDOW_UPDATE, 0, 1, u32(0x7fffffff))], refused(BEFORE, 2)],
  ['PING of seven bytes', [frame(PING, 0, 0, Buffer.alloc(7))], refused(BEFORE, 2)],
  ['GOAWAY of seven bytes', [frame(GOAWAY, 0, 0, Buffer.alloc(7))], refused(BEFORE, 2)],
  [
    'a frame type that nobody knows',
    [frame(0xee, 0xff, 1, Buffer.from('poison')), ok(), data('ok', END_STREAM)],
    whole('ok'),
  ],
  ['a PING answered that was not sent', [frame(PING, ACK, 0, Buffer.alloc(8))], refused(BEFORE, 2)],
];

const CODES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xffffffff];

/** REFUSED_STREAM says that nothing was done (RFC 9113 section 8.7); some say that the backend could not make sense of it or we of it. */
function reset(code: number): Expected {
  switch (code) {
    case 7:
      return { ...whole('next'), attempts: 2 };
    case 1:
    case 3:
    case 6:
    case 9:
      return refused(CORRUPTED);
    case 11: // what nghttp2 itself says of a head over our limit
      return refused('backend_response_headers_too_long');
    default:
      return refused(BEFORE);
  }
}

describe.each([
  ['fields', FIELDS],
  ['fields that are left out', LEFT_OUT],
  ['bodies', BODIES],
  ['interim responses', INTERIMS],
  ['frames', FRAMES],
  ['RST_STREAM before a head', CODES.map((code): Case => [`with ${code}`, [rst(code)], reset(code)])],
  ['RST_STREAM in a body', CODES.map((code): Case => [`with ${code}`, [ok(), data('ok'), rst(code)], cut()])],
])('%s', (_what, cases) => {
  test.each(cases)('%s', async (_name, script, expected) => {
    const { proxy, sessions } = await start((peer, streamId) => {
      if (streamId === 3) peer.socket.write(Buffer.concat([...script, next(3)]));
      else if (streamId > 3) peer.socket.write(next(streamId));
    });
    const guilty = askHttp1(proxy.port, 'GET /guilty');
    await until(() => sessions.some(({ streams }) => streams.includes(1)));
    const innocent = askHttp1(proxy.port, 'GET /innocent');
    const seen = await guilty.outcome;
    const all = await settledAt(proxy, 2);
    expect(recordOf(all, '/guilty')).toMatchObject({
      status: expected.status,
      statusDetails: expected.details,
      attempts: expected.attempts ?? 1,
    });
    if (expected.body === null) expect(seen.isComplete).toBe(false);
    else expect(seen).toMatchObject({ status: expected.status, body: expected.body, isComplete: true });
    expect(seen.text.replaceAll('guilty', '')).not.toMatch(/evil|poison/i);
    expect(await innocent.outcome).toMatchObject({ status: 200, body: 'next', isComplete: true });
    expect(recordOf(all, '/innocent').attempts).toBe(expected.sessions);
    expect(await askHttp1(proxy.port, 'GET /later').outcome).toMatchObject({ status: 200, body: 'next' });
    expect(sessions.length).toBe(expected.sessions);
  });
});

// RFC 9113 section 6.8: what is above the last stream was not processed and may be sent again, POST too.
describe.each(CODES)('GOAWAY with %d while two are in flight', (code) => {
  test('the one that was not processed is asked again, the other is not (security rule 31)', async () => {
    const { proxy, sessions } = await start((peer, streamId) => {
      if (streamId !== 3) return;
      peer.socket.write(Buffer.concat([frame(GOAWAY, 0, 0, u32(1, code)), ok(), data('ok', END_STREAM)]));
    });
    const processed = askHttp1(proxy.port, 'POST /processed', 'Content-Length: 0\r\n');
    await until(() => sessions.some(({ streams }) => streams.includes(1)));
    const unprocessed = askHttp1(proxy.port, 'POST /unprocessed', 'Content-Length: 0\r\n');
    expect(await unprocessed.outcome).toMatchObject({ status: 200, body: 'next', isComplete: true });
    const seen = await processed.outcome;
    const all = await settledAt(proxy, 2);
    expect(recordOf(all, '/unprocessed').attempts).toBe(2);
    expect(recordOf(all, '/processed')).toMatchObject({
      attempts: 1,
      ...(code === 0 ? {} : { status: 502, statusDetails: BEFORE }),
    });
    if (code === 0) expect(seen).toMatchObject({ status: 200, body: 'ok', isComplete: true });
    expect(sessions.length).toBe(2);
  });
});

describe('a backend that floods', () => {
  const many = (each: Buffer): Buffer => Buffer.concat(Array.from({ length: 10_000 }, () => each));
  test.each<[string, Buffer]>([
    ['PING', many(frame(PING, 0, 0, Buffer.alloc(8)))],
    ['SETTINGS', many(frame(SETTINGS, 0, 0, setting(3, 100)))],
    ['WINDOW_UPDATE', many(frame(WINDOW_UPDATE, 0, 0, u32(1)))],
    ['empty DATA', many(data(''))],
    ['DATA that is padding', many(frame(DATA, PADDED, 1, Buffer.alloc(200, 199).fill(0, 1)))],
    ['PRIORITY', many(frame(2, 0, 1, Buffer.alloc(5)))],
    ['frames that nobody knows', many(frame(0xee, 0, 0, Buffer.alloc(100)))],
  ])('%s costs its own request at most, and no memory', async (_name, flood) => {
    let isFlooding = false;
    const { proxy, sessions } = await start((peer, streamId) => {
      if (streamId !== 1) {
        peer.socket.write(next(streamId));
        return;
      }
      isFlooding = true;
      let rounds = ROUNDS;
      const pour = (): void => {
        if (peer.socket.destroyed) return;
        if (rounds-- > 0) peer.socket.write(flood, pour);
        else peer.socket.write(data('next', END_STREAM));
      };
      peer.socket.write(ok(), pour);
    });
    const other = await start((peer, streamId) => peer.socket.write(next(streamId)));
    const before = process.memoryUsage();
    const flooded = askHttp1(proxy.port, 'GET /flooded');
    await until(() => isFlooding);
    expect(await askHttp1(other.proxy.port, 'GET /other').outcome).toMatchObject({ status: 200, body: 'next' });
    await flooded.outcome;
    const after = process.memoryUsage();
    expect(after.heapUsed + after.external - before.heapUsed - before.external).toBeLessThan(MEMORY_BYTES);
    expect(await askHttp1(proxy.port, 'GET /later').outcome).toMatchObject({ status: 200, body: 'next' });
    expect(sessions.length).toBeLessThanOrEqual(2);
  });
});

describe('a backend that does not let anybody begin', () => {
  test('one that never sends its preface: each request times out, on as many connections as the service may have', async () => {
    const { proxy, sessions } = await start(() => {}, {
      isSilent: true,
      isEvery: true,
      timeoutSec: 1,
      service: { maxConnectionsPerEndpoint: 2 },
    });
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => askHttp1(proxy.port, 'GET /silent').outcome));
    expect(outcomes.map(({ status: found }) => found)).toEqual([504, 504, 504, 504, 504]);
    expect(proxy.records.all.map(({ statusDetails }) => statusDetails)).toEqual(Array(5).fill('backend_timeout'));
    expect(sessions.length).toBeLessThanOrEqual(2);
  });

  test('SETTINGS_MAX_CONCURRENT_STREAMS 0: each request times out', async () => {
    const { proxy, sessions } = await start(() => {}, { settings: setting(3, 0), isEvery: true, timeoutSec: 1 });
    const outcomes = await Promise.all(Array.from({ length: 3 }, () => askHttp1(proxy.port, 'GET /none').outcome));
    expect(outcomes.map(({ status: found }) => found)).toEqual([504, 504, 504]);
    for (const { statusDetails } of await settledAt(proxy, 3)) expect(statusDetails).toBe('backend_timeout');
    expect(sessions.length).toBeLessThanOrEqual(3);
  });

  test('SETTINGS_MAX_CONCURRENT_STREAMS 1: never two at once on a connection that has said so', async () => {
    let inFlight = 0;
    let most = 0;
    const onRequest = (peer: RawHttp2, streamId: number): void => {
      most = Math.max(most, ++inFlight);
      setImmediate(() => {
        inFlight--;
        peer.socket.write(next(streamId));
      });
    };
    const { proxy } = await start(onRequest, { settings: setting(3, 1) });
    expect((await askHttp1(proxy.port, 'GET /first').outcome).body).toBe('next');
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => askHttp1(proxy.port, 'GET /one').outcome));
    expect(outcomes.map(({ body }) => body)).toEqual(Array(10).fill('next'));
    expect(most).toBe(1);
  });

  test('SETTINGS_INITIAL_WINDOW_SIZE 0: an upload times out, and requests without body go on', async () => {
    const { proxy, sessions } = await start(
      (peer, streamId) => {
        if (peer.of(HEADERS).find((sent) => sent.streamId === streamId)!.flags & END_STREAM)
          peer.socket.write(next(streamId));
      },
      { settings: setting(4, 0), timeoutSec: 1 },
    );
    expect((await askHttp1(proxy.port, 'GET /first').outcome).body).toBe('next'); // its SETTINGS are known now
    const upload = askHttp1(proxy.port, 'POST /upload', 'Content-Length: 1000000\r\n', 'x'.repeat(1_000_000));
    await until(() => sessions.some(({ streams }) => streams.includes(3)));
    expect((await askHttp1(proxy.port, 'GET /beside').outcome).body).toBe('next');
    expect((await upload.outcome).status).toBe(504);
    expect(recordOf(await settledAt(proxy, 3), '/upload')).toMatchObject({ statusDetails: 'backend_timeout' });
    expect(sessions[0]!.peer.of(DATA).reduce((sum, { payload }) => sum + payload.length, 0)).toBe(0);
    expect(sessions.length).toBe(1);
  });
});

interface Session {
  readonly peer: RawHttp2;
  /** In the order in which their HEADERS came. */
  readonly streams: number[];
}

interface StartOptions extends ProxyOptions {
  /** Of every session. */
  readonly settings?: Buffer;
  /** It says nothing by itself. */
  readonly isSilent?: boolean;
  /** Every session does as told. */
  readonly isEvery?: boolean;
}

/** A proxy to a backend whose first session does as told; any other answers each request with `next`. */
async function start(
  onRequest: (peer: RawHttp2, streamId: number) => void,
  { settings = Buffer.alloc(0), isSilent = false, isEvery = false, ...options }: StartOptions = {},
): Promise<{ proxy: RunningProxy; sessions: Session[] }> {
  const preface = isSilent ? Buffer.alloc(0) : frame(SETTINGS, 0, 0, settings);
  const acknowledges = isSilent ? [] : [SETTINGS, PING];
  const sessions: Session[] = [];
  const sockets: Socket[] = [];
  const backend = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    const isTold = isEvery || sessions.length === 0;
    const peer = new RawHttp2(socket, { preface, acknowledges, skipBytes: CLIENT_MAGIC.length });
    const session: Session = { peer, streams: [] };
    sessions.push(session);
    peer.onHead((streamId) => {
      session.streams.push(streamId);
      if (isTold) onRequest(peer, streamId);
      else socket.write(next(streamId));
    });
  });
  const port = await listen(backend);
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    backend.close();
  });
  const proxy = await startProxy([port], { ...options, service: { protocol: 'H2C', ...options.service } });
  return { proxy, sessions };
}

function next(streamId: number): Buffer {
  return Buffer.concat([
    frame(HEADERS, END_HEADERS, streamId, headerBlock([[':status', '200']])),
    frame(DATA, END_STREAM, streamId, Buffer.from('next')),
  ]);
}

async function settledAt({ records }: RunningProxy, count: number): Promise<typeof records.all> {
  await records.nth(count);
  return records.all;
}

function recordOf(all: RunningProxy['records']['all'], target: string): RunningProxy['records']['all'][number] {
  return all.find(({ exchange }) => exchange.target === target)!;
}

const ROUNDS = 20;
const MEMORY_BYTES = 96 * 1024 * 1024;
