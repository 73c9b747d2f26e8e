// CRLs for backends in a real process: what is refused and why, and what a new list does to connections that are open.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Agent, createServer, get, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Issued } from '#src/pki/issue/contract.ts';
import { crlPem, issueCrl } from '#src/pki/issue/crl.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { chainPem } from '../harness/pki.ts';
import { type Scenario, type ScenarioService, scenarioConfiguration, startScenario } from '../harness/scenario.ts';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';

const DAY_MS = 86_400_000;
const LEAF_SERIAL = '4001';
const OTHER_SERIAL = '4002';
const ISSUING_SERIAL = '4003';

let root: Issued;
let issuing: Issued;
let leaf: Issued;
let other: Issued;
let folder: TempFolder;
let scenario: Scenario | null = null;
const servers: { server: Server; sockets: Set<Socket> }[] = [];

beforeAll(async () => {
  root = await issue({ subject: 'CN=Root', ca: true });
  issuing = await issue({ subject: 'CN=Issuing', ca: true, issuer: root, serialHex: ISSUING_SERIAL });
  leaf = await issue({ subject: 'CN=leaf', issuer: issuing, serialHex: LEAF_SERIAL });
  other = await issue({ subject: 'CN=other', issuer: issuing, serialHex: OTHER_SERIAL });
});

beforeEach(() => {
  folder = makeTempFolder();
});

afterEach(async () => {
  await scenario?.stop();
  scenario = null;
  for (const { server, sockets } of servers.splice(0)) {
    server.close();
    for (const socket of sockets) socket.destroy();
  }
  folder.remove();
});

/** PEM of a list of each CA, in force unless `agoMs` says otherwise. */
function crls(options: {
  readonly revoked?: string;
  readonly number?: number;
  readonly cas?: readonly Issued[];
  readonly agoMs?: number;
}): string {
  const thisUpdate = new Date(Date.now() - (options.agoMs ?? DAY_MS));
  return (options.cas ?? [root, issuing])
    .map((issuer) => {
      const revoked = options.revoked === undefined ? [] : [{ serialHex: options.revoked, reasonCode: 1 }];
      return crlPem(issueCrl({ issuer, revoked, number: options.number ?? 1, thisUpdate }));
    })
    .join('');
}

async function backend(certificate: Issued): Promise<{ readonly port: number; readonly sockets: Set<Socket> }> {
  const server = createServer({ cert: chainPem(certificate, issuing), key: certificate.privateKeyPem }, (_, response) =>
    response.end('ok'),
  );
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket.once('close', () => sockets.delete(socket))));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  servers.push({ server, sockets });
  return { port: (server.address() as AddressInfo).port, sockets };
}

function service(
  name: string,
  port: number,
  crlFile: string,
  mode: 'require' | 'if-available',
  allowlist: readonly Issued[] = [],
): ScenarioService {
  return {
    name,
    protocol: 'HTTPS',
    ports: [port],
    trust: { anchors: [root], allowlist, revocation: { crlFile, mode } },
  };
}

async function status(name: string): Promise<number> {
  const ca = await readFile(scenario!.rootFile);
  const outgoing = get(`${scenario!.url}/${name}`, {
    ca,
    agent: false,
    servername: 'localhost',
    headers: { host: `${name}.proxy.test` },
  });
  const [response] = (await once(outgoing, 'response')) as [NodeJS.ReadableStream & { statusCode: number }];
  response.resume();
  return response.statusCode;
}

test('a revoked, an expired and a missing list each refuse for a reason of their own; if-available is soft only for the last', async () => {
  const file = (name: string, pem: string) => folder.write(name, pem);
  const { port } = await backend(leaf);
  const both = crls({});
  scenario = await startScenario({
    services: [
      service('clear', port, file('clear.pem', both), 'require'),
      service('leaf', port, file('leaf.pem', crls({ revoked: LEAF_SERIAL })), 'if-available'),
      service('intermediate', port, file('intermediate.pem', crls({ revoked: ISSUING_SERIAL })), 'if-available'),
      service('expired', port, file('expired.pem', crls({ agoMs: 8 * DAY_MS })), 'if-available'),
      service('missing', port, file('root-only.pem', crls({ cas: [root] })), 'require'),
      service('optional', port, file('root-only.pem', crls({ cas: [root] })), 'if-available'),
      service('allowlisted', port, file('allowlisted.pem', crls({ revoked: LEAF_SERIAL })), 'require', [leaf]),
    ],
  });
  // All have one identity and one backend: the session of the first is there for the others, and must not help them.
  expect(await status('clear')).toBe(200);
  expect(await scenario.requestLine('/clear')).toMatchObject({ backendTls: { verdict: 'verified' } });
  for (const [name, rule] of [
    ['leaf', 'revocation'],
    ['intermediate', 'revocation'],
    ['expired', 'crl-expired'],
    ['missing', 'crl-missing'],
    ['allowlisted', 'revocation'],
  ] as const) {
    expect(await status(name)).toBe(502);
    expect(await scenario.requestLine(`/${name}`)).toMatchObject({
      statusDetails: 'ssl_certificate_chain_verification_failed',
      proxyStatus: 'sallyport; error=tls_certificate_error',
      backendTls: { verdict: 'refused', rule, depth: name === 'intermediate' ? 1 : 0 },
    });
  }
  expect(await status('optional')).toBe(200);
  const warnings = scenario.proxy.log.filter(({ msg }) => msg === 'configuration warning');
  const texts = warnings.map((line) => String(line['warning']));
  expect(texts.filter((text) => text.includes('trustConfigs/'))).toEqual([
    expect.stringMatching(/trustConfigs\/expired: CRL 1 of 'CN=Root' expired on .*; fetch the current list$/),
    expect.stringMatching(/trustConfigs\/expired: CRL 1 of 'CN=Issuing' expired on /),
  ]);
});

test('a reload with a new list closes only the connection that it revokes; a list of a lower number is not taken', async () => {
  const crlFile = folder.write('both.pem', crls({ number: 7 }));
  const [one, two] = [await backend(leaf), await backend(other)];
  scenario = await startScenario({
    services: [service('one', one.port, crlFile, 'require'), service('two', two.port, crlFile, 'require')],
  });
  expect([await status('one'), await status('two')]).toEqual([200, 200]);
  const [socketOfTwo] = two.sockets;
  const nextUpdate = await scenario.metric('sallyport_crl_next_update_timestamp_seconds', { name: 'one' });
  expect(Math.abs(nextUpdate - (Date.now() + 6 * DAY_MS) / 1000)).toBeLessThan(60);

  folder.write('both.pem', crls({ number: 8, revoked: LEAF_SERIAL }));
  const closed = await scenario.proxy.waitForLog(({ msg }) => msg === 'a new CRL ends a backend connection');
  expect(closed).toMatchObject({
    level: 'warn',
    backendService: 'one',
    backend: `127.0.0.1:${one.port}`,
    statusDetails: 'ssl_certificate_chain_verification_failed',
    rule: 'revocation',
    reason: expect.stringContaining("CRL 8 of 'CN=Issuing'"),
  });
  await scenario.proxy.waitForLog(({ msg }) => msg === 'reloaded');
  expect([await status('one'), await status('two')]).toEqual([502, 200]);
  expect([...two.sockets]).toEqual([socketOfTwo]);
  expect(await retired('one')).toBe(1);
  expect(await retired('two')).toBe(0);
  expect(await shownCrls()).toEqual([
    { issuer: 'CN=Root', number: '8', entries: 1 },
    { issuer: 'CN=Issuing', number: '8', entries: 1 },
  ]);

  folder.write('both.pem', crls({ number: 7 }));
  const refused = await scenario.proxy.waitForLog(({ msg }) => msg?.startsWith('reload refused') === true);
  expect(refused['diagnostics']).toEqual([
    `${crlFile}: error: trustConfigs/one: Cannot take CRL 7 of 'CN=Root': found a cRLNumber below that of the last one, 8, expected at least that; fetch the current list`,
  ]);
  expect(await status('one')).toBe(502);

  folder.write('both.pem', crls({ number: 9 })); // the hold is over
  await scenario.proxy.waitForLog((line) => line.msg === 'reloaded' && line['digest'] !== undefined && reloads() === 2);
  expect(await status('one')).toBe(200);
  expect([...two.sockets]).toEqual([socketOfTwo]);
});

test('a new list ends the connections of the clients that it revokes, and of no others', async () => {
  const crlFile = folder.write('both.pem', crls({}));
  const { port } = await backend(leaf);
  const options = { services: [{ name: 'open', protocol: 'HTTPS', ports: [port] }] } as const;
  scenario = await startScenario(options);
  const clientValidationTrustConfig = 'clients';
  const configuration = scenarioConfiguration(options, scenario.port, scenario.adminPort);
  const [web] = configuration['targetHttpsProxies'] as Record<string, unknown>[];
  await scenario.rewrite(
    JSON.stringify({
      ...configuration,
      targetHttpsProxies: [{ ...web, serverTlsPolicy: 'clients' }],
      serverTlsPolicies: [
        { name: 'clients', mtlsPolicy: { clientValidationMode: 'REJECT_INVALID', clientValidationTrustConfig } },
      ],
      trustConfigs: [
        {
          name: 'clients',
          trustStores: [{ trustAnchors: [{ pemCertificate: root.certificatePem }] }],
          revocation: { crlFile, mode: 'require' },
        },
      ],
    }),
  );
  await scenario.proxy.waitForLog(({ msg }) => msg === 'reloaded');
  const ca = await readFile(scenario.rootFile);
  const agentOf = (client: Issued) =>
    new Agent({ keepAlive: true, maxSockets: 1, ca, cert: chainPem(client, issuing), key: client.privateKeyPem });
  const [revoked, kept] = [agentOf(leaf), agentOf(other)];
  const ask = async (agent: Agent): Promise<Socket> => {
    const outgoing = get(scenario!.url, { agent, servername: 'localhost' });
    const [response] = (await once(outgoing, 'response')) as [NodeJS.ReadableStream & { socket: Socket }];
    const { socket } = response;
    response.resume();
    await once(response, 'end');
    return socket;
  };
  const [first, second] = [await ask(revoked), await ask(kept)];
  const closed = once(first, 'close');
  folder.write('both.pem', crls({ number: 2, revoked: LEAF_SERIAL }));
  await closed;
  await expect(ask(revoked)).rejects.toThrow();
  expect(await ask(kept)).toBe(second);
  const failure = await scenario.proxy.waitForLog(({ msg }) => msg === 'handshake');
  expect(failure).toMatchObject({ statusDetails: 'client_cert_validation_failed' });
  expect(JSON.stringify(failure)).toContain('revocation at depth 0');
  revoked.destroy();
  kept.destroy();
});

function reloads(): number {
  return scenario!.proxy.log.filter(({ msg }) => msg === 'reloaded').length;
}

function retired(name: string): Promise<number> {
  return scenario!.metric('sallyport_backend_connections_retired_total', { service: name, cause: 'revocation' });
}

async function shownCrls(): Promise<readonly unknown[]> {
  const answer = await fetch(`http://127.0.0.1:${scenario!.adminPort}/config`);
  const { trustConfigs } = (await answer.json()) as { trustConfigs: { crls: Record<string, unknown>[] }[] };
  return trustConfigs[0]!.crls.map(({ issuer, number, entries }) => ({ issuer, number, entries }));
}
