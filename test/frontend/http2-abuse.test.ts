import { type ClientHttp2Session, connect } from 'node:http2';
import type { SessionEndReason } from '#src/telemetry/session-end.ts';
import {
  CLIENT_MAGIC,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  HEADERS,
  headerBlock,
  hpackString,
  PING,
  PRIORITY,
  RawHttp2,
  type RawHttp2Options,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from '../harness/raw-http2.ts';
import { echo } from './_recorder.ts';
import { startTlsDoor, type TlsDoor, type TlsDoorOptions } from './_tls-door.ts';

/** RFC 9113 section 10.5: each session ends with a reason, what it costs is bounded, and other clients are served meanwhile. */

describe('an attack ends its session, and nobody else notices', () => {
  test('rapid reset: streams that are taken back (CVE-2023-44487)', async () => {
    await expectEnd('resets', async (client) => {
      await flood(client, (n) => Buffer.concat([get(n), frame(RST_STREAM, 0, n, CANCEL)]), 8);
    });
  });

  test('MadeYouReset: bodies shorter than their content-length make us reset (CVE-2025-8671) (security rule 31)', async () => {
    await expectEnd('resets', async (client) => {
      const head = headerBlock([...POST, ['content-length', '9']]);
      const pair = (n: number) => [
        frame(HEADERS, END_HEADERS, n, head),
        frame(DATA, END_STREAM, n, Buffer.from('four')),
      ];
      await flood(client, (n) => Buffer.concat(pair(n)), 8);
    });
  });

  test.each<[string, (n: number) => Buffer]>([
    ['WINDOW_UPDATE of 0', (n) => frame(WINDOW_UPDATE, 0, n, Buffer.alloc(4))],
    ['a window over 2^31-1', (n) => frame(WINDOW_UPDATE, 0, n, Buffer.from([0x7f, 255, 255, 255]))],
    ['DATA after END_STREAM', (n) => frame(DATA, 0, n, Buffer.from('x'))],
    ['HEADERS after END_STREAM', (n) => frame(HEADERS, END_HEADERS, n, headerBlock(POST))],
    ['a PRIORITY of 4 bytes', (n) => frame(PRIORITY, 0, n, Buffer.alloc(4))],
    ['a RST_STREAM of 3 bytes', (n) => frame(RST_STREAM, 0, n, Buffer.alloc(3))],
  ])('MadeYouReset: %s ends the session at once', async (_what, bad) => {
    await expectEnd('protocol_error', async (client) => {
      client.socket.write(Buffer.concat([get(1), bad(1)]));
      await client.done();
    });
  });

  test('more DATA than the content-length ends the session (security rule 31)', async () => {
    await expectEnd('protocol_error', async (client) => {
      const head = headerBlock([...POST, ['content-length', '2']]);
      client.socket.write(
        Buffer.concat([frame(HEADERS, END_HEADERS, 1, head), frame(DATA, 0, 1, Buffer.from('four'))]),
      );
      await client.done();
    });
  });

  test('heads that nghttp2 refuses', async () => {
    const bad = headerBlock([...GET, ['transfer-encoding', 'chunked']]);
    await expectEnd(['overhead', 'flood'], (client) =>
      flood(client, (n) => frame(HEADERS, END_HEADERS | END_STREAM, n, bad), 500),
    );
  });

  test('endless CONTINUATION (CVE-2024-27316)', async () => {
    await expectEnd(['flood', 'protocol_error'], async (client) => {
      client.socket.write(frame(HEADERS, 0, 1, headerBlock(GET)));
      const more = headerBlock([['x-a', 'b'.repeat(1000)]]);
      await flood(client, () => frame(CONTINUATION, 0, 1, more), 64);
    });
  });

  test('empty CONTINUATION', async () => {
    await expectEnd(['flood', 'protocol_error'], async (client) => {
      client.socket.write(frame(HEADERS, 0, 1, headerBlock(GET)));
      await flood(client, () => frame(CONTINUATION, 0, 1, NOTHING), 1000);
    });
  });

  test('heads over what is advertised', async () => {
    const block = headerBlock([...GET, ['a', 'v'.repeat(60_000)], ['b', 'v'.repeat(60_000)]]);
    const parts: [number, Buffer][] = [];
    for (let at = 0; at < block.length; at += 16_384) parts.push([at, block.subarray(at, at + 16_384)]);
    await expectEnd(['overhead', 'flood'], (client) =>
      flood(
        client,
        (n) =>
          Buffer.concat(
            parts.map(([at, part], i) =>
              frame(at === 0 ? HEADERS : CONTINUATION, i === parts.length - 1 ? END_HEADERS : 0, n, part),
            ),
          ),
        1,
      ),
    );
  });

  test.each<[string, (n: number) => Buffer]>([
    ['PING', () => frame(PING, 0, 0, Buffer.alloc(8))],
    ['SETTINGS', () => frame(SETTINGS, 0, 0, NOTHING)],
    [
      'SETTINGS that flap the header table',
      (n) => frame(SETTINGS, 0, 0, Buffer.from([0, 1, 0, n % 4 === 1 ? 255 : 0, 0, 0])),
    ],
    ['WINDOW_UPDATE by 1', () => frame(WINDOW_UPDATE, 0, 0, ONE)],
    ['PRIORITY', (n) => frame(PRIORITY, 0, n, Buffer.from([0, 0, 0, 0, 1]))],
    ['frames of an unknown type', () => frame(0xbb, 0, 0, Buffer.alloc(16))],
  ])('a flood of %s', async (_what, bytes) => {
    await expectEnd(['overhead', 'flood', 'protocol_error'], (client) => flood(client, bytes, 500));
  });

  test.each(['PING', 'SETTINGS'])('a flood of %s whose answers are not read', async (what) => {
    await expectEnd(['overhead', 'flood'], async (client) => {
      client.socket.pause();
      const bytes = what === 'PING' ? frame(PING, 0, 0, Buffer.alloc(8)) : frame(SETTINGS, 0, 0, NOTHING);
      await flood(client, () => bytes, 500);
    });
  });

  test('empty DATA frames', async () => {
    await expectEnd(['overhead', 'flood'], async (client) => {
      client.socket.write(frame(HEADERS, END_HEADERS, 1, headerBlock(POST)));
      await flood(client, () => frame(DATA, 0, 1, NOTHING), 500);
    });
  });

  test('padding', async () => {
    await expectEnd(['overhead', 'flood', 'protocol_error'], async (client) => {
      client.socket.write(frame(HEADERS, END_HEADERS, 1, headerBlock(POST)));
      const padded = frame(DATA, 8, 1, Buffer.concat([Buffer.from([255]), Buffer.alloc(255)]));
      await flood(client, () => Buffer.concat([padded, frame(WINDOW_UPDATE, 0, 0, ONE)]), 100);
    });
  });

  test('an HPACK bomb: heads of 50 KiB in a few bytes, all held open (security rule 31)', async () => {
    await expectEnd('resets', async (client, door) => {
      door.recorder.answer = (recorded) => {
        if (recorded.exchange.target !== '/held') echo(recorded);
      };
      // with incremental indexing (RFC 7541 section 6.2.1), then the entry, which is number 62, thirteen times
      const define = Buffer.concat([Buffer.from([0x40]), hpackString('x-bomb'), hpackString('b'.repeat(3900))]);
      const held = headerBlock(GET.map(([name, value]) => [name, name === ':path' ? '/held' : value]));
      client.socket.write(frame(HEADERS, END_HEADERS | END_STREAM, 1, Buffer.concat([held, define])));
      const bomb = Buffer.concat([held, Buffer.alloc(13, 0x80 | 62)]);
      await flood(client, (n) => frame(HEADERS, END_HEADERS | END_STREAM, n + 2, bomb), 8);
      const open = door.recorder.exchanges.filter(({ exchange }) => exchange.target === '/held').length;
      expect(open).toBeLessThanOrEqual(21); // 1 MiB of 51 KiB each
    });
  });

  test('windows that stay shut over responses (security rule 31)', async () => {
    await expectEnd(
      'held_responses',
      async (client, door) => {
        door.recorder.answer = (recorded) => {
          if (recorded.exchange.target !== '/held') {
            echo(recorded);
            return;
          }
          recorded.exchange.respond(200, [], true);
          recorded.exchange.write(Buffer.alloc(256 * 1024));
        };
        const held = headerBlock(GET.map(([name, value]) => [name, name === ':path' ? '/held' : value]));
        for (let n = 1; n < 50; n += 2) client.socket.write(frame(HEADERS, END_HEADERS | END_STREAM, n, held));
        await client.done();
      },
      { timeouts: { heldMs: 100 } },
      { preface: Buffer.concat([CLIENT_MAGIC, frame(SETTINGS, 0, 0, Buffer.from([0, 4, 0, 0, 0, 0]))]) },
    );
  });

  test('a head that trickles and never ends, beside a request that waits (security rule 31)', async () => {
    await expectEnd(
      'head_timeout',
      async (client, door) => {
        door.recorder.answer = (recorded) => {
          if (recorded.exchange.method !== 'POST') echo(recorded);
        };
        await door.recorder.until(() => client.of(SETTINGS).length > 1); // ours to acknowledge, and the acknowledgement of ours
        client.socket.write(frame(HEADERS, END_HEADERS, 1, headerBlock(POST)));
        await door.recorder.until(() => door.recorder.exchanges.some(({ exchange }) => exchange.method === 'POST'));
        client.socket.write(frame(HEADERS, END_STREAM, 3, headerBlock(GET)));
        const trickle = setInterval(
          () => client.socket.write(frame(CONTINUATION, 0, 3, headerBlock([['x', 'y']]))),
          300,
        );
        await client.done();
        clearInterval(trickle);
      },
      { timeouts: { headMs: 1000 } },
      { acknowledges: [SETTINGS] }, // an answer to the ping would break the head
    );
  });

  test('no SETTINGS after the magic (security rule 31)', async () => {
    await expectEnd(
      'settings_timeout',
      (client) => client.done(),
      { timeouts: { headMs: 1000 } },
      { preface: CLIENT_MAGIC, acknowledges: [] },
    );
  });

  test('SETTINGS of ours that are not acknowledged (security rule 31)', async () => {
    await expectEnd(
      'settings_timeout',
      (client) => client.done(),
      { timeouts: { headMs: 1000 } },
      { acknowledges: [] },
    );
  });
});

describe('what is no abuse', () => {
  test('a head that nghttp2 refused is not taken for one that does not end', async () => {
    const door = await start();
    const client = new Attacker(door.connect({ ALPNProtocols: ['h2'] }));
    await door.recorder.until(() => client.of(SETTINGS).length > 0);
    client.socket.write(frame(HEADERS, END_HEADERS | END_STREAM, 1, headerBlock([...GET, ['connection', 'close']])));
    await door.recorder.until(() => client.of(PING).length > 0);
    client.socket.write(get(3));
    await door.recorder.until(() => client.of(DATA).some(({ streamId }) => streamId === 3));
    expect(door.recorder.sessionEnds).toEqual([]);
  });

  test('uploads that nobody reads yet, and one that is refused halfway', async () => {
    const door = await start();
    const { recorder } = door;
    recorder.answer = ({ exchange }) => {
      if (exchange.target === '/early') {
        exchange.respond(413, [], false);
        exchange.end(null);
      }
    };
    const session = http2Client(door);
    const uploads = Array.from({ length: 6 }, (_, i) => {
      const stream = session.request({ ':method': 'POST', ':path': i === 0 ? '/early' : '/held' });
      stream.on('error', () => {});
      stream.resume().end(Buffer.alloc(1_000_000));
      return stream;
    });
    await recorder.until(() => recorder.exchanges.length === 6);
    const held = recorder.exchanges.filter(({ exchange }) => exchange.target === '/held');
    for (const recorded of held) {
      recorded.onBodyEnd = () => recorded.respond(200, 'ok');
      recorded.exchange.readBody();
    }
    await recorder.until(() => held.every(({ finished }) => finished));
    expect(held.map(({ exchange }) => exchange.requestBytes)).toEqual(Array(5).fill(1_000_000));
    expect(recorder.sessionEnds).toEqual([]);
    for (const stream of uploads) stream.destroy();
  });

  test('a stream of messages of one byte', async () => {
    const door = await start();
    const session = http2Client(door);
    const stream = session.request({ ':method': 'POST', ':path': '/' });
    stream.resume();
    for (let i = 0; i < 100_000; i++)
      if (!stream.write('x')) await new Promise((resolve) => stream.once('drain', resolve));
    stream.end();
    await door.recorder.until(() => door.recorder.exchanges[0]?.finished === true);
    expect(door.recorder.exchanges[0]!.exchange.requestBytes).toBe(100_000);
    expect(door.recorder.sessionEnds).toEqual([]);
  });
});

class Attacker extends RawHttp2 {
  done(): Promise<void> {
    if (this.closed || this.ended) return Promise.resolve();
    return new Promise((resolve) => {
      this.socket.once('end', resolve);
      this.socket.once('close', () => resolve());
    });
  }
}

const doors: TlsDoor[] = [];
const sessions: ClientHttp2Session[] = [];
afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy();
  for (const { close } of doors.splice(0)) await close();
});

async function start(options: TlsDoorOptions = {}): Promise<TlsDoor> {
  const door = await startTlsDoor({ ...options, limits: { concurrentStreams: 128 } });
  doors.push(door);
  return door;
}

function http2Client(door: TlsDoor): ClientHttp2Session {
  const socket = door.connect({ ALPNProtocols: ['h2'] });
  const session = connect('https://localhost', { createConnection: () => socket });
  session.on('error', () => {});
  sessions.push(session);
  return session;
}

/** Runs the attack until its session is over; a second client asks all the time and is answered each time. */
async function expectEnd(
  reason: SessionEndReason | readonly SessionEndReason[],
  attack: (client: Attacker, door: TlsDoor) => Promise<void>,
  options: TlsDoorOptions = {},
  raw: RawHttp2Options = {},
): Promise<void> {
  const door = await start(options);
  const { recorder } = door;
  const innocent = http2Client(door);
  expect(await status(innocent)).toBe(200);
  const before = process.memoryUsage();
  const client = new Attacker(door.connect({ ALPNProtocols: ['h2'] }), raw);
  client.socket.setMaxListeners(0);
  let isOver = false;
  const over = attack(client, door).finally(() => {
    isOver = true;
  });
  const statuses: number[] = [];
  while (!isOver || statuses.length < 5) {
    statuses.push(await status(innocent));
    await new Promise((resolve) => setTimeout(resolve, 5)); // or a slow attack outlives what one session may ask, and nobody gets a turn
  }
  await over;
  await recorder.until(() => recorder.sessionEnds.length > 0);
  expect(statuses.filter((found) => found !== 200)).toEqual([]);
  expect([reason].flat()).toContain(recorder.sessionEnds[0]!.reason);
  expect(recorder.sessionEnds.length).toBe(1);
  const after = process.memoryUsage();
  expect(after.heapUsed + after.external - before.heapUsed - before.external).toBeLessThan(MEMORY_BYTES);
  expect(await status(innocent)).toBe(200);
}

function status(session: ClientHttp2Session): Promise<number> {
  return new Promise((resolve) => {
    const stream = session.request({ ':path': '/innocent' });
    stream.on('response', (headers) => resolve(Number(headers[':status'])));
    stream.on('error', () => resolve(0));
    stream.on('close', () => resolve(0));
    stream.resume();
  });
}

/** Writes `bytes(stream id)`, `batch` of them at once, until the other side has closed. */
async function flood(client: Attacker, bytes: (streamId: number) => Buffer, batch: number): Promise<void> {
  for (let n = 1; !client.closed && !client.ended; ) {
    const parts: Buffer[] = [];
    for (let i = 0; i < batch; i++, n += 2) parts.push(bytes(n));
    if (!client.socket.write(Buffer.concat(parts))) {
      await new Promise<void>((resolve) => {
        client.socket.once('drain', resolve);
        client.socket.once('close', () => resolve());
      });
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function get(streamId: number): Buffer {
  return frame(HEADERS, END_HEADERS | END_STREAM, streamId, headerBlock(GET));
}

const GET: readonly (readonly [string, string])[] = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':authority', 'localhost'],
  [':path', '/'],
];
const POST = GET.map(([name, value]): [string, string] => [name, name === ':method' ? 'POST' : value]);
const NOTHING = Buffer.alloc(0);
const ONE = Buffer.from([0, 0, 0, 1]);
const CANCEL = Buffer.from([0, 0, 0, 8]);
const MEMORY_BYTES = 150 * 1024 * 1024; // attacker, innocent client and server are one process here
