import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { websocketAccept } from '#src/backend/websocket-accept.ts';
import { MemoryService, start } from './_memory.ts';
import { client, closeAll, listen, rawBackend, startProxy } from './_proxy.ts';

afterEach(closeAll);

test('a request without a response is 504, attempts included', async () => {
  const { exchange, service, records } = start({}, new MemoryService(), { action: { maxStreamDurationMs: 20 } });
  service.call.connect();
  while (!exchange.responded) await sleep(2);
  exchange.handler.onFinish();
  expect(records.only).toMatchObject({ status: 504, statusDetails: 'backend_timeout' });
  expect(records.only.error?.detail).toBe('maxStreamDuration');
  expect(service.call.events).toEqual(['abort backend_timeout']);
});

test.each(['of the service', 'of the route, which wins'])('a stream in its body is cut (%s)', async (whose) => {
  const backend = await rawBackend(async (connection) => {
    await connection.head();
    connection.socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n');
  });
  const { port, records } = await startProxy([backend.port], {
    service: { maxStreamDurationMs: whose === 'of the service' ? 1000 : 3_600_000 },
    ...(whose !== 'of the service' && { action: { maxStreamDurationMs: 1000 } }),
  });
  client(port).send('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  expect(await records.nth(1)).toMatchObject({ status: 200, statusDetails: 'backend_timeout' });
  await backend.connections[0]!.until((self) => self.closed);
});

test('a WebSocket that is not idle is closed as well', async () => {
  const backend = createServer();
  backend.on('upgrade', (request, socket) => {
    const accept = websocketAccept(request.headers['sec-websocket-key']!);
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
    );
    const busy = setInterval(() => socket.write('tick'), 5);
    socket.on('close', () => clearInterval(busy));
    socket.on('error', () => {});
  });
  const backendPort = await listen(backend);
  const { port, records } = await startProxy([backendPort], { action: { maxStreamDurationMs: 1000 } });
  const key = randomBytes(16).toString('base64');
  const connection = client(port).send(
    `GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${key}\r\n\r\n`,
  );
  const record = await records.nth(1);
  expect(record).toMatchObject({ status: 101, statusDetails: 'backend_timeout' });
  expect(record.error?.detail).toBe('maxStreamDuration');
  await connection.until((self) => self.closed);
  backend.close();
  await once(backend, 'close');
});

test('an exchange that ends in time leaves no deadline behind', async () => {
  const { exchange, service, records } = start({}, new MemoryService(), { action: { maxStreamDurationMs: 10 } });
  service.call.connect().respond(200).handler.onEnd([]);
  exchange.handler.onFinish();
  await sleep(30);
  expect(records.only).toMatchObject({ status: 200, error: null });
});
