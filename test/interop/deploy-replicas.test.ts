// What the chart renders, run as local processes: the container's arguments and its configuration, its volumes as the kubelet lays
// them out (`..data` symlinks), its probes, and HAProxy in TCP mode for the Service.
import { once } from 'node:events';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import type { Issued } from '#src/pki/issue/contract.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { freePort } from '../harness/free-port.ts';
import { type HaproxyBalancer, startHaproxy } from '../harness/haproxy.ts';
import { chainPem, testPki } from '../harness/pki.ts';
import { type RunningSallyport, spawnSallyport } from '../harness/run-sallyport.ts';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';
import { until } from '../harness/until.ts';
import { type KubernetesObject, renderChart } from './kubernetes-tools.ts';

let folder: TempFolder;
let replicas: Replica[];
let balancer: HaproxyBalancer;
let root: string;
const backend = createServer((incoming, response) => {
  setTimeout(() => response.end(`hello ${String(incoming.headers['x-revision'])}`), 5);
});

beforeAll(async () => {
  folder = makeTempFolder();
  root = (await testPki()).root.certificatePem;
  backend.listen(0, '127.0.0.1');
  await once(backend, 'listening');
  replicas = await Promise.all([0, 1, 2].map(makeReplica));
  await Promise.all(replicas.map(start));
  balancer = await startHaproxy(replicas);
});

afterAll(async () => {
  for (const { process } of replicas) await process?.stop('SIGINT');
  await balancer.stop();
  backend.close();
  backend.closeAllConnections();
  folder.remove();
});

test('each is ready, alive and scraped', async () => {
  for (const { adminPort } of replicas) {
    expect(await status(`http://127.0.0.1:${adminPort}/livez`)).toBe(200);
    expect(await status(`http://127.0.0.1:${adminPort}/readyz`)).toBe(200);
    const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
    expect(metrics).toContain('sallyport_build_info{');
  }
});

test('a session that one made resumes on every other', async () => {
  const { session } = await handshake(replicas[0]!.port);
  for (const { port } of replicas) expect(await handshake(port, session)).toMatchObject({ resumed: true });
});

test('a Secret that the kubelet swaps is served everywhere, and no request fails meanwhile', async () => {
  const load = startLoad();
  const renewed = await leaf('renewed');
  for (const replica of replicas)
    swapVolume(replica.volume('tls/web-tls'), tlsSecret(renewed, (await testPki()).issuing));
  for (const { port } of replicas) await until(async () => (await handshake(port)).subject === 'renewed', 50);
  expect(await load.stop()).toEqual({ failures: [], enough: true });
});

test('a configuration rollout is taken by every replica, and no request fails meanwhile', async () => {
  const load = startLoad();
  for (const replica of replicas) {
    const text = configuration(await render(replica, '2'), replica);
    swapVolume(replica.volume('config'), { 'sallyport.yaml': text });
  }
  for (const { port } of replicas) await until(async () => (await get(port)) === 'hello 2', 50);
  expect(await load.stop()).toEqual({ failures: [], enough: true });
});

test('a rolling restart costs no request: SIGTERM under load, exit code 0, ready again, the next', async () => {
  const load = startLoad();
  for (const [index, replica] of replicas.entries()) {
    expect(await replica.process!.stop('SIGTERM')).toEqual({ code: 0, signal: null });
    await start(replica);
    await until(() => balancer.isUp(index), 50);
  }
  expect(await load.stop()).toEqual({ failures: [], enough: true });
});

interface Replica {
  readonly port: number;
  readonly adminPort: number;
  readonly args: readonly string[];
  /** Where a path under /etc/sallyport is. */
  volume(path: string): string;
  process: Omit<RunningSallyport, 'listening'> | null;
}

async function makeReplica(index: number): Promise<Replica> {
  const base = folder.file(`replica-${index}`);
  const replica: Replica = {
    port: await freePort(),
    adminPort: await freePort(),
    args: [],
    volume: (path) => join(base, path),
    process: null,
  };
  const objects = await render(replica, '1');
  const deployment = objects.find(({ kind }) => kind === 'Deployment')?.spec as {
    template: { spec: { containers: { args: string[]; readinessProbe: { httpGet: { path: string } } }[] } };
  };
  const container = deployment.template.spec.containers[0]!;
  expect(container.readinessProbe.httpGet.path).toBe('/readyz');
  swapVolume(replica.volume('config'), { 'sallyport.yaml': configuration(objects, replica) });
  swapVolume(replica.volume('tls/web-tls'), tlsSecret(await leaf('first'), (await testPki()).issuing));
  swapVolume(replica.volume('tickets'), { 'ticket.keys': `${'5a'.repeat(32)}\n` });
  return Object.assign(replica, { args: container.args.map((arg) => local(arg, replica)) });
}

async function render(replica: Replica, revision: string): Promise<readonly KubernetesObject[]> {
  const { port } = backend.address() as AddressInfo;
  const values = {
    config: {
      forwardingRules: [
        { name: 'https', IPAddress: '127.0.0.1', portRange: `${replica.port}`, target: 'targetHttpsProxies/web' },
      ],
      targetHttpsProxies: [{ name: 'web', urlMap: 'web', sslCertificates: ['web'], sslPolicy: 'modern' }],
      sslPolicies: [{ name: 'modern', profile: 'MODERN', minTlsVersion: 'TLS_1_2' }],
      sslCertificates: [
        {
          name: 'web',
          selfManaged: {
            certificateFile: '/etc/sallyport/tls/web-tls/tls.crt',
            privateKeyFile: '/etc/sallyport/tls/web-tls/tls.key',
          },
        },
      ],
      urlMaps: [{ name: 'web', defaultService: 'app' }],
      backendServices: [
        {
          name: 'app',
          protocol: 'HTTP',
          backends: [{ group: 'app' }],
          customRequestHeaders: [`X-Revision: ${revision}`],
        },
      ],
      networkEndpointGroups: [
        { name: 'app', networkEndpointType: 'NON_GCP_PRIVATE_IP_PORT', endpoints: [{ ipAddress: '127.0.0.1', port }] },
      ],
    },
    tls: { existingSecrets: ['web-tls'] },
    sessionTickets: { existingSecret: 'tickets' },
    service: { ports: [{ name: 'https', port: 443, containerPort: replica.port }] },
    admin: { port: replica.adminPort },
    drain: { delaySec: 1, timeoutSec: 10 },
  };
  return renderChart(values);
}

function configuration(objects: readonly KubernetesObject[], replica: Replica): string {
  return local(objects.find(({ kind }) => kind === 'ConfigMap')?.data?.['sallyport.yaml'] ?? '', replica);
}

/** Paths of the container's file system, and its address, are this machine's. */
function local(text: string, replica: Replica): string {
  return text.replaceAll('/etc/sallyport', replica.volume('')).replaceAll('0.0.0.0', '127.0.0.1');
}

async function start(replica: Replica): Promise<void> {
  replica.process = spawnSallyport(replica.args);
  await replica.process.waitForLog((line) => line.msg === 'listening', 20_000);
  await until(async () => (await status(`http://127.0.0.1:${replica.adminPort}/readyz`)) === 200, 50);
}

/** As the kubelet does it: a new folder, then one rename of the link `..data` that every file goes through. */
function swapVolume(mount: string, files: Readonly<Record<string, string>>): void {
  const generation = join(mount, `..${Date.now()}_${Math.random().toString(36).slice(2)}`);
  mkdirSync(generation, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(generation, name), content, { mode: 0o440 });
    rmSync(join(mount, name), { force: true });
    symlinkSync(join('..data', name), join(mount, name));
  }
  symlinkSync(generation, join(mount, '..data_tmp'));
  renameSync(join(mount, '..data_tmp'), join(mount, '..data'));
}

async function leaf(name: string): Promise<Issued> {
  const { issuing } = await testPki();
  return issue({ subject: `CN=${name}`, issuer: issuing, dnsNames: ['localhost'], extendedKeyUsage: ['serverAuth'] });
}

function tlsSecret(certificate: Issued, issuer: Issued): Record<string, string> {
  return { 'tls.crt': chainPem(certificate, issuer), 'tls.key': certificate.privateKeyPem };
}

/** Requests through the balancer until it is stopped: one loop with a connection for each, one that keeps an HTTP/2 session. */
function startLoad(): { stop(): Promise<{ failures: readonly string[]; enough: boolean }> } {
  let running = true;
  let done = 0;
  const failures: string[] = [];
  const loop = async (once_: () => Promise<void>) => {
    while (running) {
      try {
        await once_();
        done++;
      } catch (error) {
        failures.push(String((error as NodeJS.ErrnoException).code ?? error));
      }
    }
  };
  const http2 = http2Client();
  const loops = [
    ...Array.from({ length: 4 }, () => loop(async () => void (await get(balancer.port)))),
    ...Array.from({ length: 2 }, () => loop(() => http2.get())),
  ];
  return {
    async stop() {
      running = false;
      await Promise.all(loops);
      http2.close();
      return { failures, enough: done > 20 };
    },
  };
}

/** One session at a time; a new one after a GOAWAY, as every HTTP/2 client does. */
function http2Client() {
  const open = () => {
    const session = connectHttp2(`https://localhost:${balancer.port}`, { ca: root });
    session.on('error', () => {}); // the streams say it
    session.on('goaway', () => session.close());
    return session;
  };
  let session = open();
  return {
    async get(): Promise<void> {
      try {
        await this.getOnce();
      } catch (error) {
        // Sent when the GOAWAY was already on its way: not processed, and safe to repeat elsewhere (RFC 9113 section 6.8).
        if (!(error as Error).message.includes('NGHTTP2_REFUSED_STREAM')) throw error;
        await this.getOnce();
      }
    },
    async getOnce(): Promise<void> {
      if (session.closed || session.destroyed) session = open();
      const stream = session.request({ ':path': '/' });
      stream.resume();
      const [headers] = (await once(stream, 'response')) as [{ ':status': number }];
      if (headers[':status'] !== 200) throw new Error(`status ${headers[':status']}`);
      if (!stream.readableEnded) await once(stream, 'end');
    },
    close: () => session.destroy(),
  };
}

function get(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ port, host: '127.0.0.1', servername: 'localhost', ca: root, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('end', () => {
        if (response.statusCode === 200) resolve(body);
        else reject(new Error(`status ${response.statusCode}`));
      });
    })
      .on('error', reject)
      .end();
  });
}

async function handshake(port: number, session?: Buffer) {
  const socket = connectTls({
    port,
    host: '127.0.0.1',
    servername: 'localhost',
    ca: root,
    ...(session && { session }),
  });
  const ticket = once(socket, 'session') as Promise<[Buffer]>;
  await once(socket.resume(), 'secureConnect');
  const resumed = socket.isSessionReused();
  const subject = socket.getPeerX509Certificate()?.subject.replace('CN=', '') ?? '';
  const next = resumed ? undefined : (await ticket)[0];
  socket.destroy();
  return { resumed, subject, session: next };
}

async function status(url: string): Promise<number> {
  return (await fetch(url)).status;
}
