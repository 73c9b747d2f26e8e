// Target SSL proxies between real counterparts: `openssl s_client` in front; behind, HAProxy, which reads the PROXY header, and an
// `openssl s_server` that admits only who shows a certificate.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { freePort } from '../harness/free-port.ts';
import { type Haproxy, startHaproxyBehind } from '../harness/haproxy.ts';
import { chainPem, testPki } from '../harness/pki.ts';
import { type RunningSallyport, runSallyport } from '../harness/run-sallyport.ts';
import { runTool, type ToolResult } from '../harness/run-tool.ts';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';

/** A target SSL proxy and the backend service behind it. */
interface Door {
  readonly proxyHeader?: 'PROXY_V1' | 'PROXY_V2';
  readonly protocol: 'TCP' | 'SSL';
  readonly authentication?: 'with-certificate' | 'without-certificate';
  readonly backendPort: number;
}

let folder: TempFolder;
let proxy: RunningSallyport | undefined;
const ports = new Map<string, number>();
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  const pki = await testPki();
  folder = makeTempFolder();
  folder.write('root.crt', pki.root.certificatePem);
  folder.write('site.crt', chainPem(pki.server, pki.issuing));
  folder.write('site.key', pki.server.privateKeyPem);
  folder.write('site.pem', `${chainPem(pki.server, pki.issuing)}${pki.server.privateKeyPem}`);
  folder.write('client.crt', chainPem(pki.client, pki.issuing));
  folder.write('client.key', pki.client.privateKeyPem);
  const plain = await haproxy('%[src] %[fc_pp_authority]');
  const tls = await haproxy(
    '%[src] %[ssl_c_s_dn(cn)] %[ssl_fc_sni]',
    `ssl crt ${folder.file('site.pem')} ca-file ${folder.file('root.crt')} verify required`,
  );
  const server = await startServer();
  await startDoors({
    'tcp-v1': { protocol: 'TCP', proxyHeader: 'PROXY_V1', backendPort: plain.port },
    'tcp-v2': { protocol: 'TCP', proxyHeader: 'PROXY_V2', backendPort: plain.port },
    'ssl-v1': {
      protocol: 'SSL',
      proxyHeader: 'PROXY_V1',
      authentication: 'with-certificate',
      backendPort: tls.port,
    },
    'ssl-v2': {
      protocol: 'SSL',
      proxyHeader: 'PROXY_V2',
      authentication: 'with-certificate',
      backendPort: tls.port,
    },
    admitted: { protocol: 'SSL', authentication: 'with-certificate', backendPort: server },
    'not-admitted': { protocol: 'SSL', authentication: 'without-certificate', backendPort: server },
  });
});

afterAll(async () => {
  await proxy?.stop();
  for (const stop of stops.reverse()) await stop();
  folder.remove();
});

test.each([
  ['tcp-v1', '127.0.0.2 '],
  ['tcp-v2', '127.0.0.2 localhost'],
  ['ssl-v1', '127.0.0.2 test client backend.example'],
  ['ssl-v2', '127.0.0.2 test client backend.example'],
])('%s: HAProxy sees the client, not the proxy', async (door, seen) => {
  const { exitCode, stdout } = await throughClient(door, 'GET / HTTP/1.0\r\n\r\n', '-bind', '127.0.0.2:0');
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^HTTP\/1\.[01] 200 OK\r\n/);
  expect(stdout.slice(stdout.indexOf('\r\n\r\n') + 4)).toBe(seen);
  const line = await lineOf(door);
  expect(line).toMatchObject({
    statusDetails: 'connection_closed',
    connection: { clientIp: '127.0.0.2' },
    bytesReceived: 'GET / HTTP/1.0\r\n\r\n'.length,
    bytesSent: stdout.length,
  });
});

test('openssl s_server admits the client certificate of the authentication config', async () => {
  const socket = connectTls({
    socket: connect({ port: ports.get('admitted')!, host: '127.0.0.1', allowHalfOpen: true }),
    servername: 'localhost',
    ca: (await testPki()).root.certificatePem,
  });
  let text = '';
  socket.setEncoding('utf8').on('data', (data: string) => (text += data));
  socket.end('drawer\n'); // half-close: the answer comes after it
  await once(socket, 'end');
  expect(text).toBe('reward\n');
  expect(await lineOf('admitted')).toMatchObject({
    statusDetails: 'connection_closed',
    bytesReceived: 7,
    bytesSent: 7,
    backendTls: { verdict: 'verified' },
  });
});

test('openssl s_server refuses a proxy without one: its alert is in the log, and the client gets nothing', async () => {
  const { stdout } = await throughClient('not-admitted', 'drawer\n');
  expect(stdout).toBe('');
  expect(await lineOf('not-admitted')).toMatchObject({
    statusDetails: 'failed_to_connect_to_backend',
    bytesSent: 0,
  });
});

/** -quiet: s_client goes on reading when its input has ended, and prints only what it is sent. */
function throughClient(door: string, input: string, ...args: readonly string[]): Promise<ToolResult> {
  const target = ['-connect', `127.0.0.1:${ports.get(door)}`, '-servername', 'localhost'];
  const trust = ['-CAfile', folder.file('root.crt'), '-verify_return_error', '-quiet'];
  return runTool('openssl', ['s_client', ...target, ...trust, ...args], { input });
}

function lineOf(door: string) {
  return proxy!.waitForLog(({ msg, targetProxy }) => msg === 'connection' && targetProxy === door);
}

async function haproxy(answer: string, bind?: string): Promise<Haproxy> {
  const started = await startHaproxyBehind(answer, bind);
  stops.push(() => started.stop());
  return started;
}

/** Answers each line with its characters in reverse, and only to who shows a certificate of our root. */
async function startServer(): Promise<number> {
  const port = await freePort();
  const files = [
    '-cert',
    folder.file('site.crt'),
    '-cert_chain',
    folder.file('site.crt'),
    '-key',
    folder.file('site.key'),
  ];
  const trust = ['-Verify', '3', '-verify_return_error', '-CAfile', folder.file('root.crt')];
  const args = ['s_server', '-accept', `127.0.0.1:${port}`, '-rev', ...files, ...trust];
  const child = spawn('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(child, 'close');
  stops.push(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let said = '';
  for await (const chunk of child.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    said += chunk;
    if (said.includes('ACCEPT')) break;
  }
  if (!said.includes('ACCEPT')) throw new Error(`openssl s_server ended: ${said}`);
  child.stdout.resume();
  return port;
}

async function startDoors(doors: Readonly<Record<string, Door>>): Promise<void> {
  const entries = Object.entries(doors);
  for (const [name] of entries) ports.set(name, await freePort());
  const config = folder.write(
    'sallyport.json',
    JSON.stringify({
      forwardingRules: entries.map(([name]) => ({
        name,
        IPAddress: '127.0.0.1',
        portRange: String(ports.get(name)),
        target: `targetSslProxies/${name}`,
      })),
      targetSslProxies: entries.map(([name, { proxyHeader = 'NONE' }]) => ({
        name,
        service: name,
        proxyHeader,
        sslCertificates: ['site'],
        sslPolicy: 'modern',
      })),
      sslPolicies: [{ name: 'modern', profile: 'MODERN', minTlsVersion: 'TLS_1_2' }],
      sslCertificates: [{ name: 'site', selfManaged: { certificateFile: 'site.crt', privateKeyFile: 'site.key' } }],
      backendServices: entries.map(([name, { protocol, authentication }]) => ({
        name,
        protocol,
        backends: [{ group: name }],
        ...(authentication && { tlsSettings: { sni: 'backend.example', authenticationConfig: authentication } }),
      })),
      networkEndpointGroups: entries.map(([name, { backendPort: port }]) => ({
        name,
        networkEndpointType: 'NON_GCP_PRIVATE_IP_PORT',
        endpoints: [{ ipAddress: '127.0.0.1', port }],
      })),
      backendAuthenticationConfigs: [
        { name: 'with-certificate', trustConfig: 'ours', wellKnownRoots: 'NONE', clientCertificate: 'to-backends' },
        { name: 'without-certificate', trustConfig: 'ours', wellKnownRoots: 'NONE' },
      ],
      trustConfigs: [{ name: 'ours', trustStores: [{ trustAnchors: [{ pemCertificateFile: 'root.crt' }] }] }],
      certificates: [
        {
          name: 'to-backends',
          scope: 'CLIENT_AUTH',
          selfManaged: { pemCertificateFile: 'client.crt', pemPrivateKeyFile: 'client.key' },
        },
      ],
      sallyport: { admin: { address: '127.0.0.1', port: 0 }, workers: 1 },
    }),
  );
  proxy = await runSallyport({ config });
}
