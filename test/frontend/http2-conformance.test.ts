import { constants } from 'node:http2';
import {
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
  PRIORITY,
  PUSH_PROMISE,
  RawHttp2,
  RST_STREAM,
  SETTINGS,
  setting,
  WINDOW_UPDATE,
} from '../harness/raw-http2.ts';
import { startTlsDoor, type TlsDoor } from './_tls-door.ts';

/** RFC 9113 sections 3 to 8, what a server must do with each: the cases of h2spec, which no package registry has. */

let door: TlsDoor;
beforeAll(async () => {
  door = await startTlsDoor();
});
afterAll(() => door.close());

const { NGHTTP2_PROTOCOL_ERROR: PROTOCOL, NGHTTP2_FRAME_SIZE_ERROR: FRAME_SIZE } = constants;
const { NGHTTP2_FLOW_CONTROL_ERROR: FLOW_CONTROL, NGHTTP2_STREAM_CLOSED: STREAM_CLOSED } = constants;
const { NGHTTP2_COMPRESSION_ERROR: COMPRESSION } = constants;

const FIELDS: readonly (readonly [string, string])[] = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':authority', 'localhost'],
  [':path', '/'],
];

describe('ends the connection', () => {
  test.each<[string, readonly number[], Buffer]>([
    ['4.2 DATA over SETTINGS_MAX_FRAME_SIZE', [FRAME_SIZE], join(post(1), frame(DATA, 0, 1, Buffer.alloc(16_385)))],
    ['4.2 HEADERS over SETTINGS_MAX_FRAME_SIZE', [FRAME_SIZE], frame(HEADERS, END_HEADERS, 1, Buffer.alloc(16_385))],
    [
      '4.3 a header block that does not decode',
      [COMPRESSION],
      frame(HEADERS, END_HEADERS, 1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
    ],
    ['4.3 an index beyond the table', [COMPRESSION], frame(HEADERS, END_HEADERS, 1, Buffer.from([0x80 | 70]))],
    ['5.1 DATA on an idle stream', [PROTOCOL, STREAM_CLOSED], frame(DATA, 0, 1, Buffer.from('x'))],
    ['5.1 RST_STREAM on an idle stream', [PROTOCOL], frame(RST_STREAM, 0, 1, Buffer.alloc(4))],
    ['5.1 WINDOW_UPDATE on an idle stream', [PROTOCOL], frame(WINDOW_UPDATE, 0, 1, Buffer.from([0, 0, 0, 1]))],
    ['5.1.1 an even stream id', [PROTOCOL], get(2)],
    ['6.1 DATA on stream 0', [PROTOCOL], frame(DATA, 0, 0, Buffer.from('x'))],
    ['6.1 padding longer than DATA', [PROTOCOL], join(post(1), frame(DATA, PADDED, 1, Buffer.from([9, 1])))],
    ['6.2 HEADERS on stream 0', [PROTOCOL], frame(HEADERS, END_HEADERS, 0, block())],
    [
      '6.2 padding longer than HEADERS',
      [PROTOCOL],
      frame(HEADERS, END_HEADERS | PADDED, 1, join(Buffer.from([255]), block())),
    ],
    [
      '6.2 DATA within a header block',
      [PROTOCOL],
      join(frame(HEADERS, 0, 1, block()), frame(DATA, 0, 1, Buffer.from('x'))),
    ],
    ['6.2 another stream within a header block', [PROTOCOL], join(frame(HEADERS, 0, 1, block()), get(3))],
    ['6.4 RST_STREAM on stream 0', [PROTOCOL], frame(RST_STREAM, 0, 0, Buffer.alloc(4))],
    ['6.4 RST_STREAM of 5 bytes', [FRAME_SIZE], join(post(1), frame(RST_STREAM, 0, 1, Buffer.alloc(5)))],
    ['6.5 SETTINGS on a stream', [PROTOCOL], frame(SETTINGS, 0, 1, Buffer.alloc(0))],
    ['6.5 SETTINGS of 5 bytes', [FRAME_SIZE], frame(SETTINGS, 0, 0, Buffer.alloc(5))],
    ['6.5 an acknowledgement with a payload', [FRAME_SIZE], frame(SETTINGS, 1, 0, Buffer.alloc(6))],
    ['6.5.2 ENABLE_PUSH of 2', [PROTOCOL], frame(SETTINGS, 0, 0, setting(2, 2))],
    ['6.5.2 INITIAL_WINDOW_SIZE of 2^31', [FLOW_CONTROL], frame(SETTINGS, 0, 0, setting(4, 2 ** 31))],
    ['6.5.2 MAX_FRAME_SIZE of 16,383', [PROTOCOL], frame(SETTINGS, 0, 0, setting(5, 16_383))],
    ['6.5.2 MAX_FRAME_SIZE of 2^24', [PROTOCOL], frame(SETTINGS, 0, 0, setting(5, 2 ** 24))],
    [
      '6.6 PUSH_PROMISE from a client',
      [PROTOCOL],
      join(post(1), frame(PUSH_PROMISE, END_HEADERS, 1, join(Buffer.from([0, 0, 0, 2]), block()))),
    ],
    ['6.7 PING on a stream', [PROTOCOL], frame(PING, 0, 1, Buffer.alloc(8))],
    ['6.7 PING of 7 bytes', [FRAME_SIZE], frame(PING, 0, 0, Buffer.alloc(7))],
    ['6.8 GOAWAY on a stream', [PROTOCOL], frame(GOAWAY, 0, 1, Buffer.alloc(8))],
    ['6.9 WINDOW_UPDATE of 0 for the connection', [PROTOCOL], frame(WINDOW_UPDATE, 0, 0, Buffer.alloc(4))],
    ['6.9 WINDOW_UPDATE of 3 bytes', [FRAME_SIZE], frame(WINDOW_UPDATE, 0, 0, Buffer.alloc(3))],
    [
      '6.9.1 a connection window over 2^31-1',
      [FLOW_CONTROL],
      frame(WINDOW_UPDATE, 0, 0, Buffer.from([0x7f, 255, 255, 255])),
    ],
    ['6.10 CONTINUATION without HEADERS', [PROTOCOL], frame(CONTINUATION, END_HEADERS, 1, block())],
    [
      '6.10 CONTINUATION on another stream',
      [PROTOCOL],
      join(frame(HEADERS, 0, 1, block()), frame(CONTINUATION, END_HEADERS, 3, block())),
    ],
  ])('%s', async (_what, codes, bytes) => {
    const ended = door.recorder.sessionEnds.length;
    const client = await opened();
    client.socket.write(bytes);
    await door.recorder.until(() => client.of(GOAWAY).length > 0);
    expect(codes).toContain(client.of(GOAWAY)[0]!.payload.readUInt32BE(4));
    client.socket.destroy();
    await door.recorder.until(() => door.recorder.sessionEnds.length > ended);
    expect(door.recorder.sessionEnds.at(-1)!.reason).toBe('protocol_error');
  });
});

describe('goes on', () => {
  test.each<[string, Buffer]>([
    ['4.1 after a frame of an unknown type', frame(0x16, 0, 0, Buffer.from('x'))],
    ['4.1 after undefined flags', frame(PING, 0xfe, 0, Buffer.alloc(8))],
    ['5.1 after PRIORITY on an idle stream', frame(PRIORITY, 0, 9, Buffer.from([0, 0, 0, 0, 1]))],
    ['5.3.1 after a stream that depends on itself', frame(PRIORITY, 0, 3, Buffer.from([0, 0, 0, 3, 1]))],
    ['5.1.1 after a stream id that goes back, where nghttp2 ignores the frame', join(get(5), get(3))],
    ['6.3 after PRIORITY on stream 0, which nghttp2 does not read', frame(PRIORITY, 0, 0, Buffer.alloc(5))],
    ['6.5.2 after an unknown setting', frame(SETTINGS, 0, 0, setting(0xff, 1))],
    ['6.7 after PING', frame(PING, 0, 0, Buffer.from('8 octets'))],
    [
      '8.1.1 after a malformed request',
      frame(HEADERS, END_HEADERS | END_STREAM, 1, headerBlock([...FIELDS, ['connection', 'x']])),
    ],
  ])('%s', async (_what, bytes) => {
    const client = await opened();
    client.socket.write(join(bytes, get(11)));
    await door.recorder.until(() => client.of(DATA).some(({ streamId }) => streamId === 11));
    expect(client.of(GOAWAY)).toEqual([]);
    client.socket.destroy();
  });

  test('6.2 padding of DATA and HEADERS is no part of them', async () => {
    const client = await opened();
    const head = frame(HEADERS, END_HEADERS | PADDED, 1, join(Buffer.from([4]), block('POST'), Buffer.alloc(4)));
    const body = frame(DATA, END_STREAM | PADDED, 1, join(Buffer.from([3]), Buffer.from('hello'), Buffer.alloc(3)));
    client.socket.write(join(head, body));
    await door.recorder.until(() => client.of(DATA).length > 0);
    expect(door.recorder.exchanges.at(-1)!.body).toBe('hello');
    client.socket.destroy();
  });

  test('6.7 a PING is answered with its own payload', async () => {
    const client = await opened();
    client.send(PING, 0, 0, Buffer.from('8 octets'));
    await door.recorder.until(() => client.of(PING).length > 0);
    expect(client.of(PING)[0]).toMatchObject({ flags: 1, payload: Buffer.from('8 octets') });
    client.socket.destroy();
  });

  test('6.9.2 a window that SETTINGS make negative is waited out', async () => {
    const client = await opened();
    client.socket.write(join(frame(SETTINGS, 0, 0, setting(4, 0)), get(1)));
    await door.recorder.until(() => client.of(HEADERS).length > 0);
    expect(client.of(DATA)).toEqual([]); // no window: none can come
    client.send(SETTINGS, 0, 0, setting(4, 100));
    await door.recorder.until(() => client.of(DATA).length > 0);
    client.socket.destroy();
  });
});

/** A client whose SETTINGS are acknowledged, and which has acknowledged ours. */
async function opened(): Promise<RawHttp2> {
  const client = new RawHttp2(door.connect({ ALPNProtocols: ['h2'] }));
  await door.recorder.until(() => client.of(SETTINGS).length > 1);
  return client;
}

function block(method = 'GET'): Buffer {
  return headerBlock(
    ['method', 'scheme', 'authority', 'path'].map((name, i) => [`:${name}`, [method, 'https', 'localhost', '/'][i]!]),
  );
}

function get(streamId: number): Buffer {
  return frame(HEADERS, END_HEADERS | END_STREAM, streamId, block());
}

function post(streamId: number): Buffer {
  return frame(HEADERS, END_HEADERS, streamId, block('POST'));
}

function join(...parts: readonly Buffer[]): Buffer {
  return Buffer.concat(parts);
}
