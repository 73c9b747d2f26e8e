// What a stranger can send to the port before there is TLS: each is answered or closed in time, counted and logged with its reason.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Scenario, startScenario } from '../harness/scenario.ts';

describe('a stranger at the TLS port', () => {
  let backend: Server;
  let scenario: Scenario;
  let hello: Buffer;

  beforeAll(async () => {
    backend = createServer((_incoming, response) => response.end('ok')).listen(0, '127.0.0.1');
    await once(backend, 'listening');
    const { port } = backend.address() as AddressInfo;
    scenario = await startScenario({ services: [{ name: 'api', protocol: 'HTTP', ports: [port] }] });
    hello = await captureHello();
  });
  afterAll(async () => {
    await scenario?.stop();
    backend?.close();
  });

  test.each<[string, () => readonly Buffer[], string]>([
    ['garbage', () => [Buffer.from('\u0000\u0001\u0002 not TLS at all \u00ff')], 'not_tls'],
    ['plain HTTP', () => [Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')], 'plain_http'],
    ['a hello over 64 KiB', () => oversizedHello(), 'hello_too_large'],
    ['a hello with a broken length', () => [broken(hello)], 'malformed_hello'],
    ['a hello for TLS 1.1 only', () => [tls11Hello()], 'unsupported_version'],
  ])('%s is refused, and counted as such', async (_name, bytes, reason) => {
    const before = await failures(reason);
    const socket = open();
    const answer = read(socket);
    for (const chunk of bytes()) socket.write(chunk);
    const text = await answer;
    if (reason === 'plain_http') expect(text).toMatch(/^HTTP\/1\.1 400 .*https/s);
    expect(await failures(reason)).toBe(before + 1);
    const line = await scenario.proxy.waitForLog((entry) => entry.msg === 'handshake' && entry['reason'] === reason);
    expect(line).toMatchObject({ targetProxy: 'web', forwardingRule: 'https' });
  });

  test('a hello cut off in the middle is closed when its sender leaves', async () => {
    const before = await failures('peer_closed');
    const socket = open();
    const answer = read(socket);
    socket.end(hello.subarray(0, 100));
    expect(await answer).toBe('');
    expect(await failures('peer_closed')).toBe(before + 1);
  });

  test('a hello in single bytes, one segment each, is served', async () => {
    const through = await byteByByteProxy(scenario.port);
    const client = connectTls({
      port: through.port,
      host: '127.0.0.1',
      servername: 'localhost',
      rejectUnauthorized: false,
    });
    client.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    expect(await read(client)).toMatch(/^HTTP\/1\.1 200 /);
    through.close();
  });

  test('silence, and a hello of one byte a second, are cut off 10 s after accept', async () => {
    const before = await failures('hello_timeout');
    const silent = read(open());
    const socket = open();
    const slow = read(socket);
    let sent = 0;
    const drip = setInterval(() => {
      if (socket.writable) socket.write(hello.subarray(sent, ++sent));
    }, 1000);
    expect(await Promise.all([silent, slow])).toEqual(['', '']);
    clearInterval(drip);
    // a client sees its connection end before the proxy has counted it
    for (let tries = 0; tries < 30 && (await failures('hello_timeout')) < before + 2; tries++) await sleep(100);
    expect(await failures('hello_timeout')).toBe(before + 2);
  });

  function open(): Socket {
    const socket = connect(scenario.port, '127.0.0.1');
    socket.on('error', () => {});
    return socket;
  }

  function failures(reason: string): Promise<number> {
    return scenario.metric('sallyport_handshake_failures_total', { reason });
  }
});

/** Everything until the other side closes. */
async function read(socket: Socket): Promise<string> {
  let text = '';
  socket.on('error', () => {});
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
  });
  // not once(): it rejects with the reset that a byte sent too late brings
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
  return text;
}

/** What Node's own client sends first. */
async function captureHello(): Promise<Buffer> {
  const server = createTcpServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connectTls({
    port: (server.address() as AddressInfo).port,
    host: '127.0.0.1',
    servername: 'localhost',
  });
  client.on('error', () => {});
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  client.destroy();
  server.close();
  return bytes;
}

/** A handshake message that announces 100,000 bytes, in records of 16 KiB. */
function oversizedHello(): readonly Buffer[] {
  const record = Buffer.alloc(5 + 16_384);
  record.set([0x16, 0x03, 0x01, 0x40, 0x00, 0x01, 0x01, 0x86, 0xa0]);
  const more = Buffer.from(record);
  more.fill(0, 5);
  return [record, more, more, more, more];
}

/** The session id claims to be longer than it can be. */
function broken(hello: Buffer): Buffer {
  const copy = Buffer.from(hello);
  copy[5 + 4 + 2 + 32] = 0xff;
  return copy;
}

/** ClientHello, legacy_version 3.2, two CBC suites, no extensions (RFC 4346 §7.4.1.2). */
function tls11Hello(): Buffer {
  const body = Buffer.concat([
    Buffer.from([3, 2]),
    Buffer.alloc(32, 7),
    Buffer.from([0, 0, 4, 0xc0, 0x13, 0, 0x2f, 1, 0]),
  ]);
  const head = Buffer.from([0x16, 3, 1, 0, body.length + 4, 1, 0, 0, body.length]);
  return Buffer.concat([head, body]);
}

/** Passes the client's first flight on one byte a segment, the rest as it comes. */
async function byteByByteProxy(target: number): Promise<{ readonly port: number; close(): void }> {
  const server = createTcpServer({ noDelay: true }, (client) => {
    const proxy = connect({ port: target, host: '127.0.0.1', noDelay: true });
    client.on('error', () => proxy.destroy());
    proxy.on('error', () => client.destroy());
    proxy.pipe(client);
    client.once('data', (first: Buffer) => {
      client.pause();
      void (async () => {
        for (const byte of first) {
          proxy.write(Uint8Array.of(byte));
          await sleep(0);
        }
        client.pipe(proxy);
      })();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}
