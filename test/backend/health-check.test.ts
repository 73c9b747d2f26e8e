// Health checks of every type (spec 3.7, 10.25) against real servers.
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttp2Server, createSecureServer, type ServerHttp2Stream } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import type { BackendService } from '#src/backend/contract.ts';
import { startProbe } from '#src/backend/health-probe.ts';
import { createBackendIdentity } from '#src/backend/identity.ts';
import { systemClock } from '#src/base/clock.ts';
import { digestOf } from '#src/base/digest.ts';
import type { LinkedBackendTls, LinkedHealthCheck } from '#src/config/linked.ts';
import { chainPem, type TestPki, testPki } from '../harness/pki.ts';
import { until } from '../harness/until.ts';
import { EventLog, listen, makeService, makeTls, REQUESTER } from './support.ts';

let pki: TestPki;
const cleanups: (() => unknown)[] = [];

beforeAll(async () => {
  pki = await testPki();
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function check(options: Partial<LinkedHealthCheck>): LinkedHealthCheck {
  const contents = {
    name: 'check',
    type: 'TCP' as const,
    checkIntervalSec: 0.02, // the schema's least is 1 s
    timeoutSec: 2,
    healthyThreshold: 2,
    unhealthyThreshold: 2,
    port: null,
    tlsAuthentication: true,
    host: '',
    requestPath: '/',
    request: '',
    response: '',
    grpcServiceName: '',
    ...options,
  };
  return { ...contents, digest: digestOf(contents) };
}

/** Listens until the end of the test, which ends its connections too. */
async function open(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)));
  });
  server.on('tlsClientError', () => {});
  server.on('sessionError', () => {});
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return await listen(server);
}

/** The outcome of one probe: null, or what was wrong. */
function outcomeOf(port: number, options: Partial<LinkedHealthCheck>, tls: LinkedBackendTls | null = null) {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const endpoint = { name: `127.0.0.1:${port}`, address: '127.0.0.1', port };
  const identity = tls === null ? null : createBackendIdentity(tls, systemClock);
  startProbe({ check: check(options), endpoint, identity, clock: systemClock }, resolve);
  return promise;
}

const certificate = () => ({ cert: chainPem(pki.server, pki.issuing), key: pki.server.privateKeyPem });
const trusting = () => makeTls({ anchors: [pki.root], sni: 'backend.example' });

describe('a probe over', () => {
  test('TCP: connecting is enough; with request and response the answer must begin as expected', async () => {
    const port = await open(
      createTcpServer((socket) =>
        socket.once('data', (ping) => socket.end(`${ping.toString() === 'PING' ? 'PO' : 'NO'}NG!`)),
      ),
    );
    expect(await outcomeOf(port, {})).toBeNull();
    expect(await outcomeOf(port, { request: 'PING', response: 'PONG' })).toBeNull();
    expect(await outcomeOf(port, { request: 'Ping', response: 'PONG' })).toContain('does not begin with');
    expect(await outcomeOf(1, {})).toBe('backend_connect_refused: 127.0.0.1:1: ECONNREFUSED');
  });

  test('TCP: an endpoint that closes or says nothing is not well', async () => {
    const closing = await open(createTcpServer((socket) => socket.end('PO')));
    expect(await outcomeOf(closing, { response: 'PONG' })).toContain('closed the connection');
    const silent = await open(createTcpServer((socket) => socket.resume()));
    expect(await outcomeOf(silent, { response: 'PONG', timeoutSec: 0.1 })).toBe('no complete answer within 0.1 s');
  });

  test('SSL: the certificate is judged as that of the traffic', async () => {
    const port = await open(createTlsServer(certificate()));
    expect(await outcomeOf(port, { type: 'SSL' }, trusting())).toBeNull();
    const failure = await outcomeOf(port, { type: 'SSL' }, makeTls({ anchors: [pki.stranger] }));
    expect(failure).toContain('ssl_certificate_chain_verification_failed');
    expect(failure).toContain('rule trust-anchor');
  });

  test('HTTP: only 200 is well, with the configured path and host, and the response in the body', async () => {
    const seen: string[] = [];
    const port = await open(
      createHttpServer((request, response) => {
        seen.push(`${request.method} ${request.url} ${request.headers.host}`);
        response.statusCode = Number(request.url?.slice(1));
        response.end(`${'x'.repeat(1000)}all is well${'x'.repeat(1000)}`);
      }),
    );
    const http = { type: 'HTTP', requestPath: '/200', host: 'a.example' } as const;
    expect(await outcomeOf(port, http)).toBeNull();
    expect(seen).toEqual(['GET /200 a.example']);
    for (const status of [204, 301, 404, 503]) {
      expect(await outcomeOf(port, { ...http, requestPath: `/${status}` })).toBe(`status ${status}, expected 200`);
    }
    expect(await outcomeOf(port, { ...http, response: 'all is well' })).toBeNull();
    expect(await outcomeOf(port, { ...http, response: 'all is ill' })).toContain('first 1024 bytes');
    await outcomeOf(port, { type: 'HTTP', requestPath: '/200' });
    expect(seen.at(-1)).toBe(`GET /200 127.0.0.1:${port}`);
  });

  test('HTTPS: with SNI and verification', async () => {
    const names: unknown[] = [];
    const server = createHttpsServer(certificate(), (_request, response) => response.end('ok'));
    server.on('secureConnection', (socket: TLSSocket & { servername: string | false }) =>
      names.push(socket.servername),
    );
    const port = await open(server);
    expect(await outcomeOf(port, { type: 'HTTPS' }, trusting())).toBeNull();
    expect(names).toEqual(['backend.example']);
    const wrongName = makeTls({ anchors: [pki.root], dnsNames: ['other.example'] });
    expect(await outcomeOf(port, { type: 'HTTPS' }, wrongName)).toContain('ssl_certificate_san_verification_failed');
  });

  test('HTTP2: over TLS with ALPN h2', async () => {
    const server = createSecureServer(certificate());
    server.on('stream', (stream: ServerHttp2Stream, headers) => {
      stream.respond({ ':status': headers[':path'] === '/well' ? 200 : 500 });
      stream.end('ok');
    });
    const port = await open(server);
    expect(await outcomeOf(port, { type: 'HTTP2', requestPath: '/well' }, trusting())).toBeNull();
    expect(await outcomeOf(port, { type: 'HTTP2' }, trusting())).toBe('status 500, expected 200');
    const http1Only = await open(createHttpsServer({ ...certificate(), ALPNProtocols: ['http/1.1'] }));
    expect(await outcomeOf(http1Only, { type: 'HTTP2' }, trusting())).toContain('failed_to_negotiate_alpn');
  });

  test('HTTP2 on a service of protocol H2C: the serving port is asked without TLS, another one with it', async () => {
    const schemes: unknown[] = [];
    const answer = (stream: ServerHttp2Stream, headers: Record<string, unknown>) => {
      schemes.push(headers[':scheme']);
      stream.respond({ ':status': 200 });
      stream.end();
    };
    const plain = await open(createHttp2Server().on('stream', answer));
    const secure = await open(createSecureServer(certificate()).on('stream', answer));
    for (const port of [null, secure]) {
      const healthCheck = check({ type: 'HTTP2', port });
      const service = makeService({ protocol: 'H2C', ports: [plain], healthCheck });
      cleanups.push(() => service.retire());
      service.start();
      await until(() => service.health()[0]!.isProbed);
      expect(service.health()).toMatchObject([{ isHealthy: true, reason: '' }]);
    }
    expect(new Set(schemes)).toEqual(new Set(['http', 'https']));
  });

  test.each(['GRPC', 'GRPC_WITH_TLS'] as const)('%s: SERVING is well, nothing else', async (type) => {
    const asked: string[] = [];
    const answer = (stream: ServerHttp2Stream, headers: Record<string, unknown>) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const service = Buffer.concat(chunks).subarray(7).toString();
        asked.push(`${String(headers[':path'])} ${service}`);
        const status = service === 'down' ? 2 : 1;
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': service === 'unknown' ? '5' : '0' }));
        stream.end(service === 'unknown' ? '' : Buffer.from([0, 0, 0, 0, 2, 8, status]));
      });
    };
    const server = type === 'GRPC' ? createHttp2Server() : createSecureServer(certificate());
    server.on('stream', answer);
    const port = await open(server);
    const tls = type === 'GRPC' ? null : trusting();
    expect(await outcomeOf(port, { type }, tls)).toBeNull();
    expect(await outcomeOf(port, { type, grpcServiceName: 'a.B' }, tls)).toBeNull();
    expect(asked).toEqual(['/grpc.health.v1.Health/Check ', '/grpc.health.v1.Health/Check a.B']);
    expect(await outcomeOf(port, { type, grpcServiceName: 'down' }, tls)).toBe(
      'serving status NOT_SERVING, expected SERVING',
    );
    expect(await outcomeOf(port, { type, grpcServiceName: 'unknown' }, tls)).toBe('grpc-status 5, expected 0');
  });
});

describe('a service with a health check', () => {
  interface Switch {
    readonly port: number;
    isWell: boolean;
    probes: number;
  }

  async function endpoint(): Promise<Switch> {
    const it: Switch = { port: 0, isWell: true, probes: 0 };
    const server = createHttpServer((_request, response) => {
      it.probes++;
      response.statusCode = it.isWell ? 200 : 500;
      response.end();
    });
    return Object.assign(it, { port: await open(server) });
  }

  function probed(ports: readonly number[], options: Partial<Parameters<typeof makeService>[0]> = {}) {
    const events = new EventLog();
    const service = makeService({ ports, events, healthCheck: check({ type: 'HTTP' }), ...options });
    cleanups.push(() => service.retire());
    service.start();
    return { service, events };
  }

  test('skips an endpoint after unhealthyThreshold failures in a row, takes it back after healthyThreshold, and tells each change', async () => {
    const [one, two] = [await endpoint(), await endpoint()];
    const { service, events } = probed([one.port, two.port]);
    expect(service.health().map(({ isHealthy, isProbed }) => [isHealthy, isProbed])).toEqual([
      [true, false],
      [true, false],
    ]);
    await until(() => service.health().every(({ isProbed }) => isProbed));
    one.isWell = false;
    await until(() => service.health()[0]!.isHealthy === false);
    expect(service.health()[0]!.reason).toBe('status 500, expected 200');
    expect(Array.from({ length: 4 }, () => service.pick([], REQUESTER)!.port)).toEqual(Array(4).fill(two.port));
    two.isWell = false;
    await until(() => service.pick([], REQUESTER) === null); // forward makes 503 failed_to_pick_backend of it
    one.isWell = true;
    await until(() => service.pick([], REQUESTER)?.port === one.port);
    expect(events.health).toEqual([
      `127.0.0.1:${one.port} up`,
      `127.0.0.1:${two.port} up`,
      `127.0.0.1:${one.port} down: status 500, expected 200`,
      `127.0.0.1:${two.port} down: status 500, expected 200`,
      `127.0.0.1:${one.port} up`,
    ]);
  });

  test('one failure below the threshold changes nothing', async () => {
    const one = await endpoint();
    const { service } = probed([one.port], { healthCheck: check({ type: 'HTTP', unhealthyThreshold: 10 }) });
    one.isWell = false;
    await until(() => one.probes >= 3);
    one.isWell = true;
    await until(() => service.health()[0]!.reason === '');
    expect(service.pick([], REQUESTER)?.port).toBe(one.port);
  });

  test('does not probe before start() and not after retire()', async () => {
    const one = await endpoint();
    const { service, events } = probed([one.port]);
    const idle = makeService({ ports: [one.port], healthCheck: check({ type: 'HTTP' }) });
    await until(() => one.probes >= 1);
    await service.retire();
    const { probes } = one;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(one.probes).toBeLessThanOrEqual(probes + 1); // one that was on its way
    expect(events.health.at(-1)).toBe(`127.0.0.1:${one.port} gone`);
    await idle.retire();
  });

  test('a successor goes on with what is known: an endpoint that is down stays down under a new identity', async () => {
    const one = await endpoint();
    one.isWell = false;
    const { service, events } = probed([one.port]);
    await until(() => service.pick([], REQUESTER) === null);
    const renamed = makeService({
      protocol: 'HTTPS',
      tls: makeTls({ unauthenticated: true }),
      ports: [one.port],
      events,
      healthCheck: check({ type: 'HTTP' }),
      previous: service,
    });
    cleanups.push(() => renamed.retire());
    renamed.start();
    await service.retire({ successor: renamed });
    expect(renamed.pick([], REQUESTER)).toBeNull();
    one.isWell = true;
    await until(() => renamed.pick([], REQUESTER) !== null);
    expect(events.health.filter((line) => line.endsWith('gone'))).toEqual([]);
  });

  test('an unchanged endpoint keeps its probe, connections and all', async () => {
    const one = await endpoint();
    const { service, events } = probed([one.port]);
    const next = makeService({ ports: [one.port, 1], events, healthCheck: check({ type: 'HTTP' }), previous: service });
    cleanups.push(() => next.retire());
    next.start();
    await service.retire({ successor: next });
    expect(events.health.filter((line) => line.startsWith(`127.0.0.1:${one.port}`))).toHaveLength(1);
    const { probes } = one;
    await until(() => one.probes > probes + 1);
  });
});

describe('the identity of a TLS probe', () => {
  async function demanding(): Promise<{ port: number; clients: (string | undefined)[] }> {
    const clients: (string | undefined)[] = [];
    const server = createHttpsServer(
      {
        ...certificate(),
        ca: [pki.root.certificatePem, pki.issuing.certificatePem],
        requestCert: true,
        rejectUnauthorized: false,
      },
      (_request, response) => response.end('ok'),
    );
    server.on('secureConnection', (socket: TLSSocket) => clients.push(String(socket.getPeerCertificate().subject?.CN)));
    return { port: await open(server), clients };
  }

  function toIt(port: number, options: Partial<LinkedHealthCheck>, anchor = pki.stranger): BackendService {
    const tls = makeTls({ anchors: [anchor], client: [pki.client, pki.issuing] });
    const healthCheck = check({ type: 'HTTPS', unhealthyThreshold: 1, ...options });
    const service = makeService({ protocol: 'HTTPS', ports: [port], tls, healthCheck });
    cleanups.push(() => service.retire());
    service.start();
    return service;
  }

  test('is that of the traffic on the serving port: client certificate, trust, and the reason for what fails', async () => {
    const backend = await demanding();
    const trusted = toIt(backend.port, {}, pki.root);
    await until(() => trusted.health()[0]!.isProbed && backend.clients.length > 0);
    expect(backend.clients[0]).toBe('test client');
    expect(trusted.health()[0]).toMatchObject({ isHealthy: true });
    const service = toIt(backend.port, {});
    await until(() => service.health()[0]!.isProbed);
    expect(service.health()[0]).toMatchObject({ isHealthy: false });
    expect(service.health()[0]!.reason).toContain('ssl_certificate_chain_verification_failed');
  });

  test('is nobody, who accepts any certificate, with tlsAuthentication: false', async () => {
    const backend = await demanding();
    const service = toIt(backend.port, { tlsAuthentication: false });
    await until(() => service.health()[0]!.isProbed);
    expect(service.health()[0]).toMatchObject({ isHealthy: true, reason: '' });
    expect(backend.clients[0]).toBe('undefined');
  });

  test('is nobody on another port than the serving one', async () => {
    const [traffic, other] = [await demanding(), await demanding()];
    const service = toIt(traffic.port, { port: other.port });
    await until(() => service.health()[0]!.isProbed);
    expect(service.health()[0]).toMatchObject({ isHealthy: true, reason: '' });
    expect([traffic.clients.length, other.clients[0]]).toEqual([0, 'undefined']);
  });
});
