import { createServer as createHttpsServer, type Server as HttpsServer, type ServerOptions } from 'node:https';
import { createServer as createTcpServer, type Server } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import type { BackendService } from '#src/backend/contract.ts';
import { SessionStore } from '#src/backend/session-store.ts';
import { systemClock } from '#src/base/clock.ts';
import type { LinkedBackendTls } from '#src/config/linked.ts';
import type { Issued } from '#src/pki/issue/contract.ts';
import { issue } from '#src/pki/issue/issue.ts';
import type { Refused } from '#src/pki/verdict.ts';
import { freePort } from '../harness/free-port.ts';
import { chainPem, type TestPki, testPki } from '../harness/pki.ts';
import { EventLog, exchange, listen, makeService, makeTls } from './support.ts';

let pki: TestPki;
const cleanups: (() => unknown)[] = [];

beforeAll(async () => {
  pki = await testPki();
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface TestBackend {
  readonly port: number;
  readonly server: HttpsServer;
  /** Requests that HTTP saw, and plaintext bytes that TLS let through. */
  readonly seen: { requests: number; bytes: number; servernames: (string | false)[]; reused: boolean[] };
}

/** An HTTPS server that answers 200 'ok' and notes what reached it. */
async function startBackend(chain: readonly Issued[], options: ServerOptions = {}): Promise<TestBackend> {
  const seen: TestBackend['seen'] = { requests: 0, bytes: 0, servernames: [], reused: [] };
  const server = createHttpsServer(
    { cert: chainPem(...chain), key: chain[0]!.privateKeyPem, ALPNProtocols: ['http/1.1'], ...options },
    (request, response) => {
      seen.requests++;
      request.resume();
      response.end('ok');
    },
  );
  server.on('secureConnection', (socket: TLSSocket & { servername: string | false }) => {
    seen.servernames.push(socket.servername);
    seen.reused.push(socket.isSessionReused());
    socket.on('close', () => {
      seen.bytes += socket.bytesRead;
    });
  });
  server.on('tlsClientError', () => {});
  const port = await listen(server);
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port, server, seen };
}

function serviceTo(
  port: number,
  tls: LinkedBackendTls,
  more: Partial<Parameters<typeof makeService>[0]> = {},
): BackendService {
  const service = makeService({ protocol: 'HTTPS', ports: [port], tls, ...more });
  cleanups.push(() => service.retire());
  return service;
}

/** Waits until the server has nothing open any more, so that its byte counts are final. */
async function settled(backend: TestBackend): Promise<void> {
  while ((await connectionCount(backend.server)) > 0) await new Promise((resolve) => setTimeout(resolve, 5));
}

function connectionCount(server: Server): Promise<number> {
  return new Promise((resolve, reject) =>
    server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
  );
}

describe('verification of the backend certificate', () => {
  test('a chain to the configured anchor with the configured name is accepted', async () => {
    const backend = await startBackend([pki.server, pki.issuing]);
    const events = new EventLog();
    const service = serviceTo(backend.port, makeTls({ anchors: [pki.root], sni: 'backend.example' }), { events });
    const outcome = await exchange(service);
    expect(outcome).toMatchObject({ status: 200, body: 'ok', error: null });
    expect(outcome.connection).toEqual({
      endpoint: `127.0.0.1:${backend.port}`,
      reused: false,
      tls: {
        protocol: 'TLSv1.3',
        cipher: 'TLS_AES_256_GCM_SHA384',
        resumed: false,
        verdict: 'verified',
        rule: null,
        depth: -1,
        reason: null,
      },
    });
    expect(backend.seen.servernames).toEqual(['backend.example']);
    expect(events.connects).toHaveLength(1);
  });

  test('a missing intermediate is supplied by the trust config', async () => {
    const backend = await startBackend([pki.server]);
    const without = serviceTo(backend.port, makeTls({ anchors: [pki.root] }));
    expect((await exchange(without)).error?.code).toBe('ssl_certificate_chain_verification_failed');
    const tls = makeTls({ anchors: [pki.root], intermediates: [pki.issuing] });
    expect((await exchange(serviceTo(backend.port, tls))).status).toBe(200);
  });

  const day = 24 * 3_600_000;
  const refusals: readonly {
    readonly name: string;
    readonly chain: () => Promise<readonly Issued[]>;
    readonly tls: (chain: readonly Issued[]) => Parameters<typeof makeTls>[0];
    readonly code: string;
    readonly rule: string;
    readonly depth: number;
  }[] = [
    {
      name: 'a CA that is not trusted',
      chain: async () => [pki.server, pki.issuing],
      tls: () => ({ anchors: [pki.stranger] }),
      code: 'ssl_certificate_chain_verification_failed',
      rule: 'trust-anchor',
      depth: 1,
    },
    {
      name: 'no SAN that matches',
      chain: async () => [pki.server, pki.issuing],
      tls: () => ({ anchors: [pki.root], dnsNames: ['other.example'] }),
      code: 'ssl_certificate_san_verification_failed',
      rule: 'subject-alternative-name',
      depth: 0,
    },
    {
      name: 'an expired leaf',
      chain: async () => [
        await issue({
          subject: 'CN=expired',
          issuer: pki.issuing,
          dnsNames: ['backend.example'],
          notBefore: new Date(Date.now() - 3 * day),
          notAfter: new Date(Date.now() - day),
        }),
        pki.issuing,
      ],
      tls: () => ({ anchors: [pki.root] }),
      code: 'ssl_certificate_chain_verification_failed',
      rule: 'validity',
      depth: 0,
    },
    {
      name: 'a self-signed leaf',
      chain: async () => [await issue({ subject: 'CN=self', dnsNames: ['backend.example'] })],
      tls: () => ({ anchors: [pki.root] }),
      code: 'ssl_certificate_chain_verification_failed',
      rule: 'trust-anchor',
      depth: 0,
    },
    {
      name: 'authentication without any anchor (fail closed)',
      chain: async () => [pki.server, pki.issuing],
      tls: () => ({}),
      code: 'ssl_certificate_chain_verification_failed',
      rule: 'trust-anchor',
      depth: 1,
    },
    {
      name: 'an unauthenticated backend without an expected name',
      chain: async () => [pki.server, pki.issuing],
      tls: () => ({ unauthenticated: true, dnsNames: ['other.example'] }),
      code: 'ssl_certificate_san_verification_failed',
      rule: 'subject-alternative-name',
      depth: 0,
    },
  ];

  test.each(refusals)('$name is refused before any request byte, and its session is not kept', async (refusal) => {
    const chain = await refusal.chain();
    const backend = await startBackend(chain);
    const sessions = new SessionStore(systemClock);
    const events = new EventLog();
    const service = serviceTo(backend.port, makeTls(refusal.tls(chain)), { sessions, events });
    for (let attempt = 0; attempt < 2; attempt++) {
      const { error, order } = await exchange(service);
      expect(order).toEqual(['onError']);
      expect(error?.code).toBe(refusal.code);
      expect(error?.phase).toBe('verify');
      const verdict = error?.cause as Refused;
      expect({ rule: verdict.rule, depth: verdict.depth }).toEqual({ rule: refusal.rule, depth: refusal.depth });
      expect(error?.detail).toContain(refusal.rule);
    }
    await settled(backend);
    expect(backend.seen).toMatchObject({ requests: 0, bytes: 0 });
    expect(backend.seen.reused).not.toContain(true);
    expect(sessions.size).toBe(0);
    expect(events.failures.map(({ code }) => code)).toEqual([refusal.code, refusal.code]);
  });

  test('a self-signed certificate on the allowlist is accepted', async () => {
    const self = await issue({ subject: 'CN=self', dnsNames: ['backend.example'] });
    const backend = await startBackend([self]);
    const outcome = await exchange(serviceTo(backend.port, makeTls({ allowlist: [self], sni: 'backend.example' })));
    expect(outcome.status).toBe(200);
    expect(outcome.connection?.tls?.verdict).toBe('allowlisted');
  });

  test('more than 10 certificates are refused as such', async () => {
    const backend = await startBackend([pki.server, ...Array<Issued>(10).fill(pki.issuing)]);
    const { error } = await exchange(serviceTo(backend.port, makeTls({ anchors: [pki.root] })));
    expect(error?.code).toBe('server_cert_chain_exceeded_limit');
  });

  test('without authentication any certificate will do, and no SNI is sent', async () => {
    const self = await issue({ subject: 'CN=self' });
    const backend = await startBackend([self]);
    const outcome = await exchange(serviceTo(backend.port, makeTls({ unauthenticated: true })));
    expect(outcome.status).toBe(200);
    expect(outcome.connection?.tls?.verdict).toBe('unauthenticated');
    expect(backend.seen.servernames).toEqual([false]);
  });
});

describe('the client certificate', () => {
  const demanding = (): ServerOptions => ({
    requestCert: true,
    rejectUnauthorized: true,
    ca: [pki.root.certificatePem, pki.issuing.certificatePem],
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)('is shown to a backend that asks for it (%s)', async (maxVersion) => {
    const backend = await startBackend([pki.server, pki.issuing], { ...demanding(), maxVersion });
    const tls = makeTls({ anchors: [pki.root], client: [pki.client, pki.issuing] });
    const outcome = await exchange(serviceTo(backend.port, tls));
    expect(outcome).toMatchObject({ status: 200, connection: { tls: { protocol: maxVersion } } });
  });

  // Node as server closes without an alert when it does not like the certificate; OpenSSL's own alerts: test/interop.
  test.each(['TLSv1.2', 'TLSv1.3'] as const)('its absence ends in a 502 (%s)', async (maxVersion) => {
    const backend = await startBackend([pki.server, pki.issuing], { ...demanding(), maxVersion });
    const { error } = await exchange(serviceTo(backend.port, makeTls({ anchors: [pki.root] })));
    expect(error?.spec.status).toBe(502);
    expect(backend.seen.requests).toBe(0);
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)('a wrong one ends in a 502 (%s)', async (maxVersion) => {
    const backend = await startBackend([pki.server, pki.issuing], { ...demanding(), maxVersion });
    const wrong = await issue({ subject: 'CN=wrong', issuer: pki.stranger, extendedKeyUsage: ['clientAuth'] });
    const { error } = await exchange(serviceTo(backend.port, makeTls({ anchors: [pki.root], client: [wrong] })));
    expect(error?.spec.status).toBe(502);
    expect(backend.seen.requests).toBe(0);
  });
});

describe('resumption', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'the second connection resumes the accepted session (%s)',
    async (maxVersion) => {
      const backend = await startBackend([pki.server, pki.issuing], { maxVersion });
      const tls = makeTls({ anchors: [pki.root], sni: 'backend.example' });
      const service = serviceTo(backend.port, tls);
      expect((await exchange(service, { method: 'HEAD' })).connection?.tls?.resumed).toBe(false);
      const second = await exchange(service, { method: 'HEAD' }); // after HEAD a connection is not used again
      expect(second.connection).toMatchObject({ reused: false, tls: { resumed: true, verdict: 'resumed' } });
      expect(backend.seen.reused).toEqual([false, true]);
    },
  );

  test('another identity never resumes: a change of trust is verified anew', async () => {
    const backend = await startBackend([pki.server, pki.issuing]);
    const sessions = new SessionStore(systemClock);
    const trusting = serviceTo(backend.port, makeTls({ anchors: [pki.root] }), { sessions });
    expect((await exchange(trusting)).status).toBe(200);
    expect(sessions.size).toBe(1);
    const distrusting = serviceTo(backend.port, makeTls({ anchors: [pki.stranger] }), { sessions });
    expect((await exchange(distrusting)).error?.code).toBe('ssl_certificate_chain_verification_failed');
  });

  test('neither session nor pooled connection outlives the certificate that it was made under', async () => {
    const backend = await startBackend([pki.server, pki.issuing]);
    let offsetMs = 0;
    const clock = { monotonicMs: () => performance.now(), wallMs: () => Date.now() + offsetMs };
    const service = serviceTo(backend.port, makeTls({ anchors: [pki.root] }), { clock });
    expect((await exchange(service)).status).toBe(200);
    offsetMs = 365 * 24 * 3_600_000;
    const later = await exchange(service);
    expect(later.error?.cause).toMatchObject({ rule: 'validity' });
    expect(backend.seen.reused).not.toContain(true);
  });
});

describe('connections that do not come up', () => {
  test('a closed port is backend_connect_refused and may be retried', async () => {
    const service = makeService({ ports: [await freePort()] });
    const { error, order } = await exchange(service);
    expect(error).toMatchObject({ code: 'backend_connect_refused', retry: 'yes', phase: 'connect' });
    expect(order).toEqual(['onError']);
  });

  test('a name that does not resolve is backend_dns_failed', async () => {
    const service = makeService({ ports: [80], host: 'no-such-host.invalid' });
    expect((await exchange(service)).error?.code).toBe('backend_dns_failed');
  });

  test('a name is resolved, and the address that was dialled is what is reported', async () => {
    const backend = await startBackend([pki.server, pki.issuing]);
    const service = serviceTo(backend.port, makeTls({ anchors: [pki.root], sni: 'localhost' }), { host: 'localhost' });
    const outcome = await exchange(service);
    expect(outcome.connection?.endpoint).toBe(`127.0.0.1:${backend.port}`);
  });

  test('a server that never answers the ClientHello is cut off: backend_connect_timeout', async () => {
    const server = createTcpServer((socket) => socket.on('error', () => {}).resume());
    const port = await listen(server);
    cleanups.push(() => server.close());
    const service = serviceTo(port, makeTls({ anchors: [pki.root] }), { connectTimeoutMs: 100 });
    const { error } = await exchange(service);
    expect(error?.code).toBe('backend_connect_timeout');
    expect(error?.detail).toContain('TLS handshake');
  });

  test('a server that speaks no TLS is backend_tls_failed', async () => {
    const server = createTcpServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    const port = await listen(server);
    cleanups.push(() => server.close());
    const { error } = await exchange(serviceTo(port, makeTls({ anchors: [pki.root] })));
    expect(error).toMatchObject({ code: 'backend_tls_failed', phase: 'tls' });
  });

  test('a server that hangs up on the ClientHello is backend_tls_failed, not a refused connection', async () => {
    const server = createTcpServer((socket) => socket.on('error', () => {}).once('data', () => socket.destroy()));
    const port = await listen(server);
    cleanups.push(() => server.close());
    const { error } = await exchange(serviceTo(port, makeTls({ anchors: [pki.root] })));
    expect(error?.code).toBe('backend_tls_failed');
    expect(error?.detail).toContain('without an alert');
  });

  test('the alert of a server that only speaks TLS 1.1 is named', async () => {
    const backend = await startBackend([pki.server, pki.issuing], {
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'ALL:@SECLEVEL=0',
    });
    const { error } = await exchange(serviceTo(backend.port, makeTls({ anchors: [pki.root] })));
    expect(error).toMatchObject({ code: 'backend_tls_alert', phase: 'tls' });
    expect(error?.detail).toContain('the backend ended the TLS handshake: TLS alert protocol_version');
  });

  test('HTTP2 without h2 in ALPN is failed_to_negotiate_alpn, whether the server knows no ALPN or refuses h2', async () => {
    const silent = createTlsServer({ cert: chainPem(pki.server, pki.issuing), key: pki.server.privateKeyPem });
    const silentPort = await listen(silent);
    cleanups.push(() => silent.close());
    const refusing = await startBackend([pki.server, pki.issuing]);
    for (const port of [silentPort, refusing.port]) {
      const service = serviceTo(port, makeTls({ anchors: [pki.root] }), { protocol: 'HTTP2' });
      expect((await exchange(service)).error).toMatchObject({ code: 'failed_to_negotiate_alpn', phase: 'tls' });
    }
  });
});

test('a backend cannot renegotiate', async () => {
  const backend = await startBackend([pki.server, pki.issuing], { maxVersion: 'TLSv1.2' });
  const renegotiated = new Promise<unknown>((resolve) => {
    backend.server.once('secureConnection', (socket: TLSSocket) => {
      socket.on('error', resolve);
      socket.renegotiate({}, resolve);
    });
  });
  const [serverSaw, { error }] = await Promise.all([
    renegotiated,
    exchange(serviceTo(backend.port, makeTls({ anchors: [pki.root] }))),
  ]);
  expect(serverSaw).toMatchObject({ code: 'ERR_SSL_NO_RENEGOTIATION' });
  expect(error?.spec.status).toBe(502);
});
