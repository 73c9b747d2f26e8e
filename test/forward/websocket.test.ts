import { once } from 'node:events';
import type { ClientHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import WebSocket from 'ws';
import { until } from '../harness/until.ts';
import { closeAll, type ProxyOptions, type Proxy as RunningProxy, rawBackend, startProxy } from './_proxy.ts';
import { type EchoServer, Http2WebSocket, http2Session, startEchoServer } from './_websocket.ts';

const servers: EchoServer[] = [];
const sessions: ClientHttp2Session[] = [];
afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy();
  await closeAll();
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function start(options: ProxyOptions = {}): Promise<{ proxy: RunningProxy; echo: EchoServer }> {
  const echo = await startEchoServer();
  servers.push(echo);
  return { echo, proxy: await startProxy([echo.port], options) };
}

async function overHttp2(proxy: RunningProxy): Promise<ClientHttp2Session> {
  const session = await http2Session(proxy.port);
  sessions.push(session);
  return session;
}

const LARGE = Buffer.alloc(1_500_000, 'abcdefghij');

describe('over HTTP/1.1', () => {
  test('ws talks to ws: small and large messages, a close code, one record', async () => {
    const { proxy, echo } = await start();
    const client = new WebSocket(`ws://127.0.0.1:${proxy.port}/chat`);
    await once(client, 'open');
    for (const message of [Buffer.from('hello'), LARGE]) {
      client.send(message);
      const [answer] = (await once(client, 'message')) as [Buffer];
      expect(answer.equals(message)).toBe(true);
    }
    client.close(4001);
    const [code] = await once(client, 'close');
    expect(code).toBe(4001);
    const record = await proxy.records.nth(1);
    expect(record).toMatchObject({ status: 101, statusDetails: 'websocket_closed', error: null });
    expect(record.requestBytes).toBeGreaterThan(LARGE.length);
    await until(() => echo.closed.length === 1);
    expect(echo.closed).toEqual([4001]);
  });

  test('at the end of a drain both sides are told 1001', async () => {
    const { proxy, echo } = await start();
    const client = new WebSocket(`ws://127.0.0.1:${proxy.port}/`);
    await once(client, 'open');
    client.send('x');
    await once(client, 'message');
    const closed = once(client, 'close');
    proxy.door.goAway();
    const [code] = await closed;
    expect(code).toBe(1001);
    const record = await proxy.records.nth(1);
    expect(record).toMatchObject({ status: 101, statusDetails: 'websocket_closed', error: null });
    await until(() => echo.closed.length === 1);
    expect(echo.closed).toEqual([1001]);
  });

  test('inside a frame nobody is told: it ends with FIN', async () => {
    const accepted: Socket[] = [];
    const { proxy, half } = await halfFrame(accepted);
    const client = new WebSocket(`ws://127.0.0.1:${proxy.port}/`);
    await once(client, 'open');
    half();
    await until(() => (client as unknown as { _socket: Socket })._socket.bytesRead > 200);
    proxy.door.goAway();
    const [code] = await once(client, 'close');
    expect(code).toBe(1006); // no close frame
    await proxy.records.nth(1);
  });
});

describe('over HTTP/2 (RFC 8441)', () => {
  test('is announced, and one stream beside others carries small and large messages both ways', async () => {
    const { proxy, echo } = await start({ clients: 'http2' });
    const session = await overHttp2(proxy);
    expect(session.remoteSettings.enableConnectProtocol).toBe(true);
    const first = new Http2WebSocket(session, '/chat?x=1', { 'sec-websocket-protocol': 'a, b', origin: 'https://o' });
    const second = new Http2WebSocket(session, '/two');
    await Promise.all([first, second].map((client) => client.until(({ status }) => status !== 0)));
    expect(first.status).toBe(200);
    expect(first.headers).toMatchObject({ 'sec-websocket-protocol': 'a' });
    expect(first.headers).not.toHaveProperty('sec-websocket-accept');
    expect(first.headers).not.toHaveProperty('upgrade');
    expect(echo.requests.map(({ url }) => url).sort()).toEqual(['/chat?x=1', '/two']);
    const { headers } = echo.requests.find(({ url }) => url === '/chat?x=1')!;
    expect(headers).toMatchObject({ upgrade: 'websocket', host: 'localhost', origin: 'https://o' });
    expect(headers).not.toHaveProperty(':protocol');
    first.send('hello');
    second.send(LARGE);
    await Promise.all([first, second].map((client) => client.until(({ messages }) => messages.length === 1)));
    expect(first.messages[0]!.toString()).toBe('hello');
    expect(second.messages[0]!.equals(LARGE)).toBe(true);
    first.close(4002);
    await first.until(({ ended }) => ended);
    expect(first.closeCode).toBe(4002);
    first.stream.end();
    const record = await proxy.records.nth(1);
    expect(record).toMatchObject({ status: 101, statusDetails: 'websocket_closed', error: null });
    await until(() => echo.closed.length === 1);
    expect(echo.closed).toEqual([4002]);
    expect(record.exchange).toMatchObject({ protocol: 'HTTP/2', method: 'GET', isWebSocket: true });
    second.send('still here');
    await second.until(({ messages }) => messages.length === 2);
    second.stream.close();
    await proxy.records.nth(2);
  });

  test('bytes of a WebSocket are no overhead of its session', async () => {
    const { proxy } = await start({ clients: 'http2' });
    const session = await overHttp2(proxy);
    const client = new Http2WebSocket(session, '/');
    await client.until(({ status }) => status === 200);
    for (let i = 1; i <= 4; i++) {
      client.send(LARGE);
      await client.until(({ messages }) => messages.length === i);
      await new Promise((resolve) => setTimeout(resolve, 60)); // a sweep looks at what came
    }
    expect([session.closed, session.destroyed]).toEqual([false, false]);
    client.close(1000);
    await client.until(({ ended }) => ended);
    client.stream.end();
    expect((await proxy.records.nth(1)).statusDetails).toBe('websocket_closed');
  });

  test('the backend gets a key of ours, whatever the client sent', async () => {
    const { proxy, echo } = await start({ clients: 'http2' });
    const session = await overHttp2(proxy);
    const client = new Http2WebSocket(session, '/', { 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' });
    await client.until(({ status }) => status === 200);
    const key = String(echo.requests[0]!.headers['sec-websocket-key']);
    expect(Buffer.from(key, 'base64')).toHaveLength(16);
    expect(key).not.toBe('AAAAAAAAAAAAAAAAAAAAAA==');
    client.stream.close();
    await proxy.records.nth(1);
  });

  test('what the client sends before the answer is held and delivered', async () => {
    const { proxy } = await start({ clients: 'http2' });
    const client = new Http2WebSocket(await overHttp2(proxy), '/');
    client.send('early');
    await client.until(({ messages }) => messages.length === 1);
    expect(client.messages[0]!.toString()).toBe('early');
    client.stream.close();
    await proxy.records.nth(1);
  });

  test('a reset by the client closes the backend, and is no clean end', async () => {
    const { proxy, echo } = await start({ clients: 'http2' });
    const client = new Http2WebSocket(await overHttp2(proxy), '/');
    await client.until(({ status }) => status === 200);
    client.stream.close(8); // CANCEL
    const record = await proxy.records.nth(1);
    expect(record).toMatchObject({ status: 101, statusDetails: 'client_disconnected_after_partial_response' });
    await until(() => echo.closed.length === 1);
    expect(echo.closed).toEqual([1006]);
  });

  test('a backend that breaks off resets the stream with CANCEL', async () => {
    const { proxy, echo } = await start({ clients: 'http2' });
    const client = new Http2WebSocket(await overHttp2(proxy), '/');
    await client.until(({ status }) => status === 200);
    await until(() => echo.server.clients.size === 1);
    for (const socket of echo.server.clients) (socket as unknown as { _socket: Socket })._socket.resetAndDestroy();
    await client.until(({ closed }) => closed);
    expect(client.stream.rstCode).toBe(8);
    const record = await proxy.records.nth(1);
    expect(record.statusDetails).toBe('backend_connection_closed_after_partial_response_sent');
  });

  test('nothing for timeoutSec ends it', async () => {
    const { proxy } = await start({ clients: 'http2', timeoutSec: 1 });
    const client = new Http2WebSocket(await overHttp2(proxy), '/');
    await client.until(({ status }) => status === 200);
    await client.until(({ closed }) => closed);
    expect(await proxy.records.nth(1)).toMatchObject({ status: 101, statusDetails: 'backend_timeout' });
  });

  test('at the end of a drain both sides are told 1001', async () => {
    const { proxy, echo } = await start({ clients: 'http2' });
    const client = new Http2WebSocket(await overHttp2(proxy), '/');
    await client.until(({ status }) => status === 200);
    proxy.door.drain(); // GOAWAY: the stream goes on
    client.send('x');
    await client.until(({ messages }) => messages.length === 1);
    proxy.door.goAway();
    await client.until(({ ended }) => ended);
    expect(client.closeCode).toBe(1001);
    client.stream.end();
    expect(await proxy.records.nth(1)).toMatchObject({ statusDetails: 'websocket_closed', error: null });
    await until(() => echo.closed.length === 1);
    expect(echo.closed).toEqual([1001]);
  });

  test('an answer of the backend other than 101 is passed on, and the stream is over', async () => {
    const server = await rawBackend((socket) => {
      void socket.head().then(() => {
        socket.socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno');
      });
    });
    const proxy = await startProxy([server.port], { clients: 'http2' });
    const client = new Http2WebSocket(await overHttp2(proxy), '/');
    await client.until(({ closed }) => closed);
    expect(client.status).toBe(403);
    expect(await proxy.records.nth(1)).toMatchObject({ status: 403, statusDetails: 'websocket_handshake_failed' });
  });

  test.each([200, 204])('a %i instead of 101 would say that it is open: 502', async (status) => {
    const server = await rawBackend((socket) => {
      void socket.head().then(() => socket.socket.end(`HTTP/1.1 ${status} X\r\nConnection: close\r\n\r\n`));
    });
    const proxy = await startProxy([server.port], { clients: 'http2' });
    const client = new Http2WebSocket(await overHttp2(proxy), '/');
    await client.until(({ closed }) => closed);
    expect(client.status).toBe(502);
    expect(await proxy.records.nth(1)).toMatchObject({ status: 502, statusDetails: 'websocket_handshake_failed' });
  });

  test('a 101 whose accept does not fit our key is no tunnel', async () => {
    const server = await rawBackend((socket) => {
      void socket.head().then(() => {
        socket.socket.write(
          'HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n',
        );
      });
    });
    const proxy = await startProxy([server.port], { clients: 'http2' });
    const client = new Http2WebSocket(await overHttp2(proxy), '/');
    await client.until(({ closed }) => closed);
    expect(client.status).toBe(502);
    expect(await proxy.records.nth(1)).toMatchObject({ statusDetails: 'websocket_handshake_failed' });
  });
});

/** A backend that opens a WebSocket and, when told, sends the beginning of a frame. */
async function halfFrame(accepted: Socket[]): Promise<{ proxy: RunningProxy; half: () => void }> {
  const { createHash } = await import('node:crypto');
  const server = await rawBackend((socket) => {
    accepted.push(socket.socket);
    void socket.head().then((head) => {
      const key = /sec-websocket-key: (\S+)/i.exec(head)![1]!;
      const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
      socket.socket.write(
        `HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
      );
    });
  });
  const proxy = await startProxy([server.port]);
  return { proxy, half: () => accepted[0]!.write(Buffer.concat([Buffer.from([0x82, 126, 1, 0]), Buffer.alloc(100)])) };
}
