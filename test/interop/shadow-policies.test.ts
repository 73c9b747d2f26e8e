// Debian's `openssl s_client` against a process whose policy allows everything: what shadow policies say of old versions and odd
// suites, and that OpenSSL does in each handshake what was predicted.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { HandshakeStatus } from '#src/admin/admin-sources.ts';
import { type Scenario, startScenario } from '../harness/scenario.ts';

const SHADOWS = [
  { name: 'modern', profile: 'MODERN', minTlsVersion: 'TLS_1_2' },
  { name: 'tls13', profile: 'RESTRICTED', minTlsVersion: 'TLS_1_3' },
];

let scenario: Scenario;
beforeAll(async () => {
  scenario = await startScenario({
    services: [{ name: 'one', protocol: 'HTTP', ports: [9] }], // nobody sends a request
    sslPolicy: { profile: 'COMPATIBLE', minTlsVersion: 'TLS_1_0' },
    shadowSslPolicies: SHADOWS,
  });
});
afterAll(() => scenario?.stop());

test('old versions connect, and are listed as lost under each policy that would refuse them', async () => {
  expect(await sClient('-tls1_1', '-cipher', 'ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0')).toContain('TLSv1.1');
  expect(await sClient('-tls1_2', '-cipher', 'ECDHE-ECDSA-AES256-SHA')).toContain('TLSv1.2');
  expect(await sClient('-tls1_2', '-cipher', 'ECDHE-ECDSA-CHACHA20-POLY1305')).toContain('TLSv1.2');
  expect(await sClient('-tls1_3')).toContain('TLSv1.3');
  const { shadow, failures } = await handshakes(4);
  expect(failures).toEqual([]);
  const found = shadow.map(({ sslPolicy, reason, offeredVersions }) =>
    [sslPolicy, reason, ...offeredVersions].join(' '),
  );
  expect(found.sort()).toEqual([
    'modern unsupported_version TLSv1.1',
    'tls13 unsupported_version TLSv1.1',
    'tls13 unsupported_version TLSv1.2',
    'tls13 unsupported_version TLSv1.2',
  ]);
  const shadowed = (labels: Record<string, string>) => scenario.metric('sallyport_ssl_policy_shadow_total', labels);
  expect(await shadowed({ policy: 'modern', verdict: 'accept' })).toBe(3);
  expect(await shadowed({ policy: 'modern', verdict: 'refuse' })).toBe(1);
  expect(await shadowed({ policy: 'tls13', verdict: 'accept' })).toBe(1);
  expect(await shadowed({ policy: 'tls13', verdict: 'refuse' })).toBe(3);
  expect(await offers('tls11')).toBe(1);
  expect(await offers('chacha20_only')).toBe(1);
  expect(await mispredictions()).toBe(0);
});

test.each<[string, string[]]>([
  ['every suite of TLS 1.2', ['-tls1_2', '-cipher', 'ALL:@SECLEVEL=0']],
  ['every suite of TLS 1.0', ['-tls1', '-cipher', 'ALL:@SECLEVEL=0']],
  ['CBC before AEAD', ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES256-SHA:ECDHE-ECDSA-AES256-GCM-SHA384']],
  ['ChaCha20 before AES', ['-tls1_2', '-cipher', 'ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256']],
  ['CCM only', ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-CCM']],
  ['RSA only', ['-tls1_2', '-cipher', 'ECDHE-RSA-AES128-GCM-SHA256']],
  ['a curve that the certificate is not on', ['-tls1_2', '-groups', 'P-384']],
  ['no group in common', ['-tls1_3', '-groups', 'P-521']],
  ['a group without a key share', ['-tls1_3', '-groups', 'P-521:P-384']],
  ['RSA signatures only, TLS 1.3', ['-tls1_3', '-sigalgs', 'RSA-PSS+SHA256']],
  ['RSA signatures only, TLS 1.2', ['-tls1_2', '-sigalgs', 'RSA+SHA256']],
  ['ChaCha20 only, TLS 1.3', ['-tls1_3', '-ciphersuites', 'TLS_CHACHA20_POLY1305_SHA256']],
  ['CCM only, TLS 1.3', ['-tls1_3', '-ciphersuites', 'TLS_AES_128_CCM_SHA256']],
  ['an unknown protocol', ['-alpn', 'spdy/3.1']],
  ['no SNI', ['-noservername']],
  ['a fallback that is not needed', ['-tls1_2', '-fallback_scsv']],
])('`openssl s_client` with %s ends as predicted', async (_case, args) => {
  const before = await scenario.metric('sallyport_handshakes_total');
  await sClient(...args);
  await handshakes(before + 1);
  expect(await mispredictions()).toBe(0);
  expect(scenario.proxy.log.filter(({ msg }) => msg?.includes('predicted') === true)).toEqual([]);
});

async function sClient(...args: readonly string[]): Promise<string> {
  const name = args.includes('-noservername') ? [] : ['-servername', 'localhost'];
  const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${scenario.port}`, '-brief', ...name, ...args], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { PATH: process.env['PATH'], OPENSSL_CONF: '/dev/null' }, // Debian's own sets a minimum version
    timeout: 10_000,
  });
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    if (chunk.includes('Verification')) child.stdin.end(); // the handshake is over
  });
  child.stdin.on('error', () => {});
  await once(child, 'close');
  return text;
}

/** What /handshakes shows once so many handshakes have ended. */
async function handshakes(count: number): Promise<HandshakeStatus> {
  const deadline = performance.now() + 5000;
  while ((await scenario.metric('sallyport_handshakes_total')) < count) {
    if (performance.now() > deadline) throw new Error(`Cannot see ${count} handshakes within 5 s`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return (await (await fetch(`http://127.0.0.1:${scenario.adminPort}/handshakes`)).json()) as HandshakeStatus;
}

function offers(feature: string): Promise<number> {
  return scenario.metric('sallyport_client_hello_offers_total', { proxy: 'web', feature });
}

function mispredictions(): Promise<number> {
  return scenario.metric('sallyport_ssl_policy_prediction_mismatch_total', { proxy: 'web' });
}
