// Security rule 29: many requests are no reason for many handshakes with a backend that is down or refused.
import { createServer as createHttpServer } from 'node:http';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { BackendService } from '#src/backend/contract.ts';
import { chainPem, type TestPki, testPki } from '../harness/pki.ts';
import { until } from '../harness/until.ts';
import { EventLog, exchange, listen, makeService, makeTls, REQUESTER } from './support.ts';

let pki: TestPki;
const cleanups: (() => unknown)[] = [];

beforeAll(async () => {
  pki = await testPki();
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A TLS server whose certificate nobody trusts; counts connections. */
async function distrusted(alpn: string): Promise<{ port: number; connections: number }> {
  const server = createTlsServer({
    cert: chainPem(pki.server, pki.issuing),
    key: pki.server.privateKeyPem,
    ALPNProtocols: [alpn],
  });
  server.on('tlsClientError', () => {});
  const backend = { port: await listen(server), connections: 0 };
  server.on('connection', () => backend.connections++);
  cleanups.push(() => server.close());
  return backend;
}

function service(options: Parameters<typeof makeService>[0]): BackendService {
  const made = makeService(options);
  cleanups.push(() => made.retire());
  return made;
}

describe.each([
  ['HTTPS', 'http/1.1'],
  ['HTTP2', 'h2'],
] as const)('over %s', (protocol, alpn) => {
  test('requests that come together share the outcome of one attempt', async () => {
    const backend = await distrusted(alpn);
    const events = new EventLog();
    const tls = makeTls({ anchors: [pki.stranger] });
    const toIt = service({ protocol, ports: [backend.port], tls, events, maxPending: 64 });
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => exchange(toIt)));
    expect(new Set(outcomes.map(({ error }) => error?.code))).toEqual(
      new Set(['ssl_certificate_chain_verification_failed']),
    );
    expect(backend.connections).toBe(1);
    expect(events.failures).toHaveLength(1);
  });

  test('a later request tries again, after the spacing', async () => {
    const backend = await distrusted(alpn);
    const toIt = service({ protocol, ports: [backend.port], tls: makeTls({ anchors: [pki.stranger] }) });
    await exchange(toIt);
    const startedMs = performance.now();
    await Promise.all([exchange(toIt), exchange(toIt)]);
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(95);
    expect(backend.connections).toBe(2);
  });
});

test('`pick()` prefers endpoints that connect to one that just failed, and still gives that one when it is alone', async () => {
  const backend = await distrusted('http/1.1');
  const toBoth = service({ protocol: 'HTTPS', ports: [backend.port, 1], tls: makeTls({ anchors: [pki.stranger] }) });
  await exchange(toBoth, { endpoint: toBoth.endpoints[0]! });
  expect([toBoth.pick([], REQUESTER)!.port, toBoth.pick([], REQUESTER)!.port]).toEqual([1, 1]);
  expect(toBoth.pick([toBoth.endpoints[1]!], REQUESTER)!.port).toBe(backend.port);
});

test('a backend that works again is dialled side by side again', async () => {
  const held: Socket[] = [];
  let answers = false;
  const server = createHttpServer((_request, response) => response.end('ok'));
  const front = createTcpServer((socket) => {
    if (answers) server.emit('connection', socket);
    else held.push(socket.on('error', () => {}));
  });
  const port = await listen(front);
  cleanups.push(() => front.close());
  const events = new EventLog();
  const toIt = service({ ports: [port], events, maxConnections: 4 });
  answers = true;
  const outcomes = await Promise.all(Array.from({ length: 8 }, () => exchange(toIt)));
  expect(outcomes.map(({ body }) => body)).toEqual(Array(8).fill('ok'));
  await until(() => events.connects.length <= 4);
});
