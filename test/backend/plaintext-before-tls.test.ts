// What comes on the connection to a backend outside of TLS never reaches a client (CVE-2021-23222 was a byte before the handshake that did).
import { createServer as createHttpsServer } from 'node:https';
import { connect, createServer, type Socket } from 'node:net';
import { chainPem, testPki } from '../harness/pki.ts';
import { exchange, listen, makeService, makeTls } from './support.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A relay in front of a TLS backend that puts bytes into what the backend says. */
async function tampered(inject: (toProxy: Socket, chunk: Buffer | null, count: number) => void): Promise<number> {
  const pki = await testPki();
  const backend = createHttpsServer(
    { cert: chainPem(pki.server, pki.issuing), key: pki.server.privateKeyPem },
    (_request, response) => response.end('genuine'),
  );
  backend.on('tlsClientError', () => {});
  const port = await listen(backend);
  const sockets = new Set<Socket>();
  const relay = createServer((toProxy) => {
    const toBackend = connect(port, '127.0.0.1');
    for (const socket of [toProxy, toBackend]) {
      sockets.add(socket);
      socket
        .on('error', () => {})
        .on('close', () => {
          toProxy.destroy();
          toBackend.destroy();
        });
    }
    let count = 0;
    inject(toProxy, null, count);
    toProxy.pipe(toBackend);
    toBackend.on('data', (chunk: Buffer) => inject(toProxy, chunk, ++count));
  });
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    relay.close();
    backend.closeAllConnections();
    backend.close();
  });
  return await listen(relay);
}

const RESPONSE = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil';

test.each(['X', RESPONSE, '\x15\x03\x01\x00\x02\x01\x00', '\x17\x03\x03\x00\x04evil'])(
  'bytes before the handshake end it: %j',
  async (bytes) => {
    const pki = await testPki();
    const port = await tampered((toProxy, chunk) => {
      toProxy.write(chunk ?? Buffer.from(bytes, 'latin1'));
    });
    for (const protocol of ['HTTPS', 'HTTP2'] as const) {
      const service = makeService({ protocol, ports: [port], tls: makeTls({ anchors: [pki.root] }) });
      const outcome = await exchange(service);
      expect(outcome.order).toEqual(['onError']);
      expect(outcome.error?.spec).toMatchObject({ status: 502, statusDetails: 'failed_to_connect_to_backend' });
      expect(outcome).toMatchObject({ status: 0, body: '' });
      await service.retire();
    }
  },
);

test('bytes after the handshake, before the first record of the response, end the exchange', async () => {
  const pki = await testPki();
  let isSent = false;
  const port = await tampered((toProxy, chunk, count) => {
    if (chunk === null) return;
    toProxy.write(chunk);
    if (count !== 1) return;
    isSent = true;
    toProxy.write(RESPONSE);
  });
  const service = makeService({ protocol: 'HTTPS', ports: [port], tls: makeTls({ anchors: [pki.root] }) });
  const outcome = await exchange(service);
  expect(isSent).toBe(true);
  expect(outcome.error?.spec.status).toBe(502);
  expect(outcome.body).not.toContain('evil');
  await service.retire();
});

test('without an injected byte the same relay is transparent', async () => {
  const pki = await testPki();
  const port = await tampered((toProxy, chunk) => {
    if (chunk !== null) toProxy.write(chunk);
  });
  const service = makeService({ protocol: 'HTTPS', ports: [port], tls: makeTls({ anchors: [pki.root] }) });
  expect(await exchange(service)).toMatchObject({ status: 200, body: 'genuine' });
  await service.retire();
});
