import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { createServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls';
import type { BackendExplanation } from '#src/explain/backend.ts';
import { explainChain } from '#src/explain/chain.ts';
import type { Issued, IssueRequest } from '#src/pki/issue/contract.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { pemCertificates } from '#src/pki/pem.ts';
import { trustStore } from '#src/pki/trust-store.ts';
import { verify } from '#src/pki/verify.ts';
import { chainPem } from '../harness/pki.ts';
import { makeWorld, type World } from './_world.ts';

let world: World;
beforeAll(async () => {
  world = await makeWorld();
  const { server, issuing, stranger } = world.pki;
  world.folder.write('whole.pem', chainPem(server, issuing));
  world.folder.write('leaf.pem', chainPem(server));
  world.folder.write('stranger.pem', chainPem(server, stranger));
});
afterAll(() => world.folder.remove());

async function ofFile(service: string, file: string): Promise<{ code: number | null; answer: BackendExplanation }> {
  const { code, answer } = await world.explainJson('backend', '--service', service, '--chain', world.folder.file(file));
  return { code, answer: (answer as readonly BackendExplanation[])[0]! };
}

describe('`sallyport explain backend --chain`', () => {
  test('shows the path, when each link ends, and what public roots would say', async () => {
    const { code, answer } = await ofFile('trusted', 'whole.pem');
    expect(code).toBe(0);
    expect(answer.verdict).toMatchObject({ ok: true, by: 'anchor' });
    expect(answer.presented.map(({ failed }) => failed)).toEqual([[], []]);
    expect(answer.presented[1]!.issuers).toMatchObject([{ from: 'anchor', failed: [] }]);
    expect(answer.publicRoots).toMatchObject({ ok: false, reason: expect.stringContaining('rule trust-anchor') });
    const { code: exitCode, stdout } = await world.explainInProcess(
      'backend',
      '--service',
      'trusted',
      '--chain',
      world.folder.file('whole.pem'),
    );
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(
      /\n {2}0 {2}CN=test server\n {5}issued by CN=Test Issuing CA,O=Sallyport, EC P-256, ECDSA with SHA256\n/,
    );
    expect(stdout).toMatch(
      /issuer: CN=Test Root,O=Sallyport \(anchor of the trust config, until 2\d{3}-.* days?\)\)\n/,
    );
    expect(stdout).toMatch(/\ntrusted, until .*; the path:\n {2}0 {2}CN=test server \(sent\)\n/);
  });

  test('says which CRLs count, and which one lists a certificate', async () => {
    const { code, answer } = await ofFile('checked', 'whole.pem');
    expect(code).toBe(1);
    expect(answer.expects.revocation).toMatchObject({ mode: 'if-available', crls: [{ number: '5', entries: 1 }] });
    expect(answer.verdict).toMatchObject({ ok: false, rule: 'revocation', depth: 1 });
    const chain = world.folder.file('whole.pem');
    const { stdout } = await world.explainInProcess('backend', '--service', 'checked', '--chain', chain);
    expect(stdout).toMatch(/\n {2}CRLs +if-available: number 5 of CN=Test Root,O=Sallyport, 1 revoked, until 2\d{3}-/);
    expect(stdout).toContain('refused: ssl_certificate_chain_verification_failed (rule revocation, depth 1)\n');
  });

  test('names the issuer that is missing', async () => {
    const { code, answer } = await ofFile('trusted', 'leaf.pem');
    expect(code).toBe(1);
    expect(answer.verdict).toMatchObject({ ok: false, rule: 'trust-anchor', depth: 0 });
    expect(answer.presented[0]!.issuers).toEqual([]);
    const { code: exitCode, stdout } = await world.explainInProcess(
      'backend',
      '--service',
      'trusted',
      '--chain',
      world.folder.file('leaf.pem'),
    );
    expect(exitCode).toBe(1);
    expect(stdout).toContain('     issuer: not sent and not in the trust config\n');
    expect(stdout).toContain('refused: ssl_certificate_chain_verification_failed (rule trust-anchor, depth 0)\n');
  });

  test('shows which names were expected and which the certificate has', async () => {
    const { code, answer } = await ofFile('named', 'whole.pem');
    expect(code).toBe(1);
    expect(answer.expects.dnsNames).toEqual(['other.example']);
    expect(answer.presented[0]!.failed).toMatchObject([{ rule: 'subject-alternative-name' }]);
    expect(answer.presented[0]!.passed).not.toContain('subject-alternative-name');
    expect(answer.verdict).toMatchObject({ statusDetails: 'ssl_certificate_san_verification_failed' });
  });

  test('says so where no authentication is configured', async () => {
    const { stdout, code } = await world.explain(
      'backend',
      '--service',
      'anyone',
      '--chain',
      world.folder.file('leaf.pem'),
    );
    expect(code).toBe(0);
    expect(stdout).toContain('accepted, not trusted: no authentication is configured');
  });

  test.each([
    [
      ['--service', 'nobody'],
      'Cannot find backendServices/nobody, expected one of trusted, named, checked, anyone, plain, carried, bytes',
    ],
    [['--service', 'plain', '--chain', 'x.pem'], 'its protocol is HTTP, expected HTTPS, HTTP2 or SSL'],
    [['--service', 'bytes', '--chain', 'x.pem'], 'its protocol is TCP, expected HTTPS, HTTP2 or SSL'],
    [['--service', 'trusted', '--chain', '/nonexistent.pem'], 'Cannot read --chain /nonexistent.pem: ENOENT'],
    [['--service', 'trusted', '--chain', 'package.json'], 'found no CERTIFICATE block'],
    [['--service', 'trusted', '--endpoint', 'nowhere'], "Cannot read --endpoint 'nowhere'"],
  ])('refuses %j', async (args, message) => {
    const { code, stderr } = await world.explain('backend', ...args);
    expect(code).toBe(1);
    expect(stderr).toContain(message);
  });
});

describe('`sallyport explain backend`, dialled', () => {
  const servers: Server[] = [];
  afterAll(() => {
    for (const server of servers) server.close();
  });

  async function backend(
    leaf: Issued,
    options: TlsOptions = {},
    onSecure: (socket: TLSSocket) => void = () => {},
  ): Promise<string> {
    const server = createServer({ key: leaf.privateKeyPem, cert: chainPem(leaf, world.pki.issuing), ...options });
    servers.push(server);
    server.on('tlsClientError', () => {});
    server.on('secureConnection', (socket) => {
      socket.on('error', () => {}).resume();
      onSecure(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async function dialled(service: string, endpoint: string) {
    const { code, answer } = await world.explainJson('backend', '--service', service, '--endpoint', endpoint);
    return { code, explanation: (answer as readonly BackendExplanation[])[0]! };
  }

  test('trusts a backend that asks for the client certificate and gets it', async () => {
    const endpoint = await backend(world.pki.server, { requestCert: true, ca: world.pki.root.certificatePem });
    const { code, explanation } = await dialled('trusted', endpoint);
    expect(code).toBe(0);
    expect(explanation).toMatchObject({
      ok: true,
      source: endpoint,
      verdict: { ok: true },
      connection: { protocol: 'TLSv1.3' },
      failure: null,
    });
    expect(explanation.presented).toHaveLength(2);
  });

  test('of protocol SSL is verified with our client certificate, offered no ALPN and sent no PROXY header', async () => {
    const options = { requestCert: true, ca: world.pki.root.certificatePem, ALPNProtocols: ['h2', 'http/1.1'] };
    const alpn: (string | false | null)[] = [];
    const endpoint = await backend(world.pki.server, options, (socket) => alpn.push(socket.alpnProtocol));
    const { code, explanation } = await dialled('carried', endpoint);
    expect(code).toBe(0);
    expect(explanation).toMatchObject({
      verdict: { ok: true, by: 'anchor' },
      expects: { protocol: 'SSL', dnsNames: ['backend.example'], clientCertificate: 'to-backends' },
      failure: null,
    });
    expect(alpn).toEqual([false]); // and nothing in front of TLS, though the proxy that leads here has PROXY_V1
  });

  test('of protocol TCP is only connected', async () => {
    const server = createTcpServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const endpoint = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { code, stdout } = await world.explain('backend', '--service', 'bytes', '--endpoint', endpoint);
    server.close();
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `backendServices/bytes, ${endpoint}\n  protocol TCP: no TLS, nothing is verified\n`,
    });
    const { code: refused, explanation } = await dialled('bytes', '127.0.0.1:1');
    expect(refused).toBe(1);
    expect(explanation).toMatchObject({ failure: { statusDetails: 'failed_to_connect_to_backend' } });
  });

  test('reports the alert of a backend that wants a client certificate which the service does not have', async () => {
    const endpoint = await backend(world.pki.server, { requestCert: true, ca: world.pki.root.certificatePem });
    const { code, explanation } = await dialled('anyone', endpoint);
    expect(code).toBe(1);
    expect(explanation).toMatchObject({ ok: false, verdict: { ok: true, by: 'unauthenticated' } });
    expect(explanation.failure?.detail).toMatch(/alert/i);
  });

  test('shows the chain that it refuses', async () => {
    const expired = await issue({
      subject: 'CN=old',
      issuer: world.pki.issuing,
      dnsNames: ['backend.example'],
      extendedKeyUsage: ['serverAuth'],
      notBefore: new Date(Date.now() - 20 * 86_400_000),
      notAfter: new Date(Date.now() - 86_400_000),
    });
    const { code, explanation } = await dialled('trusted', await backend(expired));
    expect(code).toBe(1);
    expect(explanation.verdict).toMatchObject({ ok: false, rule: 'validity' });
    expect(explanation.presented[0]!.failed).toMatchObject([{ rule: 'validity' }]);
  });

  test('says that nobody listens', async () => {
    const { code, explanation } = await dialled('trusted', '127.0.0.1:1');
    expect(code).toBe(1);
    expect(explanation).toMatchObject({ verdict: null, failure: { statusDetails: 'failed_to_connect_to_backend' } });
  });
});

describe('`explainChain()`', () => {
  const NOW = Date.now();
  const leaf = (request: Partial<IssueRequest> = {}) =>
    issue({
      subject: 'CN=leaf',
      issuer: world.pki.issuing,
      dnsNames: ['backend.example'],
      extendedKeyUsage: ['serverAuth'],
      ...request,
    });

  test.each<[string, Partial<IssueRequest>]>([
    ['key-strength', { keyType: 'rsa-1024' }],
    ['validity', { notBefore: new Date(NOW - 9e8), notAfter: new Date(NOW - 5e8) }],
    ['basic-constraints', { ca: true }],
    ['extended-key-usage', { extendedKeyUsage: ['clientAuth'] }],
    ['subject-alternative-name', { dnsNames: ['wrong.example'] }],
  ])('finds first at the leaf what the verifier refuses it for: %s', async (rule, request) => {
    const bad = await leaf(request);
    const chain = pemCertificates(chainPem(bad, world.pki.issuing));
    const names = { dnsNames: ['backend.example'], uris: [] };
    const verdict = verify({ chain, store: store(), purpose: 'server', names, atMs: NOW });
    const [explained] = explainChain(chain, store(), names, NOW);
    expect(verdict).toMatchObject({ ok: false, rule });
    expect(explained!.failed[0]?.rule).toBe(rule);
  });

  test('says of an issuer with the right name and another key that the signature does not verify', async () => {
    const impostor = await issue({ subject: 'CN=Test Issuing CA,O=Sallyport', ca: true, issuer: world.pki.root });
    const chain = pemCertificates(chainPem(world.pki.server, impostor));
    const [explained] = explainChain(chain, store(), { dnsNames: [], uris: [] }, NOW);
    expect(explained!.issuers).toMatchObject([{ from: 'peer' }]);
    expect(['signature', 'key-identifiers']).toContain(explained!.issuers[0]!.failed[0]?.rule);
  });

  test('goes on where a certificate cannot be read', () => {
    const chain = [...pemCertificates(world.pki.server.certificatePem), Buffer.from('3003020101', 'hex')];
    const explained = explainChain(chain, null, { dnsNames: [], uris: [] }, NOW);
    expect(explained[1]).toMatchObject({ depth: 1, failed: [{ rule: 'malformed-certificate' }] });
  });

  test('knows every rule that looks at one certificate', async () => {
    const chain = pemCertificates(chainPem(await leaf(), world.pki.issuing));
    const explained = explainChain(chain, store(), { dnsNames: [], uris: [] }, NOW);
    const asked = new Set(explained.flatMap(({ passed }) => passed as readonly string[]));
    const ofPaths = ['key-identifiers', 'path-length']; // the link's and the verifier's
    const rules = readdirSync(join(import.meta.dirname, '..', '..', 'src', 'pki', 'rules')).map((file) =>
      file.slice(0, -3),
    );
    expect(rules.filter((rule) => !asked.has(rule) && !ofPaths.includes(rule))).toEqual([]);
  });

  function store() {
    const [root] = pemCertificates(world.pki.root.certificatePem);
    return trustStore({ name: 'test', anchors: [root!], intermediates: [], allowlist: [], publicRoots: false });
  }
});
