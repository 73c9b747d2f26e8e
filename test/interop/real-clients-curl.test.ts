// curl through a running proxy: HTTP/2, HTTP/1.1 and no ALPN, over what it may negotiate.
import { curl } from '../harness/curl.ts';
import { PAGE, type RealClientDoors, SERVER_NAME, startRealClientDoors } from './real-client-doors.ts';
import { expectRefused, expectServed, pathOf, type Refused, type Served } from './real-client-log.ts';

const MODERN = { profile: 'MODERN', minTlsVersion: 'TLS_1_2' };
const RESTRICTED = { profile: 'RESTRICTED', minTlsVersion: 'TLS_1_2' };

let doors: RealClientDoors;
beforeAll(async () => {
  doors = await startRealClientDoors({
    compatible: { sslPolicy: { profile: 'COMPATIBLE', minTlsVersion: 'TLS_1_0' } },
    modern: { sslPolicy: MODERN },
    restricted: { sslPolicy: RESTRICTED },
  });
});
afterAll(async () => {
  await doors?.stop();
});

describe('curl', () => {
  const cases: readonly [string, string, readonly string[], Served][] = [
    [
      'HTTP/2 over TLS 1.3',
      'modern',
      ['--http2'],
      {
        protocol: 'TLSv1.3',
        cipher: 'TLS_AES_128_GCM_SHA256',
        group: 'X25519',
        certificate: 'ecdsa',
        ja4: /^t13d\d{4}h2_/,
        alpn: 'h2',
        http: 'HTTP/2',
      },
    ],
    [
      'HTTP/1.1 over TLS 1.3',
      'modern',
      ['--http1.1'],
      {
        protocol: 'TLSv1.3',
        cipher: 'TLS_AES_128_GCM_SHA256',
        group: 'X25519',
        certificate: 'ecdsa',
        ja4: /^t13d\d{4}h1_/,
        alpn: 'http/1.1',
        http: 'HTTP/1.1',
      },
    ],
    [
      'HTTP/1.1 without ALPN',
      'modern',
      ['--no-alpn'],
      {
        protocol: 'TLSv1.3',
        cipher: 'TLS_AES_128_GCM_SHA256',
        group: 'X25519',
        certificate: 'ecdsa',
        ja4: /^t13d\d{4}00_/,
        http: 'HTTP/1.1',
      },
    ],
    [
      'HTTP/2 over TLS 1.2 with an RSA certificate',
      'restricted',
      ['--http2', '--tls-max', '1.2', '--ciphers', 'ECDHE-RSA-AES128-GCM-SHA256', '--curves', 'P-384'],
      {
        protocol: 'TLSv1.2',
        cipher: 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
        group: 'P-384',
        certificate: 'rsa',
        ja4: /^t12d\d{4}h2_/,
        alpn: 'h2',
        http: 'HTTP/2',
      },
    ],
    [
      'HTTP/1.1 over TLS 1.0',
      'compatible',
      ['--http1.1', '--tlsv1.0', '--tls-max', '1.0', '--ciphers', 'AES128-SHA:@SECLEVEL=0'],
      {
        protocol: 'TLSv1',
        cipher: 'TLS_RSA_WITH_AES_128_CBC_SHA',
        certificate: 'rsa',
        ja4: /^t10d\d{4}h1_/,
        alpn: 'http/1.1',
        http: 'HTTP/1.1',
      },
    ],
  ];
  test.each(cases)('%s', async (name, door, args, expected) => {
    const path = pathOf('curl', name);
    const result = await curl(
      '--cacert',
      doors.rootsFile,
      ...args,
      `https://${SERVER_NAME}:${doors.port(door)}${path}`,
    );
    expect(result).toMatchObject({
      exitCode: 0,
      status: 200,
      httpVersion: expected.http?.slice(5),
      body: PAGE,
      error: '',
    });
    const line = await expectServed(doors, door, path, expected);
    expect(line['httpRequest']).toMatchObject({ userAgent: expect.stringMatching(/^curl\//) });
  });

  const refused: readonly [string, readonly string[], number, Omit<Refused, 'door'>][] = [
    [
      'TLS 1.1',
      ['--tls-max', '1.1', '--tlsv1.1', '--ciphers', 'ALL:@SECLEVEL=0'],
      35,
      { reason: 'unsupported_version', side: 'proxy', ja4: /^t11d/ },
    ],
    [
      'TLS 1.2 with CBC',
      ['--tls-max', '1.2', '--ciphers', 'ECDHE-RSA-AES128-SHA'],
      35,
      { reason: 'no_shared_cipher', side: 'proxy', ja4: /^t12d/ },
    ],
    ['a root it does not know', [], 60, { reason: 'peer_alert_unknown_ca', side: 'client', ja4: /^t13d/ }],
  ];
  test.each(refused)('is refused, or refuses: %s', async (_name, args, exitCode, expected) => {
    const result = await curl(...args, `https://${SERVER_NAME}:${doors.port('restricted')}/refused`);
    expect(result).toMatchObject({ exitCode, status: 0, body: '' });
    await expectRefused(doors, { door: 'restricted', ...expected });
  });
});
