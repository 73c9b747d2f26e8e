// Each folder of config/ runs as it stands, but for ports, IPv6 (which a container may lack) and how many processes carry it.
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, get as getPlain, type IncomingMessage, type Server } from 'node:http';
import { createServer as createTlsServer, get as getTls } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { writePki } from '#src/pki/issue/write-pki.ts';
import { freePort } from '../harness/free-port.ts';
import { type RunningSallyport, runSallyport } from '../harness/run-sallyport.ts';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';

const ROOT = join(import.meta.dirname, '..', '..');

let folder: TempFolder;
let backend: Server;
let verified: Server;
let proxy: RunningSallyport | undefined;

beforeAll(async () => {
  folder = makeTempFolder();
  cpSync(join(ROOT, 'config'), folder.file('config'), { recursive: true });
  for (const [manifest, out] of [
    ['certs/demo.yaml', 'certs/generated'],
    ['certs/clients.yaml', 'certs/generated/clients'],
  ] as const) {
    await writePki({ manifestFile: join(ROOT, manifest), outFolder: folder.file(out), existing: 'refuse' });
  }
  backend = createServer((_incoming, response) => response.end('hello')).listen(0, '127.0.0.1');
  await new Promise((resolve) => backend.once('listening', resolve));
  const [cert, key, ca] = ['cats-backend.crt', 'cats-backend.key', 'root.crt'].map((name) => {
    return readFileSync(folder.file(`certs/generated/${name}`));
  });
  verified = createTlsServer({ cert, key, ca, requestCert: true }, (_incoming, response) => response.end('hello'));
  verified.listen(0, '127.0.0.1');
  await new Promise((resolve) => verified.once('listening', resolve));
}, 60_000);
afterEach(async () => {
  await proxy?.stop('SIGINT');
  proxy = undefined;
});
afterAll(() => {
  for (const server of [backend, verified]) {
    server.close();
    server.closeAllConnections();
  }
  folder.remove();
});

/** By scenario: what a request comes to at its first listeners. Streams carry it as they would anything else. */
test.each([
  ['backend-mtls', 'https', [200]],
  ['client-authentication', 'https', ['closed']],
  ['minimal', 'https', [200]],
  ['plain-sidecar', 'http', [200]],
  ['several-hosts', 'https', [200]],
  ['tls-to-tcp', 'https', [200, 200]],
] as const)(
  '%s',
  async (name, scheme, outcomes) => {
    const config = folder.file(`config/${name}`);
    await adapt(config);
    proxy = await runSallyport({ config });
    const addresses = proxy.listening['addresses'] as readonly string[];
    for (const [index, outcome] of outcomes.entries()) {
      expect(await answerOf(`${scheme}://${addresses[index]}/`)).toBe(outcome);
    }
  },
  60_000,
);

/** Ports that are free here, the backends that are there, one process. */
async function adapt(config: string): Promise<void> {
  const { port } = backend.address() as AddressInfo;
  const { port: verifiedPort } = verified.address() as AddressInfo;
  for (const file of readdirSync(config).filter((name) => name.endsWith('.yaml'))) {
    const path = join(config, file);
    const text = readFileSync(path, 'utf8')
      .replaceAll('IPAddress: "::1"', 'IPAddress: 127.0.0.1')
      .replaceAll(/, port: (?:808\d|1883) \}/g, `, port: ${port} }`)
      .replaceAll(/, port: 9443 \}/g, `, port: ${verifiedPort} }`);
    const adapted = await withFreePorts(text);
    writeFileSync(path, file === 'sallyport.yaml' ? withSettings(adapted) : adapted);
  }
}

async function withFreePorts(text: string): Promise<string> {
  let [adapted = '', ...others] = text.split(/portRange: "\d+"/);
  for (const other of others) adapted += `portRange: "${await freePort()}"${other}`;
  return adapted;
}

function withSettings(text: string): string {
  const settings = '  admin: { port: 0 }\n  workers: 1\n';
  return text.includes('\nsallyport:\n')
    ? text.replace('\nsallyport:\n', `\nsallyport:\n${settings}`)
    : `${text}\nsallyport:\n${settings}`;
}

function answerOf(url: string): Promise<number | 'closed' | undefined> {
  return new Promise((resolve) => {
    const ca = readFileSync(folder.file('certs/generated/root.crt'));
    const onResponse = (response: IncomingMessage) => {
      response.resume();
      resolve(response.statusCode);
    };
    const outgoing = url.startsWith('https:')
      ? getTls(url, { ca, servername: 'localhost', headers: { host: 'localhost' }, agent: false }, onResponse)
      : getPlain(url, { agent: false }, onResponse);
    outgoing.once('error', () => resolve('closed'));
  });
}
