// Clients that authenticate, through a real process: what backends are told, what clients cannot tell them, and what a reload does.
import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import {
  connect as connectHttp2,
  createSecureServer,
  type Http2SecureServer,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { parseCertificate } from '#src/pki/certificate.ts';
import type { Issued } from '#src/pki/issue/contract.ts';
import { issueCrl } from '#src/pki/issue/crl.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { freePort } from '../harness/free-port.ts';
import { chainPem } from '../harness/pki.ts';
import { type RunningSallyport, runSallyport } from '../harness/run-sallyport.ts';

const SPIFFE = 'spiffe://prod.example/people/alice';
const VARIABLES = {
  'X-Client-Cert-Present': 'client_cert_present',
  'X-Client-Cert-Chain-Verified': 'client_cert_chain_verified',
  'X-Client-Cert-Error': 'client_cert_error',
  'X-Client-Cert-Hash': 'client_cert_sha256_fingerprint',
  'X-Client-Cert-Serial-Number': 'client_cert_serial_number',
  'X-Client-Cert-SPIFFE': 'client_cert_spiffe_id',
  'X-Client-Cert-URI-SANs': 'client_cert_uri_sans',
  'X-Client-Cert-DNSName-SANs': 'client_cert_dnsname_sans',
  'X-Client-Cert-Valid-Not-Before': 'client_cert_valid_not_before',
  'X-Client-Cert-Valid-Not-After': 'client_cert_valid_not_after',
  'X-Client-Cert-Issuer-Dn': 'client_cert_issuer_dn',
  'X-Client-Cert-Subject-Dn': 'client_cert_subject_dn',
  'Client-Cert': 'client_cert_leaf',
  'Client-Cert-Chain': 'client_cert_chain',
  'X-Tls-Version': 'tls_version',
  'X-Who': 'tls_sni_hostname',
} as const;

let root: Issued;
let issuing: Issued;
let alice: Issued;
let other: Issued;
let stranger: Issued;
let folder: string;
let proxy: RunningSallyport;
let ports: { strict: number; allowing: number; plain: number };
let backend: Server;
let http2Backend: Http2SecureServer;
const heads: string[][] = [];
const trailers: Record<string, unknown>[] = [];
const sockets: TLSSocket[] = [];

beforeAll(async () => {
  root = await issue({ subject: 'CN=Client Root', ca: true });
  issuing = await issue({ subject: 'CN=Client CA', ca: true, issuer: root });
  alice = await issue({
    subject: 'CN=alice,O=Example',
    issuer: issuing,
    extendedKeyUsage: ['clientAuth'],
    uris: ['https://alice.example/', SPIFFE],
    dnsNames: ['alice.example', 'a.example'],
    notBefore: new Date(Date.UTC(2026, 0, 2, 3, 4, 5)),
    notAfter: new Date(Date.UTC(2046, 0, 2, 3, 4, 5)),
    serialHex: '00ab12cd',
  });
  other = await issue({ subject: 'CN=Other Root', ca: true });
  stranger = await issue({ subject: 'CN=alice,O=Example', issuer: other, extendedKeyUsage: ['clientAuth'] });
  const front = await issue({
    subject: 'CN=front',
    dnsNames: ['front.test', '*.wild.test'],
    ipAddresses: ['127.0.0.1'],
  });
  folder = await mkdtemp(join(tmpdir(), 'client-authentication-'));
  await writeFile(join(folder, 'front.crt'), front.certificatePem);
  await writeFile(join(folder, 'front.key'), front.privateKeyPem, { mode: 0o600 });
  await writeFile(join(folder, 'trust.crt'), root.certificatePem);
  await writeFile(join(folder, 'clients.crl'), issueCrl({ issuer: issuing, number: 1 }));
  backend = createServer((request, response) => {
    heads.push(request.rawHeaders);
    response.end('hello');
  });
  await listening(backend);
  http2Backend = createSecureServer({ cert: front.certificatePem, key: front.privateKeyPem });
  http2Backend.on('stream', (stream: ServerHttp2Stream, headers) => {
    heads.push(Object.entries(headers).flatMap(([name, value]) => [name, String(value)]));
    stream.on('trailers', (fields) => trailers.push(Object.fromEntries(Object.entries(fields))));
    stream.on('end', () => {
      stream.respond({ ':status': 200 });
      stream.end('hello');
    });
    stream.resume();
  });
  await listening(http2Backend);
  ports = { strict: await freePort(), allowing: await freePort(), plain: await freePort() };
  await writeFile(join(folder, 'sallyport.json'), JSON.stringify(await configuration()));
  proxy = await runSallyport({ config: join(folder, 'sallyport.json') });
}, 60_000);

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  heads.length = 0;
  trailers.length = 0;
});

afterAll(async () => {
  await proxy?.stop('SIGINT');
  backend?.close();
  http2Backend?.close();
  await rm(folder, { recursive: true, force: true });
});

function listening(server: Server | Http2SecureServer): Promise<void> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve());
  });
}

async function configuration(): Promise<Record<string, unknown>> {
  const listener = (name: keyof typeof ports) => ({
    name,
    IPAddress: '127.0.0.1',
    portRange: String(ports[name]),
    target: `targetHttpsProxies/${name}`,
  });
  const target = (name: string, more = {}) => ({
    name,
    urlMap: 'web',
    sslCertificates: ['front'],
    sslPolicy: 'modern',
    ...more,
  });
  const policy = (name: string, clientValidationMode: string) => ({
    name,
    mtlsPolicy: { clientValidationMode, clientValidationTrustConfig: 'clients' },
  });
  const group = (name: string, server: Server | Http2SecureServer) => ({
    name,
    networkEndpointType: 'NON_GCP_PRIVATE_IP_PORT',
    endpoints: [{ ipAddress: '127.0.0.1', port: (server.address() as AddressInfo).port }],
  });
  const customRequestHeaders = Object.entries(VARIABLES).map(([name, variable]) => `${name}:{${variable}}`);
  const service = (name: string, protocol: string, more = {}) => ({
    name,
    protocol,
    backends: [{ group: name }],
    ...more,
  });
  return {
    forwardingRules: [listener('strict'), listener('allowing'), listener('plain')],
    targetHttpsProxies: [
      target('strict', { serverTlsPolicy: 'strict' }),
      target('allowing', { serverTlsPolicy: 'allowing' }),
      target('plain'),
    ],
    serverTlsPolicies: [policy('strict', 'REJECT_INVALID'), policy('allowing', 'ALLOW_INVALID_OR_MISSING_CLIENT_CERT')],
    trustConfigs: [
      {
        name: 'clients',
        trustStores: [{ trustAnchors: [{ pemCertificateFile: 'trust.crt' }] }],
        revocation: { crlFile: 'clients.crl', mode: 'if-available' },
      },
    ],
    sslPolicies: [{ name: 'modern', profile: 'MODERN', minTlsVersion: 'TLS_1_2' }],
    sslCertificates: [{ name: 'front', selfManaged: { certificateFile: 'front.crt', privateKeyFile: 'front.key' } }],
    urlMaps: [
      {
        name: 'web',
        defaultService: 'told',
        hostRules: [{ hosts: ['*'], pathMatcher: 'all' }],
        pathMatchers: [
          {
            name: 'all',
            defaultService: 'told',
            pathRules: [
              { paths: ['/untold'], service: 'untold' },
              { paths: ['/http2'], service: 'http2' },
            ],
          },
        ],
      },
    ],
    backendServices: [
      service('told', 'HTTP', { customRequestHeaders, customResponseHeaders: ['X-Port: {client_port}', 'Date:'] }),
      service('untold', 'HTTP'),
      service('http2', 'HTTP2'),
    ],
    networkEndpointGroups: [group('told', backend), group('untold', backend), group('http2', http2Backend)],
    sallyport: {
      admin: { address: '127.0.0.1', port: await freePort() },
      workers: 1,
      drain: { delaySec: 0, timeoutSec: 2 },
      accessLog: { sampleRate: 1 },
    },
  };
}

function open(port: number, options: ConnectionOptions & { readonly localAddress?: string } = {}): TLSSocket {
  const socket = connect({ host: '127.0.0.1', port, servername: 'front.test', rejectUnauthorized: false, ...options });
  socket.on('error', () => {});
  sockets.push(socket);
  return socket;
}

/** A request over HTTP/1.1; '' where the connection was closed instead. */
function send(socket: TLSSocket, path: string, fields: readonly string[] = []): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const onData = (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (!text.includes('\r\n\r\n') || !/hello|\d{3} [A-Z]/.test(text)) return;
      socket.removeListener('data', onData);
      resolve(text);
    };
    socket.on('data', onData);
    socket.on('close', () => resolve(text));
    const host = fields.some((field) => field.toLowerCase().startsWith('host:')) ? [] : ['Host: front.test'];
    socket.write([`GET ${path} HTTP/1.1`, ...host, ...fields, '', ''].join('\r\n'));
  });
}

function identity(...chain: readonly Issued[]): ConnectionOptions {
  return { cert: chainPem(...chain), key: chain[0]?.privateKeyPem ?? '' };
}

/** The values of all fields that are `name` to a backend which reads `_` as `-`. */
function valuesOf(head: readonly string[], name: string): readonly string[] {
  return head.filter(
    (_, index) => index % 2 === 1 && head[index - 1]!.toLowerCase().replaceAll('_', '-') === name.toLowerCase(),
  );
}

describe('headers to backends', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'say who a verified client is, byte for byte, under %s',
    async (version) => {
      const socket = open(ports.strict, { ...identity(alice, issuing), minVersion: version, maxVersion: version });
      const answer = await send(socket, '/');
      expect(answer).toMatch(/^HTTP\/1\.1 200 /);
      expect(answer).toContain(`x-port: ${socket.localPort}\r\n`);
      expect(answer).toContain('date: \r\n');
      const certificate = new X509Certificate(alice.certificatePem);
      const base64 = (bytes: Uint8Array | string) => Buffer.from(bytes).toString('base64');
      const expected: Record<keyof typeof VARIABLES, string> = {
        'X-Client-Cert-Present': 'true',
        'X-Client-Cert-Chain-Verified': 'true',
        'X-Client-Cert-Error': '',
        'X-Client-Cert-Hash': Buffer.from(certificate.fingerprint256.replaceAll(':', ''), 'hex')
          .toString('base64')
          .slice(0, 43),
        'X-Client-Cert-Serial-Number': 'ab12cd',
        'X-Client-Cert-SPIFFE': SPIFFE,
        'X-Client-Cert-URI-SANs': base64('https://alice.example/'),
        'X-Client-Cert-DNSName-SANs': `${base64('alice.example')},${base64('a.example')}`,
        'X-Client-Cert-Valid-Not-Before': '2026-01-02T03:04:05+00:00',
        'X-Client-Cert-Valid-Not-After': '2046-01-02T03:04:05+00:00',
        'X-Client-Cert-Issuer-Dn': base64(parseCertificate(issuing.der).subject.der),
        'X-Client-Cert-Subject-Dn': base64(parseCertificate(alice.der).subject.der),
        'Client-Cert': `:${base64(alice.der)}:`,
        'Client-Cert-Chain': `:${base64(issuing.der)}:`,
        'X-Tls-Version': version,
        'X-Who': 'front.test',
      };
      for (const [name, value] of Object.entries(expected))
        expect([name, valuesOf(heads[0]!, name)]).toEqual([name, [value]]);
    },
  );

  test('say who nobody verified, and why', async () => {
    expect(await send(open(ports.allowing, identity(stranger)), '/')).toMatch(/^HTTP\/1\.1 200 /);
    expect(await send(open(ports.allowing), '/')).toMatch(/^HTTP\/1\.1 200 /);
    expect(await send(open(ports.plain, identity(alice)), '/')).toMatch(/^HTTP\/1\.1 200 /);
    const told = heads.map((head) =>
      ['Present', 'Chain-Verified', 'Error', 'Hash'].map((name) => valuesOf(head, `X-Client-Cert-${name}`)[0]),
    );
    const hash = Buffer.from(new X509Certificate(stranger.certificatePem).fingerprint256.replaceAll(':', ''), 'hex');
    expect(told).toEqual([
      ['true', 'false', 'client_cert_validation_failed', hash.toString('base64').slice(0, 43)],
      ['false', 'false', 'client_cert_not_provided', ''],
      ['false', 'false', '', ''],
    ]);
    for (const head of heads) expect(valuesOf(head, 'Client-Cert')).toEqual(['']);
  });
});

describe('what a client says of itself (security rule 18)', () => {
  const FORGED = [
    'X-Client-Cert-Present: forged',
    'x_client_cert_chain_verified: forged',
    'X-CLIENT_CERT-SPIFFE: forged',
    'X-Client-Cert-Of-Tomorrow: forged',
    'Client-Cert: :Zm9yZ2Vk:',
    'Client_Cert_Chain: forged',
    'X-Who: forged',
    'x_who: forged',
    'X_Tls_Version: forged',
  ];

  test.each(['/', '/untold'])(
    'is removed from HTTP/1.1 heads for %s, also at a proxy that does not ask',
    async (path) => {
      for (const port of [ports.plain, ports.allowing]) {
        expect(await send(open(port), path, FORGED)).toMatch(/^HTTP\/1\.1 200 /);
      }
      expect(heads).toHaveLength(2);
      expect(heads.flat().join('\n')).not.toMatch(/forged|Zm9yZ2Vk/);
    },
  );

  test('does not take ours away by naming it in Connection', async () => {
    await send(open(ports.allowing), '/', ['Connection: X-Client-Cert-Present, X-Who, keep-alive', ...FORGED]);
    expect(valuesOf(heads[0]!, 'X-Client-Cert-Present')).toEqual(['false']);
    expect(valuesOf(heads[0]!, 'X-Who')).toEqual(['front.test']);
  });

  test('is removed from HTTP/2 heads and trailers', async () => {
    const socket = open(ports.allowing, { ALPNProtocols: ['h2'] });
    const session = connectHttp2('https://front.test', { createConnection: () => socket });
    session.on('error', () => {});
    const fields = Object.fromEntries(FORGED.map((field) => field.toLowerCase().split(': ') as [string, string]));
    const status = await new Promise((resolve) => {
      const stream = session.request({ ':path': '/http2', ':method': 'POST', kept: 'head', ...fields }, {
        waitForTrailers: true,
      } as never);
      stream.on('wantTrailers', () => stream.sendTrailers({ kept: 'trailer', ...fields }));
      stream.on('response', (headers) => resolve(headers[':status']));
      stream.on('error', () => resolve('error'));
      stream.resume();
      stream.end('body');
    });
    session.destroy();
    expect(status).toBe(200);
    expect(valuesOf(heads[0]!, 'kept')).toEqual(['head']);
    expect(heads[0]!.join('\n')).not.toMatch(/forged|zm9yz2vk/i);
    expect(trailers).toEqual([{ kept: 'trailer' }]);
  });
});

test('a client that REJECT_INVALID refuses leaves a handshake line with statusDetails, and no request line', async () => {
  expect(await send(open(ports.strict, { ...identity(stranger), localAddress: '127.0.0.3' }), '/refused')).toBe('');
  const line = await proxy.waitForLog((each) => each.msg === 'handshake' && each['remoteIp'] === '127.0.0.3');
  expect(line).toMatchObject({
    targetProxy: 'strict',
    reason: 'client_cert_validation_failed',
    statusDetails: 'client_cert_validation_failed',
    tls: { sni: 'front.test' },
  });
  expect(line['detail']).toContain('trust-anchor');
  expect(heads).toEqual([]);
  expect(proxy.log.filter((each) => JSON.stringify(each).includes('/refused'))).toEqual([]);
});

const lineOf = (path: string) =>
  proxy.waitForLog(
    (line) => (line['httpRequest'] as { requestUrl?: string } | undefined)?.requestUrl?.endsWith(path) === true,
  );

test('the access log says who the client is', async () => {
  await send(open(ports.strict, identity(alice, issuing)), '/log-verified');
  await send(open(ports.allowing, identity(stranger)), '/log-stranger');
  expect((await lineOf('/log-verified'))['tls']).toMatchObject({
    clientCertPresent: true,
    clientCertChainVerified: true,
    clientCertSubject: 'CN=alice,O=Example',
    clientCertSerialNumber: 'ab12cd',
    clientCertValidNotAfter: '2046-01-02T03:04:05.000Z',
  });
  expect((await lineOf('/log-stranger'))['tls']).toMatchObject({
    clientCertPresent: true,
    clientCertChainVerified: false,
    clientCertError: 'client_cert_validation_failed',
  });
});

describe('421 (security rule 23)', () => {
  test.each(['other.test', 'front.test.evil', 'a.b.wild.test', '127.0.0.2'])(
    'answers a request for %s',
    async (host) => {
      const socket = open(ports.allowing);
      const path = `/at-${host}`;
      expect(await send(socket, path, [`Host: ${host}`])).toMatch(/^HTTP\/1\.1 421 /);
      expect(heads).toEqual([]);
      const line = await lineOf(path);
      expect(line).toMatchObject({ statusDetails: 'misdirected_request', httpRequest: { status: 421 } });
      // and the connection goes on with what it is for
      expect(await send(socket, '/')).toMatch(/^HTTP\/1\.1 200 /);
    },
  );

  test.each(['FRONT.test', 'front.test:8443', 'a.wild.test', '127.0.0.1'])('is not for %s', async (host) => {
    expect(await send(open(ports.allowing), '/', [`Host: ${host}`])).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('is not for proxies without client authentication', async () => {
    expect(await send(open(ports.plain), '/', ['Host: other.test'])).toMatch(/^HTTP\/1\.1 200 /);
  });
});

test('a new CRL in its file ends the connections of the client that it revokes, and no other', async () => {
  const extendedKeyUsage = ['clientAuth'] as const;
  const bob = await issue({ subject: 'CN=bob', issuer: issuing, extendedKeyUsage, serialHex: '0b0b' });
  const gone = open(ports.strict, identity(bob, issuing));
  const kept = open(ports.strict, identity(alice, issuing));
  expect(await send(gone, '/')).toMatch(/^HTTP\/1\.1 200 /);
  expect(await send(kept, '/')).toMatch(/^HTTP\/1\.1 200 /);
  const closed = new Promise((resolve) => {
    gone.on('close', resolve);
  });
  await writeFile(
    join(folder, 'clients.crl'),
    issueCrl({ issuer: issuing, number: 2, revoked: [{ serialHex: '0b0b' }] }),
  );
  await closed;
  expect(await send(kept, '/')).toMatch(/^HTTP\/1\.1 200 /);
  expect(await send(open(ports.strict, identity(bob, issuing)), '/')).toBe('');
});

test('another trust anchor in the file: open connections that it does not admit end, and the next handshake is judged by it', async () => {
  const kept = open(ports.plain);
  const gone = open(ports.strict, identity(alice, issuing));
  expect(await send(kept, '/')).toMatch(/^HTTP\/1\.1 200 /);
  expect(await send(gone, '/')).toMatch(/^HTTP\/1\.1 200 /);
  const closed = new Promise((resolve) => {
    gone.on('close', resolve);
  });
  await writeFile(join(folder, 'trust.crt'), other.certificatePem);
  await closed;
  expect(await send(kept, '/')).toMatch(/^HTTP\/1\.1 200 /);
  expect(await send(open(ports.strict, identity(alice, issuing)), '/')).toBe('');
  expect(await send(open(ports.strict, identity(stranger)), '/')).toMatch(/^HTTP\/1\.1 200 /);
});
