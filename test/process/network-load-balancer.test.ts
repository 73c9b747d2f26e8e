// Target SSL and TCP proxies in a real process: from the file to the bytes, the log line and the metrics.
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { listen } from '../backend/support.ts';
import { freePort } from '../harness/free-port.ts';
import { chainPem, testPki } from '../harness/pki.ts';
import { type RunningSallyport, runSallyport } from '../harness/run-sallyport.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';

const folder = makeTempFolder();
const backends: { server: Server; sockets: Set<Socket> }[] = [];
let running: RunningSallyport | null = null;

afterAll(async () => {
  await running?.stop();
  for (const { server, sockets } of backends) {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
  folder.remove();
});

test('streams over TLS and plain, to the backend and back, logged and counted', async () => {
  const { server: leaf, issuing } = await testPki();
  const upper = await startBackend((socket) => socket.on('data', (data) => socket.write(String(data).toUpperCase())));
  const [ssl, tcp, admin] = [await freePort(), await freePort(), await freePort()];
  writeFileSync(join(folder.path, 'site.crt'), chainPem(leaf, issuing));
  writeFileSync(join(folder.path, 'site.key'), leaf.privateKeyPem, { mode: 0o600 });
  const config = join(folder.path, 'sallyport.yaml');
  writeFileSync(config, configuration(ssl, tcp, admin, upper));
  running = await runSallyport({ config });

  const secure = connectTls({ port: ssl, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false });
  secure.write('over tls');
  await received(secure, /^OVER TLS$/);
  const plain = connect(tcp, '127.0.0.1');
  plain.write('plain');
  await received(plain, /^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\nPLAIN$/);

  const text = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
  expect(text).toContain('sallyport_tcp_ssl_proxy_open_connections{proxy="secure",service="upper"} 1');
  expect(text).toContain('sallyport_tcp_ssl_proxy_ingress_bytes_total{proxy="secure",service="upper"} 8');

  // a reload that takes the rule away lets its stream run until drain.timeoutSec, and no longer
  const cut = new Promise<string>((resolve) => {
    plain.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  });
  const without = configuration(ssl, tcp, admin, upper).replace(/^ {2}- \{ name: tcp.*\n/m, '');
  writeFileSync(config, without);
  running.signal('SIGHUP');
  expect(await cut).toBe('ECONNRESET');
  secure.write('!');
  await received(secure, /^!$/);
  secure.destroy();
  const { log } = running;
  const lines = () => log.filter(({ msg }) => msg === 'connection');
  while (lines().length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(lines().find(({ targetProxy }) => targetProxy === 'plain')).toMatchObject({ statusDetails: 'proxy_draining' });
  const line = lines().find(({ targetProxy }) => targetProxy === 'secure');
  expect(line).toMatchObject({
    forwardingRule: 'ssl',
    backendService: 'upper',
    backend: `127.0.0.1:${upper}`,
    bytesReceived: 9,
    bytesSent: 9,
    attempts: 1,
    connection: { clientIp: '127.0.0.1', serverIp: '127.0.0.1', serverPort: ssl, protocol: 6 },
    tls: { protocol: 'TLSv1.3', sni: 'localhost' },
  });
});

function configuration(ssl: number, tcp: number, admin: number, backend: number): string {
  return `
forwardingRules:
  - { name: ssl, IPAddress: 127.0.0.1, portRange: "${ssl}", target: targetSslProxies/secure }
  - { name: tcp, IPAddress: 127.0.0.1, portRange: "${tcp}", target: targetTcpProxies/plain }
targetSslProxies:
  - { name: secure, service: upper, sslCertificates: [site], sslPolicy: modern }
targetTcpProxies:
  - { name: plain, service: upper, proxyHeader: PROXY_V1 }
sslPolicies: [{ name: modern, profile: MODERN, minTlsVersion: TLS_1_2 }]
sslCertificates: [{ name: site, selfManaged: { certificateFile: site.crt, privateKeyFile: site.key } }]
backendServices: [{ name: upper, protocol: TCP, backends: [{ group: upper }] }]
networkEndpointGroups:
  - { name: upper, networkEndpointType: NON_GCP_PRIVATE_IP_PORT, endpoints: [{ ipAddress: 127.0.0.1, port: ${backend} }] }
sallyport:
  admin: { address: 127.0.0.1, port: ${admin} }
  workers: 1
  drain: { delaySec: 0, timeoutSec: 1 }
`;
}

/** Everything so far, in however many pieces it comes. */
async function received(socket: Socket, expected: RegExp): Promise<void> {
  let text = '';
  while (!expected.test(text)) text += String((await once(socket, 'data'))[0]);
}

async function startBackend(onSocket: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onSocket(socket);
  });
  backends.push({ server, sockets });
  return listen(server);
}
