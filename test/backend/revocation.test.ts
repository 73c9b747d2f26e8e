// What a new CRL does to connections and sessions that are there already (security rule 22).
import { createSecureServer } from 'node:http2';
import { createServer } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { SessionStore } from '#src/backend/session-store.ts';
import { systemClock } from '#src/base/clock.ts';
import type { LinkedRevocation } from '#src/config/linked.ts';
import { parseCrls } from '#src/pki/crl.ts';
import type { Issued } from '#src/pki/issue/contract.ts';
import { issueCrl } from '#src/pki/issue/crl.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { revocation } from '#src/pki/revocation.ts';
import { chainPem } from '../harness/pki.ts';
import { until } from '../harness/until.ts';
import { EventLog, exchange, listen, makeService, makeTls } from './support.ts';

const SERIAL = '4711';
const cleanups: (() => unknown)[] = [];
let root: Issued;
let leaf: Issued;

beforeAll(async () => {
  root = await issue({ subject: 'CN=Root', ca: true });
  leaf = await issue({ subject: 'CN=leaf', issuer: root, serialHex: SERIAL });
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function listing(
  number: number,
  serials: readonly string[],
  options: { readonly untilMs?: number; readonly mode?: 'require' | 'if-available' } = {},
): LinkedRevocation {
  const crl = issueCrl({
    issuer: root,
    number,
    revoked: serials.map((serialHex) => ({ serialHex })),
    ...(options.untilMs !== undefined && { nextUpdate: new Date(options.untilMs) }),
  });
  return { ...revocation({ mode: options.mode ?? 'require', crls: parseCrls(crl) }), file: 'a.crl', fileModifiedMs: 0 };
}

interface Backend {
  readonly port: number;
  /** Of each handshake: whether it resumed. */
  readonly handshakes: boolean[];
  readonly held: { end(body: string): unknown }[];
}

async function startBackend(protocol: 'HTTPS' | 'HTTP2'): Promise<Backend> {
  const handshakes: boolean[] = [];
  const held: Backend['held'] = [];
  const options = {
    cert: chainPem(leaf),
    key: leaf.privateKeyPem,
    ALPNProtocols: [protocol === 'HTTP2' ? 'h2' : 'http/1.1'],
  };
  const server = protocol === 'HTTP2' ? createSecureServer(options) : createServer(options);
  server.on('request', (request: { url?: string }, response: { end(body: string): unknown }) => {
    if (request.url === '/hold') held.push(response);
    else response.end('ok');
  });
  server.on('secureConnection', (socket: TLSSocket) => handshakes.push(socket.isSessionReused()));
  server.on('tlsClientError', () => {});
  server.on('sessionError', () => {});
  const port = await listen(server);
  cleanups.push(() => server.close());
  return { port, handshakes, held };
}

describe.each(['HTTPS', 'HTTP2'] as const)('`useRevocation()` over %s', (protocol) => {
  test('closes what it revokes: the idle connection now, the busy one after its exchange; nothing resumes', async () => {
    const backend = await startBackend(protocol);
    const events = new EventLog();
    const tls = makeTls({ anchors: [root], revocation: listing(1, []) });
    const service = makeService({ protocol, ports: [backend.port], tls, events });
    cleanups.push(() => service.retire());
    const busy = exchange(service, { target: '/hold' });
    await until(() => backend.held.length === 1);
    await exchange(service);

    const handshakesBefore = backend.handshakes.length;
    service.useRevocation(listing(2, [SERIAL]));
    expect(events.revoked[0]).toMatchObject({
      rule: 'revocation',
      statusDetails: 'ssl_certificate_chain_verification_failed',
    });
    const refused = await exchange(service);
    expect(refused.error).toMatchObject({
      code: 'ssl_certificate_chain_verification_failed',
      cause: { rule: 'revocation' },
    });
    backend.held[0]!.end('done');
    expect((await busy).body).toBe('done');
    await until(() => events.closes.length === events.connects.length);
    expect(new Set(events.closes)).toEqual(new Set(['revocation']));
    expect(events.revoked).toHaveLength(events.closes.length);
    expect(backend.handshakes.slice(handshakesBefore)).not.toContain(true);
  });

  test('keeps what it does not revoke, beyond the nextUpdate of the list before', async () => {
    const backend = await startBackend(protocol);
    const events = new EventLog();
    const clock = { nowMs: Date.now(), wallMs: () => clock.nowMs, monotonicMs: () => performance.now() };
    const first = listing(1, [], { untilMs: clock.nowMs + 60_000 });
    const tls = makeTls({ anchors: [root], revocation: first });
    const service = makeService({ protocol, ports: [backend.port], tls, events, clock });
    cleanups.push(() => service.retire());
    await exchange(service);
    service.useRevocation(listing(2, ['aa'], { untilMs: clock.nowMs + 600_000 }));
    clock.nowMs += 120_000;
    expect((await exchange(service)).connection?.reused).toBe(true);
    expect(events.closes).toEqual([]);
    clock.nowMs += 600_000;
    expect((await exchange(service)).error).toMatchObject({ cause: { rule: 'crl-expired' } });
    await until(() => events.closes.length === 1);
    expect(events.closes).toEqual(['expired']);
  });

  test('reaches connections that a successor took over', async () => {
    const backend = await startBackend(protocol);
    const events = new EventLog();
    const tls = makeTls({ anchors: [root], revocation: listing(1, []) });
    const before = makeService({ protocol, ports: [backend.port], tls, events });
    await exchange(before);
    const after = makeService({ protocol, ports: [backend.port, 1], tls, events, previous: before });
    cleanups.push(() => after.retire());
    await before.retire({ successor: after });
    after.useRevocation(listing(2, [SERIAL]));
    await until(() => events.closes.length === 1);
    expect(events.closes).toEqual(['revocation']);
    expect((await exchange(after, { endpoint: after.endpoints[0]! })).error).toMatchObject({
      cause: { rule: 'revocation' },
    });
  });

  test('a list that comes while a session is being resumed is heeded', async () => {
    const backend = await startBackend(protocol);
    const sessions = new SessionStore(systemClock);
    const make = () =>
      makeService({
        protocol,
        ports: [backend.port],
        tls: makeTls({ anchors: [root], revocation: listing(1, []) }),
        sessions,
      });
    const first = make();
    await exchange(first);
    await until(() => sessions.size === 1);
    await first.retire();
    const second = make();
    cleanups.push(() => second.retire());
    const resuming = exchange(second); // has taken the session, and has not begun to shake hands
    second.useRevocation(listing(2, [SERIAL]));
    expect((await resuming).error).toMatchObject({ cause: { rule: 'revocation' } });
  });
});

test('a mode that asks for more than there is closes what it can no longer clear', async () => {
  const backend = await startBackend('HTTPS');
  const events = new EventLog();
  const service = makeService({ protocol: 'HTTPS', ports: [backend.port], tls: makeTls({ anchors: [root] }), events });
  cleanups.push(() => service.retire());
  await exchange(service);
  service.useRevocation({ ...revocation({ mode: 'if-available', crls: [] }) });
  expect((await exchange(service)).connection?.reused).toBe(true);
  service.useRevocation({ ...revocation({ mode: 'require', crls: [] }) });
  expect(events.revoked).toMatchObject([{ rule: 'crl-missing' }]);
  service.useRevocation(null);
  expect((await exchange(service)).connection?.reused).toBe(false);
});

test('a session is resumed under other CRLs only if they clear the chain that it was made with', async () => {
  const backend = await startBackend('HTTPS');
  const sessions = new SessionStore(systemClock);
  const make = (crls: LinkedRevocation) =>
    makeService({
      protocol: 'HTTPS',
      ports: [backend.port],
      tls: makeTls({ anchors: [root], revocation: crls }),
      sessions,
    });
  const admit = async (crls: LinkedRevocation) => {
    const service = make(crls);
    const { error, connection } = await exchange(service);
    await until(() => sessions.size === 1 || error !== null);
    await service.retire();
    return error === null ? connection?.tls?.verdict : (error.cause as { rule: string }).rule;
  };
  expect(await admit(listing(1, []))).toBe('verified');
  expect(await admit(listing(2, ['aa']))).toBe('resumed');
  expect(await admit(listing(3, [SERIAL]))).toBe('revocation');
  expect(sessions.size).toBe(0);
  expect(await admit(listing(4, []))).toBe('verified');
  expect(backend.handshakes.filter((isResumed) => isResumed)).toHaveLength(1);
});

test('under REPORT_ONLY a list closes nothing and is reported', async () => {
  const backend = await startBackend('HTTPS');
  const events = new EventLog();
  const tls = makeTls({ anchors: [root], revocation: listing(1, []), reportOnly: true });
  const service = makeService({ protocol: 'HTTPS', ports: [backend.port], tls, events });
  cleanups.push(() => service.retire());
  await exchange(service);
  service.useRevocation(listing(2, [SERIAL]));
  expect((await exchange(service)).connection?.reused).toBe(true);
  expect([events.revoked, events.closes]).toEqual([[], []]);
});
