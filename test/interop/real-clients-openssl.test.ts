// `openssl s_client` through a running proxy: what it negotiates, with which certificate, and what both sides say where one refuses.
import { runTool, type ToolResult } from '../harness/run-tool.ts';
import { PAGE, type RealClientDoors, SERVER_NAME, startRealClientDoors } from './real-client-doors.ts';
import { expectRefused, expectServed, pathOf, type Refused, request, type Served } from './real-client-log.ts';

const MODERN = { profile: 'MODERN', minTlsVersion: 'TLS_1_2' };
const RESTRICTED = { profile: 'RESTRICTED', minTlsVersion: 'TLS_1_2' };
const FIPS = { profile: 'FIPS_202205', minTlsVersion: 'TLS_1_2' };

let doors: RealClientDoors;
beforeAll(async () => {
  doors = await startRealClientDoors({
    compatible: { sslPolicy: { profile: 'COMPATIBLE', minTlsVersion: 'TLS_1_0' } },
    modern: { sslPolicy: MODERN },
    'modern-rsa': { sslPolicy: MODERN, certificates: ['rsa'] },
    'rsa-first': { sslPolicy: MODERN, certificates: ['rsa', 'ecdsa'] },
    'modern-ecdsa': { sslPolicy: MODERN, certificates: ['ecdsa'] },
    restricted: { sslPolicy: RESTRICTED },
    fips: { sslPolicy: FIPS },
    custom: {
      sslPolicy: {
        profile: 'CUSTOM',
        minTlsVersion: 'TLS_1_2',
        customFeatures: ['TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA', 'TLS_RSA_WITH_AES_128_GCM_SHA256'],
      },
    },
  });
});
afterAll(async () => {
  await doors?.stop();
});

describe('openssl s_client', () => {
  const tls12 = (cipher: string) => ['-tls1_2', '-cipher', cipher];
  const cases: readonly [string, string, readonly string[], Served][] = [
    [
      'as it is',
      'modern',
      [],
      {
        protocol: 'TLSv1.3',
        cipher: 'TLS_AES_128_GCM_SHA256',
        group: 'X25519',
        certificate: 'ecdsa',
        ja4: /^t13d\d{4}00_/,
      },
    ],
    [
      'TLS 1.3, one suite, P-384',
      'modern',
      ['-tls1_3', '-ciphersuites', 'TLS_CHACHA20_POLY1305_SHA256', '-curves', 'P-384'],
      {
        protocol: 'TLSv1.3',
        cipher: 'TLS_CHACHA20_POLY1305_SHA256',
        group: 'P-384',
        certificate: 'ecdsa',
        ja4: /^t13d0\d{3}00_/,
      },
    ],
    [
      'TLS 1.3 with RSA signatures only',
      'modern',
      ['-tls1_3', '-sigalgs', 'rsa_pss_rsae_sha256'],
      { protocol: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', group: 'X25519', certificate: 'rsa', ja4: /^t13d/ },
    ],
    [
      'TLS 1.2 that knows only RSA certificates',
      'modern',
      tls12('ECDHE-RSA-AES256-GCM-SHA384'),
      {
        protocol: 'TLSv1.2',
        cipher: 'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384',
        group: 'X25519',
        certificate: 'rsa',
        ja4: /^t12d02\d{2}00_/,
      },
    ],
    [
      'TLS 1.2 that knows only ECDSA certificates, where RSA is first in the list',
      'rsa-first',
      tls12('ECDHE-ECDSA-AES128-SHA'),
      {
        protocol: 'TLSv1.2',
        cipher: 'TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA',
        group: 'X25519',
        certificate: 'ecdsa',
        ja4: /^t12d/,
      },
    ],
    [
      'TLS 1.2 with ECDSA and RSA, where there is one RSA certificate',
      'modern-rsa',
      tls12('ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305'),
      {
        protocol: 'TLSv1.2',
        cipher: 'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256',
        group: 'X25519',
        certificate: 'rsa',
        ja4: /^t12d/,
      },
    ],
    [
      'TLS 1.1 without forward secrecy',
      'compatible',
      ['-tls1_1', '-cipher', 'AES256-SHA:@SECLEVEL=0'],
      { protocol: 'TLSv1.1', cipher: 'TLS_RSA_WITH_AES_256_CBC_SHA', certificate: 'rsa', ja4: /^t11d/ },
    ],
    [
      'TLS 1.0 with an ECDSA certificate',
      'compatible',
      ['-tls1', '-cipher', 'ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0'],
      {
        protocol: 'TLSv1',
        cipher: 'TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA',
        group: 'X25519',
        certificate: 'ecdsa',
        ja4: /^t10d/,
      },
    ],
    [
      'X25519 before P-256 under FIPS_202205',
      'fips',
      ['-curves', 'X25519:P-256'],
      { protocol: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', group: 'P-256', certificate: 'ecdsa', ja4: /^t13d/ },
    ],
    [
      'all of TLS 1.2 under CUSTOM',
      'custom',
      tls12('ALL'),
      {
        protocol: 'TLSv1.2',
        cipher: 'TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA',
        group: 'X25519',
        certificate: 'rsa',
        ja4: /^t12d/,
      },
    ],
  ];
  test.each(cases)('%s', async (name, door, args, expected) => {
    const path = pathOf('openssl', name);
    const trust = ['-CAfile', doors.rootsFile, '-verify_return_error', '-verify_hostname', SERVER_NAME];
    const { exitCode, stdout, stderr } = await sClient(door, [...trust, ...args], request(path));
    expect([exitCode, stdout]).toEqual([0, expect.stringMatching(/^HTTP\/1\.1 200 OK\r\n/)]);
    expect(stdout).toContain(PAGE);
    expect(stderr).toContain(`Protocol version: ${expected.protocol}\n`);
    expect(stderr).toContain('Verification: OK\n');
    expect(stderr).toContain(`Peer certificate: CN = ${expected.certificate} front\n`);
    await expectServed(doors, door, path, expected);
  });

  const refused: readonly [string, string, readonly string[], RegExp, Omit<Refused, 'door'>][] = [
    [
      'TLS 1.1',
      'restricted',
      ['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'],
      /alert protocol version/,
      { reason: 'unsupported_version', side: 'proxy', ja4: /^t11d/ },
    ],
    [
      'TLS 1.2 with CBC',
      'restricted',
      tls12('ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA'),
      /alert handshake failure/,
      { reason: 'no_shared_cipher', side: 'proxy', ja4: /^t12d/ },
    ],
    [
      'only X25519 under FIPS_202205',
      'fips',
      ['-tls1_3', '-curves', 'X25519'],
      /alert handshake failure/,
      { reason: 'no_shared_group', side: 'proxy', ja4: /^t13d/ },
    ],
    [
      'only P-384 signatures where the certificate is P-256',
      'modern-ecdsa',
      ['-tls1_3', '-sigalgs', 'ecdsa_secp384r1_sha384'],
      /alert handshake failure/,
      { reason: 'no_shared_signature_algorithm', side: 'proxy', ja4: /^t13d/ },
    ],
    [
      'only RSA suites where the certificate is ECDSA',
      'modern-ecdsa',
      tls12('ECDHE-RSA-AES128-GCM-SHA256'),
      /alert handshake failure/,
      { reason: 'certificate_key_type_mismatch', side: 'proxy', ja4: /^t12d/ },
    ],
    [
      'an ALPN that is not HTTP',
      'restricted',
      ['-alpn', 'imap'],
      /alert no application protocol/,
      { reason: 'alpn_mismatch', side: 'proxy', ja4: /^t13d\d{4}ip_/ },
    ],
    [
      'roots that do not know us',
      'restricted',
      ['-verify_return_error'],
      /certificate verify failed/,
      { reason: 'peer_alert_unknown_ca', side: 'client', ja4: /^t13d/ },
    ],
  ];
  test.each(refused)('is refused, or refuses: %s', async (_name, door, args, words, expected) => {
    const { exitCode, stdout, stderr } = await sClient(door, args, request('/refused'));
    expect(exitCode).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(words);
    await expectRefused(doors, { door, ...expected });
  });

  test('may not renegotiate', async () => {
    const args = ['-CAfile', doors.rootsFile, '-tls1_2', '-servername', SERVER_NAME, '-connect', address('modern')];
    const { stdout, stderr } = await runTool('openssl', ['s_client', ...args], { input: 'R\n', env: OPENSSL_ENV });
    expect(stdout).toContain('Secure Renegotiation IS supported'); // RFC 5746: both sides say that they would know
    expect(stderr).toMatch(/^RENEGOTIATING\n.*:no renegotiation:/m);
  });
});

function sClient(door: string, args: readonly string[], input: string): Promise<ToolResult> {
  const always = ['-connect', address(door), '-servername', SERVER_NAME, '-brief', '-ign_eof'];
  return runTool('openssl', ['s_client', ...always, ...args], { input, env: OPENSSL_ENV });
}

function address(door: string): string {
  return `127.0.0.1:${doors.port(door)}`;
}

const OPENSSL_ENV = { OPENSSL_CONF: '/dev/null' }; // Debian's own sets a minimum version
