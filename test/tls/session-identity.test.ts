import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server } from 'node:tls';
import type { CertificateEntry } from '#src/tls/certificate-entry.ts';
import { contextOptions } from '#src/tls/context-options.ts';
import { sessionIdentity } from '#src/tls/session-identity.ts';
import { effectivePolicy, type SslPolicy } from '#src/tls/ssl-policy.ts';
import { EngineTickets, type TicketGeneration, TicketKeys } from '#src/tls/ticket-keys.ts';
import { entryFor } from './entries.ts';

const KEYS = new TicketKeys(randomBytes(32));
const NOW = Date.UTC(2026, 10, 21);
const MODERN: SslPolicy = {
  name: 'modern',
  profile: 'MODERN',
  minTlsVersion: 'TLS_1_2',
  customFeatures: [],
  postQuantumKeyExchange: 'DEFAULT',
};
const policy = effectivePolicy(MODERN, NOW);

let entry: CertificateEntry;
const servers: Server[] = [];
beforeAll(async () => {
  entry = await entryFor('web', 'P-256');
});
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

describe('`sessionIdentity()`', () => {
  test('is the same for the same engine, and fits what OpenSSL takes', () => {
    const identity = sessionIdentity('web', policy, 'cert');
    expect(sessionIdentity('web', policy, 'cert')).toEqual(identity);
    expect(Buffer.byteLength(identity.sessionIdContext)).toBeLessThanOrEqual(32);
  });

  test('differs with the proxy, the policy and the certificate (security rule 19)', () => {
    const all = [
      sessionIdentity('web', policy, 'cert'),
      sessionIdentity('web2', policy, 'cert'),
      sessionIdentity('web', effectivePolicy({ ...MODERN, profile: 'RESTRICTED' }, NOW), 'cert'),
      sessionIdentity('web', policy, 'cert2'),
    ];
    expect(new Set(all.map(({ digest }) => digest)).size).toBe(4);
    expect(new Set(all.map(({ sessionIdContext }) => sessionIdContext)).size).toBe(4);
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'resumes on its own engine and on no other with %s (security rule 19)',
    async (version) => {
      const mine = await listen(ticketsOf('web', 'cert'));
      const sameElsewhere = await listen(ticketsOf('web', 'cert')); // another worker
      const otherProxy = await listen(ticketsOf('admin', 'cert'));
      const otherCertificate = await listen(ticketsOf('web', 'cert2'));
      const { session } = await visit(mine, version);
      expect(await reused(mine, version, session)).toBe(true);
      expect(await reused(sameElsewhere, version, session)).toBe(true);
      expect(await reused(otherProxy, version, session)).toBe(false);
      expect(await reused(otherCertificate, version, session)).toBe(false);
    },
  );

  test('without one, an engine resumes nobody', async () => {
    const port = await listen(null);
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const { session } = await visit(port, version);
      expect(await reused(port, version, session)).toBe(false);
    }
  });
});

function ticketsOf(proxy: string, certificate: string): TicketGeneration {
  return new EngineTickets(KEYS, sessionIdentity(proxy, policy, certificate)).generationFor(null, NOW);
}

async function listen(tickets: TicketGeneration | null): Promise<number> {
  const server = createServer(contextOptions(policy, entry, tickets), (socket) => {
    socket.on('error', () => {});
    socket.end('done'); // data after the tickets: when it is here, so are they
  });
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return (server.address() as AddressInfo).port;
}

async function reused(port: number, version: 'TLSv1.2' | 'TLSv1.3', session: Buffer | undefined): Promise<boolean> {
  return (await visit(port, version, session)).reused;
}

function visit(
  port: number,
  version: 'TLSv1.2' | 'TLSv1.3',
  offered?: Buffer,
): Promise<{ reused: boolean; session: Buffer | undefined }> {
  return new Promise((done, fail) => {
    const client = connect({
      port,
      host: '127.0.0.1',
      servername: 'example.test',
      rejectUnauthorized: false,
      minVersion: version,
      maxVersion: version,
      ...(offered ? { session: offered } : {}),
    });
    let session: Buffer | undefined;
    let reused = false;
    client.on('secureConnect', () => {
      reused = client.isSessionReused();
    });
    client.on('session', (ticket: Buffer) => {
      session = ticket;
    });
    client.on('error', fail);
    client.on('data', () => {});
    client.on('close', () => done({ reused, session }));
  });
}
