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
import { sumOfSamples } from '../harness/scenario.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { until } from '../harness/until.ts';

const folder = makeTempFolder();
const backends: { server: Server; sockets: Set<Socket> }[] = [];
let running: RunningSallyport | null = null;

afterEach(async () => {
  await running?.stop();
  running = null;
});

afterAll(() => {
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

describe('several endpoints', () => {
  let clients: Socket[];
  let doors: { readonly ssl: number; readonly tcp: number };
  let endpoints: readonly Endpoint[];

  beforeEach(() => {
    clients = [];
  });
  afterEach(() => {
    for (const client of clients) client.destroy();
  });

  test('LEAST_REQUEST: a stream goes where fewer are open, and one that has ended counts no more', async () => {
    await start(['one', 'two'], 'localityLbPolicy: LEAST_REQUEST');
    for (let i = 0; i < 100; i++) await greeting(i % 2 === 0 ? 'ssl' : 'tcp');
    const [one, two] = endpoints as [Endpoint, Endpoint];
    // Of 32 draws one finds no second endpoint to compare with, hence not exactly 50.
    expect(Math.abs(one.sockets.size - two.sockets.size)).toBeLessThan(20);
    for (const socket of one.sockets) socket.destroy();
    const inFlight = (): Promise<number> => metric('sallyport_backend_endpoint_in_flight', one.port);
    await until(async () => (await inFlight()) === 0);
    let taken = 0;
    for (let i = 0; i < 40; i++) if ((await greeting(i % 2 === 0 ? 'ssl' : 'tcp')) === 'one') taken++;
    expect(taken).toBeGreaterThan(27); // by chance, or in turns, it were 20
  });

  test('CLIENT_IP: a client stays with its endpoint through either door, and moves only when that one is gone', async () => {
    await start(['one', 'two', 'three'], 'sessionAffinity: CLIENT_IP');
    const addresses = Array.from({ length: 24 }, (_, i) => `127.0.0.${i + 2}`);
    const first = new Map<string, string>();
    for (const address of addresses) first.set(address, await greeting('tcp', address));
    expect(new Set(first.values()).size).toBeGreaterThan(1);
    for (const address of addresses)
      expect([await greeting('ssl', address), await greeting('tcp', address)]).toEqual(
        Array(2).fill(first.get(address)),
      );

    const gone = endpoints.find(({ name }) => name === first.get(addresses[0]!))!;
    gone.server.close();
    for (const socket of gone.sockets) socket.destroy();
    for (const address of addresses) {
      const before = first.get(address)!;
      const now = [await greeting('ssl', address), await greeting('tcp', address)];
      if (before !== gone.name) expect(now).toEqual([before, before]);
      else expect(now).not.toContain(gone.name);
    }
  });

  interface Endpoint {
    readonly name: string;
    readonly port: number;
    readonly server: Server;
    readonly sockets: ReadonlySet<Socket>;
  }

  /** Each endpoint says its name to whoever connects. */
  async function start(names: readonly string[], settings: string): Promise<void> {
    const started: Endpoint[] = [];
    for (const name of names) {
      const port = await startBackend((socket) => socket.resume().write(name));
      const { server, sockets } = backends.at(-1)!;
      started.push({ name, port, server, sockets });
    }
    endpoints = started;
    const { server: leaf, issuing } = await testPki();
    writeFileSync(join(folder.path, 'site.crt'), chainPem(leaf, issuing));
    writeFileSync(join(folder.path, 'site.key'), leaf.privateKeyPem, { mode: 0o600 });
    const [ssl, tcp, admin] = [await freePort(), await freePort(), await freePort()];
    doors = { ssl, tcp };
    adminPort = admin;
    const config = join(folder.path, 'sallyport.yaml');
    const all = endpoints.map(({ port }) => `{ ipAddress: 127.0.0.1, port: ${port} }`).join(', ');
    const text = configuration(ssl, tcp, admin, endpoints[0]!.port)
      .replace(', proxyHeader: PROXY_V1', '')
      .replace('protocol: TCP,', `protocol: TCP, ${settings},`)
      .replace(/endpoints: \[.*\]/, `endpoints: [${all}]`);
    writeFileSync(config, text);
    running = await runSallyport({ config });
  }
  let adminPort: number;

  /** Of the endpoint that a new stream reaches; the stream stays open. */
  async function greeting(door: 'ssl' | 'tcp', localAddress = '127.0.0.1'): Promise<string> {
    const to = { port: doors[door], host: '127.0.0.1', localAddress };
    const raw = connect(to);
    const client =
      door === 'tcp' ? raw : connectTls({ socket: raw, servername: 'localhost', rejectUnauthorized: false });
    clients.push(client);
    client.on('error', () => {}); // their endpoint goes away
    return await new Promise((resolve, reject) => {
      client.once('data', (name) => resolve(String(name)));
      client.once('close', () => reject(new Error('reset before anything came')));
    });
  }

  async function metric(name: string, port: number): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
    return sumOfSamples(text, name, { endpoint: `127.0.0.1:${port}` });
  }
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
    socket.on('close', () => sockets.delete(socket));
    onSocket(socket);
  });
  backends.push({ server, sockets });
  return listen(server);
}
