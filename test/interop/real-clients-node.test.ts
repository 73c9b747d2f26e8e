// Node's own clients through a running proxy: the pinned version, and the system's where it is another.
import { runTool } from '../harness/run-tool.ts';
import { nodesOnPath, version } from '../launcher/launcher-copy.ts';
import { PAGE, type RealClientDoors, SERVER_NAME, startRealClientDoors } from './real-client-doors.ts';
import { expectRefused, expectServed, pathOf } from './real-client-log.ts';

const MODERN = { profile: 'MODERN', minTlsVersion: 'TLS_1_2' };
const RESTRICTED = { profile: 'RESTRICTED', minTlsVersion: 'TLS_1_2' };
const NODES = nodesOnPath();
const doorOf = (node: string) => `node-${version(node).replaceAll('.', '-')}`;

let doors: RealClientDoors;
beforeAll(async () => {
  doors = await startRealClientDoors({
    modern: { sslPolicy: MODERN },
    // A failure that repeats is logged once in ten seconds for each proxy, so each version is refused at its own.
    ...Object.fromEntries(NODES.map((node) => [doorOf(node), { sslPolicy: RESTRICTED }])),
  });
});
afterAll(async () => {
  await doors?.stop();
});

describe.each(NODES.map((node) => [version(node), node]))("node %s's own client", (name, node) => {
  const door = doorOf(node);
  /** OpenSSL 3.5 and newer offer X25519MLKEM768 first. */
  let group: string;
  beforeAll(async () => {
    const { stdout } = await runTool(node, ['-p', 'process.versions.openssl']);
    const [major = 0, minor = 0] = stdout.split('.').map(Number);
    group = major > 3 || (major === 3 && minor >= 5) ? 'X25519MLKEM768' : 'X25519';
  });

  test.each([
    ['https', undefined, 'HTTP/1.1', /^t13d\d{4}00_/],
    ['http2', 'h2', 'HTTP/2', /^t13d\d{4}h2_/],
  ] as const)('%s over TLS 1.3', async (api, alpn, http, ja4) => {
    const path = pathOf(`node-${name}`, api);
    expect(await runNode(node, api, 'modern', path)).toEqual({ status: 200, body: PAGE });
    const tls13 = { protocol: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', certificate: 'ecdsa' } as const;
    await expectServed(doors, 'modern', path, { ...tls13, group, http, ja4, ...(alpn && { alpn }) });
  });

  test('https over TLS 1.2 with an RSA certificate', async () => {
    const path = pathOf(`node-${name}`, 'tls12');
    const options = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-CHACHA20-POLY1305' };
    expect(await runNode(node, 'https', 'modern', path, options)).toEqual({ status: 200, body: PAGE });
    await expectServed(doors, 'modern', path, {
      protocol: 'TLSv1.2',
      cipher: 'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256',
      group: 'X25519',
      certificate: 'rsa',
      ja4: /^t12d/,
    });
  });

  test('is refused with TLS 1.1, and without forward secrecy', async () => {
    const tls11 = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' };
    expect(await runNode(node, 'https', door, '/refused', tls11)).toEqual({
      error: expect.stringMatching(/alert protocol version/),
    });
    await expectRefused(doors, { door, reason: 'unsupported_version', side: 'proxy', ja4: /^t11d/ });
    const rsa = { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' };
    expect(await runNode(node, 'https', door, '/refused', rsa)).toEqual({
      error: expect.stringMatching(/alert handshake failure/),
    });
    await expectRefused(doors, { door, reason: 'no_shared_cipher', side: 'proxy', ja4: /^t12d/ });
  });

  test('refuses a certificate that it does not trust, without a word to the proxy', async () => {
    expect(await runNode(node, 'https', door, '/refused', { ca: [] })).toEqual({
      error: expect.stringMatching(/^UNABLE_TO_VERIFY_LEAF_SIGNATURE /),
    });
    // It looks at the chain when the handshake is over for it, and leaves before its Finished is sent: no alert tells why.
    await expectRefused(doors, { door, reason: 'peer_closed', side: 'network', ja4: /^t13d\d{4}00_/ });
    expect(doors.proxy.log.filter((line) => line.msg === 'request' && line['targetProxy'] === door)).toEqual([]);
  });
});

/** What it got as `{status, body}`, or the code of its error. `tls`: options of tls.connect(). */
async function runNode(
  node: string,
  api: 'https' | 'http2',
  door: string,
  path: string,
  tls: Readonly<Record<string, unknown>> = {},
): Promise<unknown> {
  const program = api === 'https' ? HTTPS_CLIENT : HTTP2_CLIENT;
  const origin = `https://${SERVER_NAME}:${doors.port(door)}`;
  const { stdout, stderr } = await runTool(node, ['-e', program, origin, path, JSON.stringify(tls)], {
    env: { NODE_EXTRA_CA_CERTS: doors.rootsFile },
  });
  if (stdout === '') throw new Error(`Cannot run ${node}: it printed\n${stderr}`);
  return JSON.parse(stdout);
}

const SAY = 'const say = (what) => process.stdout.write(JSON.stringify(what));';
const HTTPS_CLIENT = `${SAY}
const [origin, path, tls] = process.argv.slice(1);
require('node:https').get(origin + path, { ...JSON.parse(tls), agent: false }, async (response) => {
  let body = '';
  for await (const chunk of response) body += chunk;
  say({ status: response.statusCode, body });
}).on('error', (error) => say({ error: error.code + ' ' + error.message }));`;
const HTTP2_CLIENT = `${SAY}
const [origin, path, tls] = process.argv.slice(1);
const session = require('node:http2').connect(origin, JSON.parse(tls)).on('error', (error) => say({ error: error.code + ' ' + error.message }));
const stream = session.request({ ':path': path });
let status = 0;
stream.on('response', (headers) => { status = headers[':status']; });
(async () => {
  let body = '';
  for await (const chunk of stream) body += chunk;
  session.close();
  say({ status, body });
})();`;
