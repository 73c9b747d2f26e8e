// What a reload does to connections (spec 10.19, security rule 28): a new identity counts at once, the old one leaves without a failed request.
import { createSecureServer } from 'node:http2';
import { createServer } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { SessionStore } from '#src/backend/session-store.ts';
import { systemClock } from '#src/base/clock.ts';
import type { Issued } from '#src/pki/issue/contract.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { chainPem, type TestPki, testPki } from '../harness/pki.ts';
import { until } from '../harness/until.ts';
import { EventLog, exchange, listen, makeService, makeTls } from './support.ts';

let pki: TestPki;
let otherClient: Issued;
const cleanups: (() => unknown)[] = [];

beforeAll(async () => {
  pki = await testPki();
  otherClient = await issue({ subject: 'CN=other client', issuer: pki.issuing, extendedKeyUsage: ['clientAuth'] });
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Backend {
  readonly port: number;
  /** Common name of the client certificate of each handshake. */
  readonly clients: string[];
  readonly held: { end(body: string): unknown }[];
}

async function startBackend(protocol: 'HTTPS' | 'HTTP2'): Promise<Backend> {
  const clients: string[] = [];
  const held: Backend['held'] = [];
  const options = {
    cert: chainPem(pki.server, pki.issuing),
    key: pki.server.privateKeyPem,
    ca: [pki.root.certificatePem, pki.issuing.certificatePem],
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: [protocol === 'HTTP2' ? 'h2' : 'http/1.1'],
  };
  const answer = (request: { url?: string | undefined }, response: { end(body: string): unknown }) => {
    if (request.url === '/hold') held.push(response);
    else response.end('ok');
  };
  const server = protocol === 'HTTP2' ? createSecureServer(options) : createServer(options);
  server.on('request', answer);
  server.on('secureConnection', (socket: TLSSocket) => clients.push(String(socket.getPeerCertificate().subject?.CN)));
  server.on('tlsClientError', () => {});
  server.on('sessionError', () => {});
  const port = await listen(server);
  cleanups.push(() => server.close());
  return { port, clients, held };
}

describe.each(['HTTPS', 'HTTP2'] as const)('a new client certificate, over %s', (protocol) => {
  test('counts for the next request; the busy connection finishes its exchange, the idle one leaves within the spread', async () => {
    const backend = await startBackend(protocol);
    const events = new EventLog();
    const sessions = new SessionStore(systemClock);
    const tlsOf = (client: Issued) => makeTls({ anchors: [pki.root], client: [client, pki.issuing] });
    const shared = { protocol, ports: [backend.port], events, sessions };
    const before = makeService({ ...shared, tls: tlsOf(pki.client) });
    const busy = exchange(before, { target: '/hold' });
    await until(() => backend.held.length === 1);
    await exchange(before);
    const connectionsBefore = events.connects.length;

    const after = makeService({ ...shared, tls: tlsOf(otherClient), previous: before });
    cleanups.push(() => after.retire());
    let isRetired = false;
    const retired = before
      .retire({ cause: 'client-certificate', spreadMs: 100, successor: after })
      .then(() => (isRetired = true));
    expect((await exchange(after)).body).toBe('ok');
    expect(backend.clients.at(-1)).toBe('other client');
    expect((await exchange(before)).body).toBe('ok'); // had been routed before the reload
    await until(() => events.closes.length >= connectionsBefore - 1);
    expect(isRetired).toBe(false);
    backend.held[0]!.end('done');
    expect((await busy).body).toBe('done');
    await retired;
    expect(new Set(events.closes)).toEqual(new Set(['client-certificate']));
  });
});

test('sessions of an identity are dropped with it, and a connection that is still closing brings none back', async () => {
  const backend = await startBackend('HTTPS');
  const sessions = new SessionStore(systemClock);
  const tls = makeTls({ anchors: [pki.root] });
  const service = makeService({ protocol: 'HTTPS', ports: [backend.port], tls, sessions });
  const busy = exchange(service, { target: '/hold' });
  await until(() => backend.held.length === 1 && sessions.size === 1);
  void service.retire({ cause: 'trust', spreadMs: 50 });
  sessions.dropIdentity('of somebody else');
  expect(sessions.size).toBe(1);
  sessions.dropIdentity(tls.digest);
  expect(sessions.size).toBe(0);
  expect((await exchange(service)).body).toBe('ok'); // a full handshake, with new tickets
  backend.held[0]!.end('');
  await busy;
  await service.retire();
  expect(sessions.size).toBe(0);
});

describe('a reload that leaves the identity as it was', () => {
  async function pair(portsBefore: readonly number[], portsAfter: readonly number[]) {
    const events = new EventLog();
    const tls = makeTls({ anchors: [pki.root] });
    const before = makeService({ protocol: 'HTTPS', ports: portsBefore, tls, events });
    for (const endpoint of before.endpoints) await exchange(before, { endpoint });
    const after = makeService({ protocol: 'HTTPS', ports: portsAfter, tls, events, previous: before });
    return { events, before, after };
  }

  test('keeps the connections of endpoints that stay and closes those of endpoints that go', async () => {
    const [one, two] = [await startBackend('HTTPS'), await startBackend('HTTPS')];
    const { events, before, after } = await pair([one.port, two.port], [one.port]);
    await before.retire({ successor: after });
    expect(events.closes).toEqual(['retired']);
    expect((await exchange(after)).connection).toMatchObject({ endpoint: `127.0.0.1:${one.port}`, reused: true });
    expect([one.clients.length, two.clients.length]).toEqual([1, 1]);
    await after.retire();
    expect(events.closes).toEqual(['retired', 'retired']);
  });

  test('shares them with the old service until that has retired; a reload that fails changes nothing', async () => {
    const one = await startBackend('HTTPS');
    const { before, after } = await pair([one.port], [one.port]);
    expect((await exchange(after)).connection?.reused).toBe(true);
    expect((await exchange(before)).connection?.reused).toBe(true);
    await before.retire({ successor: after });
    expect((await exchange(before)).connection?.reused).toBe(true);
    await after.retire();
    expect(one.clients).toHaveLength(1);
  });
});
