// GnuTLS through a running proxy, told by priority strings what it may offer.
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
    restricted: { sslPolicy: RESTRICTED },
    fips: { sslPolicy: FIPS },
  });
});
afterAll(async () => {
  await doors?.stop();
});

describe('gnutls-cli', () => {
  const only = (protocol: string, more: string) => `NORMAL:-VERS-ALL:+VERS-${protocol}:${more}`;
  const cases: readonly [string, string, string, RegExp, Served][] = [
    [
      'as it is',
      'modern',
      'NORMAL',
      /\(TLS1\.3-X\.509\)-\(ECDHE-X25519\)-\(ECDSA-SECP256R1-SHA256\)-\(AES-128-GCM\)/,
      {
        protocol: 'TLSv1.3',
        cipher: 'TLS_AES_128_GCM_SHA256',
        group: 'X25519',
        certificate: 'ecdsa',
        ja4: /^t13d\d{4}00_/,
      },
    ],
    [
      'TLS 1.3 with ChaCha20, RSA-PSS and P-256',
      'modern',
      only('TLS1.3', '-CIPHER-ALL:+CHACHA20-POLY1305:-SIGN-ALL:+SIGN-RSA-PSS-RSAE-SHA256:-GROUP-ALL:+GROUP-SECP256R1'),
      /\(TLS1\.3-X\.509\)-\(ECDHE-SECP256R1\)-\(RSA-PSS-RSAE-SHA256\)-\(CHACHA20-POLY1305\)/,
      { protocol: 'TLSv1.3', cipher: 'TLS_CHACHA20_POLY1305_SHA256', group: 'P-256', certificate: 'rsa', ja4: /^t13d/ },
    ],
    [
      'TLS 1.2 with AES-256-GCM and ECDSA',
      'restricted',
      only('TLS1.2', '-CIPHER-ALL:+AES-256-GCM:-KX-ALL:+ECDHE-ECDSA'),
      /\(TLS1\.2-X\.509\)-\(ECDHE-X25519\)-\(ECDSA-SHA256\)-\(AES-256-GCM\)/,
      {
        protocol: 'TLSv1.2',
        cipher: 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384',
        group: 'X25519',
        certificate: 'ecdsa',
        ja4: /^t12d/,
      },
    ],
    [
      'TLS 1.2 with AES-128-CBC and RSA',
      'modern',
      only('TLS1.2', '-CIPHER-ALL:+AES-128-CBC:-KX-ALL:+ECDHE-RSA'),
      /\(TLS1\.2-X\.509\)-\(ECDHE-X25519\)-\(RSA-[\w-]+\)-\(AES-128-CBC\)-\(SHA1\)/,
      {
        protocol: 'TLSv1.2',
        cipher: 'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA',
        group: 'X25519',
        certificate: 'rsa',
        ja4: /^t12d/,
      },
    ],
    [
      'TLS 1.1 with AES-256-CBC and ECDSA',
      'compatible',
      only('TLS1.1', '-CIPHER-ALL:+AES-256-CBC:-KX-ALL:+ECDHE-ECDSA'),
      /\(TLS1\.1-X\.509\)-\(ECDHE-X25519\)-\(AES-256-CBC\)-\(SHA1\)/,
      {
        protocol: 'TLSv1.1',
        cipher: 'TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA',
        group: 'X25519',
        certificate: 'ecdsa',
        ja4: /^t11d/,
      },
    ],
    [
      'TLS 1.0 without forward secrecy',
      'compatible',
      only('TLS1.0', '-KX-ALL:+RSA'),
      /\(TLS1\.0-X\.509\)-\(RSA\)-\(AES-128-CBC\)-\(SHA1\)/,
      { protocol: 'TLSv1', cipher: 'TLS_RSA_WITH_AES_128_CBC_SHA', certificate: 'rsa', ja4: /^t10d/ },
    ],
  ];
  test.each(cases)('%s', async (name, door, priority, description, expected) => {
    const path = pathOf('gnutls', name);
    const { exitCode, stdout, stderr } = await gnutlsCli(door, ['--x509cafile', doors.rootsFile], priority, path);
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(stdout).toContain('- Status: The certificate is trusted.');
    expect(stdout).toContain(`- subject \`CN=${expected.certificate} front'`);
    expect(/^- Description: (.*)$/m.exec(stdout)?.[1]).toMatch(description);
    expect(stdout).toContain(PAGE);
    await expectServed(doors, door, path, expected);
  });

  const refused: readonly [string, string, string, RegExp, Omit<Refused, 'door'>][] = [
    [
      'TLS 1.1',
      'restricted',
      only('TLS1.1', '+VERS-TLS1.0'),
      /Received alert \[70\]/,
      { reason: 'unsupported_version', side: 'proxy', ja4: /^t11d/ },
    ],
    [
      'TLS 1.2 without forward secrecy',
      'restricted',
      only('TLS1.2', '-KX-ALL:+RSA'),
      /Received alert \[40\]/,
      { reason: 'no_shared_cipher', side: 'proxy', ja4: /^t12d/ },
    ],
    [
      'only X25519 under FIPS_202205',
      'fips',
      only('TLS1.3', '-GROUP-ALL:+GROUP-X25519'),
      /Received alert \[40\]/,
      { reason: 'no_shared_group', side: 'proxy', ja4: /^t13d/ },
    ],
  ];
  test.each(refused)('is refused: %s', async (_name, door, priority, words, expected) => {
    const result = await gnutlsCli(door, ['--x509cafile', doors.rootsFile], priority, '/refused');
    expect(result.exitCode).toBe(1);
    expect(result.stdout).toMatch(words);
    expect(result.stdout).not.toContain(PAGE);
    await expectRefused(doors, { door, ...expected });
  });

  test('refuses a chain that it does not trust, with an alert', async () => {
    const { exitCode, stdout } = await gnutlsCli('restricted', [], 'NORMAL', '/refused');
    expect(exitCode).toBe(1);
    expect(stdout).toContain('The certificate is NOT trusted');
    await expectRefused(doors, {
      door: 'restricted',
      reason: 'peer_alert_bad_certificate',
      side: 'client',
      ja4: /^t13d/,
    });
  });
});

function gnutlsCli(door: string, args: readonly string[], priority: string, path: string): Promise<ToolResult> {
  const always = ['--port', String(doors.port(door)), '--priority', priority];
  return runTool('gnutls-cli', [...always, ...args, SERVER_NAME], { input: request(path) });
}
