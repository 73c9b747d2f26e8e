// Chromium through a running proxy: a page is loaded, over HTTP/2 and with a post-quantum group, and what it does with a certificate it
// does not trust.
import { dumpDom as dumpDomOf, trustingKeyOf } from './chromium.ts';
import { PAGE, type RealClientDoors, SERVER_NAME, startRealClientDoors } from './real-client-doors.ts';
import { expectRefused, expectServed } from './real-client-log.ts';

const MODERN = { profile: 'MODERN', minTlsVersion: 'TLS_1_2' };

let doors: RealClientDoors;
beforeAll(async () => {
  doors = await startRealClientDoors({
    modern: { sslPolicy: MODERN },
    rsa: { sslPolicy: MODERN, certificates: ['rsa'] },
    deferred: { sslPolicy: { ...MODERN, postQuantumKeyExchange: 'DEFERRED' } },
    fips: { sslPolicy: { profile: 'FIPS_202205', minTlsVersion: 'TLS_1_2' } },
    'no-suite': {
      sslPolicy: {
        profile: 'CUSTOM',
        minTlsVersion: 'TLS_1_2',
        customFeatures: ['TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA'],
      },
    },
  });
});
afterAll(async () => {
  await doors?.stop();
});

test.each([
  ['modern', 'ecdsa', 'X25519MLKEM768'],
  ['rsa', 'rsa', 'X25519MLKEM768'],
  ['deferred', 'ecdsa', 'X25519'],
  ['fips', 'ecdsa', 'P-256'],
] as const)('loads a page: %s, with the %s certificate and %s', async (door, certificate, group) => {
  const path = `/chromium/${door}`;
  expect(await dumpDom(door, path, [trusting(certificate)])).toContain('<p id="served">served through the proxy</p>');
  const line = await expectServed(doors, door, path, {
    protocol: 'TLSv1.3',
    cipher: 'TLS_AES_128_GCM_SHA256',
    group,
    certificate,
    ja4: /^t13d\d{4}h2_/,
    alpn: 'h2',
    http: 'HTTP/2',
  });
  expect(line['httpRequest']).toMatchObject({
    userAgent: expect.stringContaining('Chrome/'),
    responseSize: PAGE.length,
  });
});

test('loads a page over TLS 1.2', async () => {
  const path = '/chromium/tls12';
  const args = [trusting('ecdsa'), '--ssl-version-max=tls1.2'];
  expect(await dumpDom('modern', path, args)).toContain('<p id="served">served through the proxy</p>');
  await expectServed(doors, 'modern', path, {
    protocol: 'TLSv1.2',
    cipher: 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
    group: 'X25519',
    certificate: 'ecdsa',
    ja4: /^t12d\d{4}h2_/,
    alpn: 'h2',
    http: 'HTTP/2',
  });
});

test('does not show the page of a certificate that it does not trust, and says so in an alert', async () => {
  expect(await dumpDom('modern', '/chromium/stranger', [])).not.toContain('served through the proxy');
  await expectRefused(doors, {
    door: 'modern',
    reason: 'peer_alert_bad_certificate',
    side: 'client',
    ja4: /^t13d\d{4}h2_/,
  });
  expect(doors.proxy.log.filter((line) => JSON.stringify(line).includes('/chromium/stranger'))).toEqual([]);
});

test('is refused where TLS 1.2 has no suite for it', async () => {
  const dom = await dumpDom('no-suite', '/refused', [trusting('ecdsa'), '--ssl-version-max=tls1.2']);
  expect(dom).not.toContain('served through the proxy');
  await expectRefused(doors, { door: 'no-suite', reason: 'no_shared_cipher', side: 'proxy', ja4: /^t12d\d{4}h2_/ });
});

function dumpDom(door: string, path: string, args: readonly string[]): Promise<string> {
  const url = `https://${SERVER_NAME}:${doors.port(door)}${path}`;
  return dumpDomOf(url, doors.folder.path, `chromium${path.replaceAll('/', '-')}-${door}`, args);
}

function trusting(certificate: 'ecdsa' | 'rsa'): string {
  return trustingKeyOf(doors.leaves[certificate].certificatePem);
}
