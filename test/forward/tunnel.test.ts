import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Clock, systemClock } from '#src/base/clock.ts';
import { Tunnel, type TunnelEnd } from '#src/forward/tunnel.ts';

/** client ⇄ [left | tunnel | right] ⇄ backend, over real sockets. */
async function startTunnel(idleMs = 60_000, clock: Clock = systemClock) {
  const [client, left] = await socketPair();
  const [backend, right] = await socketPair();
  let closed: (end: TunnelEnd) => void;
  const ended = new Promise<TunnelEnd>((resolve) => {
    closed = resolve;
  });
  const tunnel = new Tunnel(left, right, idleMs, clock, (end) => closed(end));
  return { client, backend, left, right, tunnel, ended };
}

async function socketPair(): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const near = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
  const [far] = (await accepted) as [Socket];
  server.close();
  for (const socket of [near, far]) {
    socket.on('error', () => {});
    opened.push(socket);
  }
  return [near, far];
}

/** Everything until the FIN; unlike `for await` it leaves the socket open for writing. */
async function bytesOf(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.resume();
  await once(socket, 'end');
  return Buffer.concat(chunks);
}

/** The other side let go of it, by FIN or RST. */
async function gone(socket: Socket): Promise<void> {
  socket.resume();
  await Promise.race([once(socket, 'end'), once(socket, 'close')]);
}

const opened: Socket[] = [];
afterEach(() => {
  for (const socket of opened.splice(0)) socket.destroy();
});

describe('Tunnel', () => {
  test('carries bytes both ways at once, byte-exact, and counts them', async () => {
    const { client, backend, tunnel, ended } = await startTunnel();
    const up = randomBytes(3_000_000);
    const down = randomBytes(5_000_000);
    const received = Promise.all([bytesOf(client), bytesOf(backend)]);
    client.end(up);
    backend.end(down);
    const [atClient, atBackend] = await received;
    const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
    expect(digest(atClient)).toBe(digest(down));
    expect(digest(atBackend)).toBe(digest(up));
    expect(await ended).toBe('closed');
    expect([tunnel.clientBytes, tunnel.backendBytes]).toEqual([up.length, down.length]);
  });

  test('half-closes: a side that has ended still receives', async () => {
    const { client, backend, ended } = await startTunnel();
    client.end('last words');
    expect((await bytesOf(backend)).toString()).toBe('last words');
    const answer = bytesOf(client);
    backend.write('still ');
    await sleep(5);
    backend.end('here');
    expect((await answer).toString()).toBe('still here');
    expect(await ended).toBe('closed');
  });

  test('holds a fast sender back while the other side does not read', async () => {
    const { client, backend, left, ended } = await startTunnel();
    backend.pause();
    const chunk = Buffer.alloc(1 << 20);
    let written = 0;
    while (client.write(chunk) && written < 512) written++;
    for (let i = 0; i < 64; i++) client.write(chunk);
    while (!left.isPaused()) await sleep(2);
    const total = client.bytesWritten;
    client.end();
    expect((await bytesOf(backend)).length).toBe(total);
    backend.end();
    expect(await ended).toBe('closed');
  });

  test('a reset of the client closes the backend', async () => {
    const { client, backend, ended } = await startTunnel();
    client.resetAndDestroy();
    expect(await ended).toBe('client-broke');
    await gone(backend);
  });

  test('a reset of the backend closes the client', async () => {
    const { client, backend, ended } = await startTunnel();
    backend.resetAndDestroy();
    expect(await ended).toBe('backend-broke');
    await gone(client);
  });

  test('silence for idleMs closes both; bytes in either direction put it off', async () => {
    let nowMs = 0; // held still, so that only the test makes time pass for the tunnel
    const { client, backend, tunnel, ended } = await startTunnel(10, { ...systemClock, monotonicMs: () => nowMs });
    for (const [sender, receiver] of [
      [client, backend],
      [backend, client],
    ] as const) {
      nowMs += 9;
      const arrived = once(receiver, 'data');
      sender.write('x');
      await arrived;
    }
    nowMs += 9;
    await sleep(50); // the tunnel has looked at its clock several times by now
    expect(client.readableEnded || client.closed).toBe(false);
    nowMs += 1;
    expect(await ended).toBe('idle');
    expect([tunnel.clientBytes, tunnel.backendBytes]).toEqual([1, 1]);
  });

  test('abort() closes both', async () => {
    const { client, backend, tunnel, ended } = await startTunnel();
    tunnel.abort();
    expect(await ended).toBe('aborted');
    await Promise.all([gone(client), gone(backend)]);
  });

  test('what was unshifted before it began is passed on first', async () => {
    const [client, left] = await socketPair();
    const [backend, right] = await socketPair();
    right.unshift(Buffer.from('early '));
    const done = new Promise<TunnelEnd>((resolve) => {
      new Tunnel(left, right, 60_000, systemClock, resolve);
    });
    backend.end('late');
    expect((await bytesOf(client)).toString()).toBe('early late');
    client.end();
    backend.resume();
    expect(await done).toBe('closed');
  });

  test('a socket that was closed already ends it', async () => {
    const [, left] = await socketPair();
    const [, right] = await socketPair();
    right.destroy();
    await once(right, 'close');
    const end = await new Promise<TunnelEnd>((resolve) => {
      new Tunnel(left, right, 60_000, systemClock, resolve);
    });
    expect(end).toBe('backend-broke');
    expect(left.destroyed).toBe(true);
  });
});
