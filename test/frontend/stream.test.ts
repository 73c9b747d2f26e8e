import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import type { ErrorCode } from '#src/base/errors.ts';
import type { ClientStream } from '#src/http/client-stream.ts';
import { startTlsDoor, type TlsDoor } from './_tls-door.ts';

/** A TLS door whose connections are streams. */
async function start(): Promise<{ door: TlsDoor; streams: ClientStream[]; aborted: ErrorCode[] }> {
  const door = await startTlsDoor();
  doors.push(door);
  const streams: ClientStream[] = [];
  const aborted: ErrorCode[] = [];
  const onStream = (stream: ClientStream) => {
    stream.attach({ onAbort: ({ code }) => aborted.push(code) });
    streams.push(stream);
    accepted.push(stream.socket);
  };
  door.proxy = { ...door.proxy, traffic: { kind: 'stream', onStream } };
  return { door, streams, aborted };
}

const doors: TlsDoor[] = [];
const accepted: Duplex[] = [];
afterEach(async () => {
  for (const socket of accepted.splice(0)) socket.destroy(); // nobody reads it, so it would not see its client leave
  for (const door of doors.splice(0)) await door.close();
});

describe('a door of streams', () => {
  test('hands over what came out of TLS, half-open, with the facts of the handshake', async () => {
    const { door, streams } = await start();
    const client = door.connect({ allowHalfOpen: true } as ConnectionOptions);
    client.end('last words');
    await door.recorder.until(() => streams.length === 1);
    const { socket, connection } = streams[0]!;
    expect(await textOf(socket as Socket)).toBe('last words');
    expect(connection).toMatchObject({ targetProxy: 'test-proxy', tls: { protocol: 'TLSv1.3', sni: 'localhost' } });
    const answer = textOf(client);
    socket.end('an answer, after the end of the question');
    expect(await answer).toBe('an answer, after the end of the question');
  });

  test('answers no ALPN, whatever is offered, and lets everybody in', async () => {
    const { door, streams } = await start();
    const client = door.connect({ ALPNProtocols: ['mqtt', 'h2'] });
    await once(client, 'secureConnect');
    expect(client.alpnProtocol).toBe(false);
    await door.recorder.until(() => streams.length === 1);
    expect(streams[0]!.connection.tls?.alpn).toBeNull();
  });

  test('plain connections are handed over as they were accepted', async () => {
    const { door, streams } = await start();
    door.proxy = { ...door.proxy, tls: null };
    const client = connect({ port: door.port, host: '127.0.0.1', allowHalfOpen: true });
    client.end('plain');
    await door.recorder.until(() => streams.length === 1);
    const { socket, connection } = streams[0]!;
    expect(await textOf(socket as Socket)).toBe('plain');
    expect(connection.tls).toBeNull();
    const answer = textOf(client);
    socket.end('too');
    expect(await answer).toBe('too');
  });

  test.each(['tls', 'plain'] as const)('reset() is a TCP reset for the client: %s', async (kind) => {
    const { door, streams } = await start();
    if (kind === 'plain') door.proxy = { ...door.proxy, tls: null };
    const client = kind === 'tls' ? door.connect() : connect(door.port, '127.0.0.1');
    const failed = failureOf(client);
    await door.recorder.until(() => streams.length === 1);
    if (kind === 'tls' && (client as TLSSocket).getProtocol() === null) await once(client, 'secureConnect');
    streams[0]!.reset();
    expect(await failed).toBe('ECONNRESET');
  });

  test('a drain lets streams run; closeNow() tells their owners and resets', async () => {
    const { door, streams, aborted } = await start();
    const client = door.connect();
    await once(client, 'secureConnect');
    const failed = failureOf(client);
    await door.recorder.until(() => streams.length === 1);
    const drained = door.listener.drain();
    const echoed = once(client, 'data');
    streams[0]!.socket.write('still here');
    expect(String((await echoed)[0])).toBe('still here');
    expect(aborted).toEqual([]);
    await door.listener.closeNow();
    await drained;
    expect(aborted).toEqual(['proxy_draining']);
    expect(await failed).toBe('ECONNRESET');
  });
});

async function textOf(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(socket, 'end');
  return Buffer.concat(chunks).toString('latin1');
}

function failureOf(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  });
}
