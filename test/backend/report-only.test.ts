import { createServer, type Server } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { SessionStore } from '#src/backend/session-store.ts';
import { systemClock } from '#src/base/clock.ts';
import { chainPem, type TestPki, testPki } from '../harness/pki.ts';
import { EventLog, exchange, listen, makeService, makeTls } from './support.ts';

let pki: TestPki;
let server: Server;
let port: number;
const reused: boolean[] = [];

beforeAll(async () => {
  pki = await testPki();
  server = createServer(
    { cert: chainPem(pki.server, pki.issuing), key: pki.server.privateKeyPem },
    (_request, response) => {
      response.end('ok');
    },
  );
  server.on('secureConnection', (socket: TLSSocket) => reused.push(socket.isSessionReused()));
  port = await listen(server);
});

beforeEach(() => {
  reused.length = 0;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

describe('under REPORT_ONLY', () => {
  test('what would be refused is used all the same, and says rule, depth and reason', async () => {
    const events = new EventLog();
    const service = makeService({
      protocol: 'HTTPS',
      ports: [port],
      tls: makeTls({ anchors: [pki.stranger], reportOnly: true }),
      events,
    });
    const { status, connection } = await exchange(service);
    expect(status).toBe(200);
    expect(connection?.tls?.verdict).toBe('would-refuse');
    expect(connection?.tls).toMatchObject({ rule: 'trust-anchor', depth: 1 });
    expect(connection?.tls?.reason).toContain('Test Root');
    expect(events.reports).toMatchObject([{ statusDetails: 'ssl_certificate_chain_verification_failed' }]);
    expect(events.failures).toHaveLength(0);
    await service.retire();
  });

  test('what would be accepted never reads as verified', async () => {
    const events = new EventLog();
    const service = makeService({
      protocol: 'HTTPS',
      ports: [port],
      tls: makeTls({ anchors: [pki.root], reportOnly: true }),
      events,
    });
    expect((await exchange(service)).connection?.tls).toMatchObject({ verdict: 'would-accept', rule: null });
    expect(events.reports).toHaveLength(0);
    await service.retire();
  });

  test.each([
    ['trusted', true],
    ['not trusted', false],
  ])('no session is kept or offered (%s): an enforcing one has nothing to resume', async (_name, trusted) => {
    const sessions = new SessionStore(systemClock);
    const anchors = [trusted ? pki.root : pki.stranger];
    const reporting = makeService({
      protocol: 'HTTPS',
      ports: [port],
      tls: makeTls({ anchors, reportOnly: true }),
      sessions,
    });
    for (let i = 0; i < 2; i++) expect((await exchange(reporting, { method: 'HEAD' })).status).toBe(200);
    expect(reused).toEqual([false, false]);
    expect(sessions.size).toBe(0);
    const enforcing = makeService({ protocol: 'HTTPS', ports: [port], tls: makeTls({ anchors }), sessions });
    const { status, error } = await exchange(enforcing);
    expect(trusted ? status : error?.code).toBe(trusted ? 200 : 'ssl_certificate_chain_verification_failed');
    await Promise.all([reporting.retire(), enforcing.retire()]);
  });

  test('the connections of a reporting service are not taken over by an enforcing one', async () => {
    const reporting = makeService({
      protocol: 'HTTPS',
      ports: [port],
      tls: makeTls({ anchors: [pki.stranger], reportOnly: true }),
    });
    await exchange(reporting);
    const enforcing = makeService({
      protocol: 'HTTPS',
      ports: [port],
      tls: makeTls({ anchors: [pki.stranger] }),
      previous: reporting,
    });
    expect((await exchange(enforcing)).error?.code).toBe('ssl_certificate_chain_verification_failed');
    await reporting.retire({ successor: enforcing });
    await enforcing.retire();
  });
});
