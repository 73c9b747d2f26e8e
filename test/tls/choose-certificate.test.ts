import type { AddressInfo } from 'node:net';
import { type ConnectionOptions, connect, createServer } from 'node:tls';
import type { CertificateEntry, KeyType } from '#src/tls/certificate-entry.ts';
import { chooseCertificate, matchOf } from '#src/tls/choose-certificate.ts';
import type { ClientHello } from '#src/tls/client-hello.ts';
import { contextOptions } from '#src/tls/context-options.ts';
import { negotiate } from '#src/tls/negotiate.ts';
import { type EffectivePolicy, effectivePolicy, type SslPolicy } from '#src/tls/ssl-policy.ts';
import { captureHello, parsedHello } from './captured-hello.ts';
import { entryFor } from './entries.ts';
import { helloBytes, type RawHello } from './raw-hello.ts';

const NOW = Date.UTC(2026, 10, 21);
const MODERN = policyOf({ profile: 'MODERN', minTlsVersion: 'TLS_1_2' });
const DAY_MS = 86_400_000;

describe('`matchOf()`', () => {
  const entry = certificate('a', 'RSA', ['pets.example', '*.pets.example']);
  test.each([
    ['pets.example', 'exact'],
    ['cats.pets.example', 'wildcard'],
    ['a.cats.pets.example', null],
    ['xpets.example', null],
    ['example', null],
    ['.pets.example', null],
    ['*.pets.example', 'exact'],
    ['cats.pets.example2', null],
  ] as const)('meets %s: %s', (name, match) => {
    expect(matchOf(entry, name)).toBe(match);
  });
});

describe('`chooseCertificate()`, list mode (spec 10.5)', () => {
  test('with one certificate takes it, whatever the client can do', () => {
    const only = certificate('only', 'P-384', ['a.test']);
    expect(chosen([only], { serverName: 'other.test', schemes: [0x0804] })).toBe('only');
    expect(chosen([only], { legacyVersion: 0x0301, versions: null })).toBe('only');
  });

  test('takes the longest match: exact over wildcard, before validity, key type and order', () => {
    const entries = [
      certificate('wildcard', 'P-256', ['*.a.test']),
      { ...certificate('exact, expired, RSA', 'RSA', ['x.a.test']), notAfterMs: NOW - DAY_MS },
    ];
    expect(chosen(entries, { serverName: 'x.a.test' })).toBe('exact, expired, RSA');
    expect(chosen(entries, { serverName: 'y.a.test' })).toBe('wildcard');
  });

  test('then takes one inside its validity over one that is not, before the key type', () => {
    const entries = [
      { ...certificate('expired', 'P-256', ['a.test']), notAfterMs: NOW - 1 },
      { ...certificate('not yet valid', 'P-256', ['a.test']), notBeforeMs: NOW + 1 },
      certificate('valid RSA', 'RSA', ['a.test']),
    ];
    expect(chosen(entries, { serverName: 'a.test' })).toBe('valid RSA');
    expect(chosen(entries.slice(0, 2), { serverName: 'a.test' })).toBe('expired'); // list order; an expired one is still served
  });

  test('then takes ECDSA over RSA, then the order of the list', () => {
    const entries = [
      certificate('rsa', 'RSA', ['a.test']),
      certificate('p384', 'P-384', ['a.test']),
      certificate('p256', 'P-256', ['a.test']),
    ];
    expect(chosen(entries, { serverName: 'a.test' })).toBe('p384');
    expect(chosen(entries.toReversed(), { serverName: 'a.test' })).toBe('p256');
  });

  test('keeps only what the client can use on TLS 1.3: P-384 needs ecdsa_secp384r1_sha384', () => {
    const entries = [
      certificate('p384', 'P-384', ['a.test']),
      certificate('p256', 'P-256', ['a.test']),
      certificate('rsa', 'RSA', ['a.test']),
    ];
    expect(chosen(entries, { serverName: 'a.test', schemes: [0x0403, 0x0804] })).toBe('p256');
    expect(chosen(entries, { serverName: 'a.test', schemes: [0x0804] })).toBe('rsa');
    expect(chosen(entries, { serverName: 'a.test', schemes: [0x0503, 0x0403] })).toBe('p384');
  });

  test('keeps only what the client can use on TLS 1.2: suite of the key type, signature algorithm, curve in supported_groups', () => {
    const entries = [certificate('p256', 'P-256', ['a.test']), certificate('rsa', 'RSA', ['a.test'])];
    const tls12 = { serverName: 'a.test', versions: null };
    expect(chosen(entries, tls12)).toBe('p256');
    expect(chosen(entries, { ...tls12, suites: [0xc02f] })).toBe('rsa');
    expect(chosen(entries, { ...tls12, schemes: [0x0804] })).toBe('rsa');
    expect(chosen(entries, { ...tls12, groups: [0x001d] })).toBe('rsa'); // no P-256 there
  });

  test('lets the handshake fail, with the reason, when matches exist but none fits the client', () => {
    const entries = [
      certificate('default', 'RSA', ['other.test']),
      certificate('match', 'P-256', ['a.test']),
      certificate('match2', 'P-384', ['a.test']),
    ];
    const choice = choose(entries, { serverName: 'a.test', schemes: [0x0804] });
    expect(choice).toMatchObject({ entry: null, reason: 'certificate_key_type_mismatch' });
  });

  test('names what is wrong with the certificate whose key type fits, not that another has the wrong one', () => {
    const entries = [certificate('ecdsa', 'P-256', ['a.test']), certificate('rsa', 'RSA', ['a.test'])];
    // TLS 1.2, ECDHE-RSA only, RSA PKCS #1 with SHA-1 only: the key type of `rsa` is right, its signature cannot be
    const hello = { versions: null, legacyVersion: 0x0303, suites: [0xc02f], schemes: [0x0201] };
    for (const list of [entries, entries.toReversed()]) {
      for (const serverName of ['a.test', null]) {
        expect(choose(list, { ...hello, serverName })).toMatchObject({
          entry: null,
          reason: 'no_shared_signature_algorithm',
        });
      }
    }
  });

  test('without SNI, or without a match, takes the first of the list', () => {
    const entries = [certificate('first', 'RSA', ['a.test']), certificate('second', 'P-256', ['a.test'])];
    expect(chosen(entries, { serverName: null })).toBe('first');
    expect(chosen(entries, { serverName: 'b.test' })).toBe('first');
    expect(chosen(entries, { serverName: '10.0.0.1' })).toBe('first');
  });

  test('takes the first usable one with the same DNS names when the client cannot use the default', () => {
    const entries = [
      certificate('first', 'P-256', ['a.test', 'b.test']),
      certificate('others', 'RSA', ['a.test']),
      certificate('same names, same key', 'P-256', ['b.test', 'a.test']),
      certificate('same names', 'RSA', ['b.test', 'a.test']),
    ];
    expect(chosen(entries, { serverName: null, schemes: [0x0804] })).toBe('same names');
    expect(choose(entries.slice(0, 3), { serverName: 'c.test', schemes: [0x0804] })).toMatchObject({
      entry: null,
      reason: 'certificate_key_type_mismatch',
    });
  });

  test('has no certificate for a version outside the policy', () => {
    const entries = [certificate('rsa', 'RSA', ['a.test']), certificate('p256', 'P-256', ['a.test'])];
    const choice = choose(entries, { serverName: 'a.test', legacyVersion: 0x0302, versions: null });
    expect(choice).toMatchObject({ entry: null, reason: 'unsupported_version' });
  });

  test('tells each step when asked, and decides the same', () => {
    const entries = [
      certificate('rsa', 'RSA', ['a.test']),
      certificate('p384', 'P-384', ['a.test']),
      certificate('other', 'P-256', ['b.test']),
    ];
    const steps: string[] = [];
    const hello = helloOf({ serverName: 'a.test', schemes: [0x0403, 0x0804] });
    expect(chooseCertificate(hello, MODERN, entries, NOW, steps)).toEqual(
      chooseCertificate(hello, MODERN, entries, NOW),
    );
    expect(steps).toEqual([
      'rsa matches a.test (exact)',
      'p384 matches a.test (exact)',
      'other does not match a.test',
      'rsa can be used: TLSv1.3 TLS_AES_128_GCM_SHA256; exact match, valid now, RSA',
      'p384 cannot be used with this client: no_shared_signature_algorithm (no signature algorithm in common fits the P-384 certificate)',
      'rsa is served',
    ]);
  });

  test('says how the SNI was met', () => {
    const entries = [certificate('a', 'RSA', ['*.a.test']), certificate('b', 'RSA', ['b.test'])];
    expect(choose(entries, { serverName: 'x.a.test' })).toMatchObject({ match: 'wildcard' });
    expect(choose(entries, { serverName: 'b.test' })).toMatchObject({ match: 'exact' });
    expect(choose(entries, { serverName: 'c.test' })).toMatchObject({ match: 'default' });
  });
});

// The whole decision against the real thing: node's own client and server, the engine of the chosen certificate.
describe('`chooseCertificate()` and `negotiate()` agree with real handshakes', () => {
  const clients: readonly (readonly [string, ConnectionOptions])[] = [
    ['current', {}],
    ['TLS 1.3 with RSA schemes only', { sigalgs: 'rsa_pss_rsae_sha256', minVersion: 'TLSv1.3' }],
    ['TLS 1.3 without P-384', { sigalgs: 'ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256', minVersion: 'TLSv1.3' }],
    ['TLS 1.3 with P-256 only', { ecdhCurve: 'P-256', minVersion: 'TLSv1.3' }],
    ['TLS 1.3 with P-521 only', { ecdhCurve: 'P-521', minVersion: 'TLSv1.3' }],
    ['TLS 1.3 with ChaCha20 only', { ciphers: 'TLS_CHACHA20_POLY1305_SHA256' }],
    ['TLS 1.2', { maxVersion: 'TLSv1.2' }],
    ['TLS 1.2 with RSA suites only', { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES256-GCM-SHA384:AES128-SHA' }],
    ['TLS 1.2 with X25519 only', { maxVersion: 'TLSv1.2', ecdhCurve: 'X25519' }],
    ['TLS 1.2 with key exchange by RSA', { maxVersion: 'TLSv1.2', ciphers: 'AES256-GCM-SHA384' }],
    ['TLS 1.2 with CBC', { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES128-SHA' }],
    ['TLS 1.1', { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }],
    [
      'TLS 1.0 with key exchange by RSA',
      { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'AES128-SHA:@SECLEVEL=0' },
    ],
  ];
  const policies: readonly (readonly [string, EffectivePolicy])[] = [
    ['no policy', effectivePolicy(null, NOW)],
    ['MODERN', MODERN],
    ['RESTRICTED 1.3', policyOf({ profile: 'RESTRICTED', minTlsVersion: 'TLS_1_3' })],
    ['FIPS_202205', policyOf({ profile: 'FIPS_202205', minTlsVersion: 'TLS_1_2' })],
  ];
  let real: readonly CertificateEntry[];
  beforeAll(async () => {
    real = await Promise.all([
      entryFor('rsa', 'RSA', ['a.test']),
      entryFor('p384', 'P-384', ['a.test']),
      entryFor('p256', 'P-256', ['a.test', '*.a.test']),
    ]);
  });

  test.each(policies)('under %s', async (_name, policy) => {
    for (const [client, options] of clients) {
      for (const serverName of ['a.test', 'x.a.test', 'b.test']) {
        const hello = parsedHello(await captureHello({ ...options, servername: serverName }));
        const choice = chooseCertificate(hello, policy, real, NOW);
        // a refusal is checked with every certificate that matches: OpenSSL must refuse them too
        const served =
          choice.entry === null ? real.filter((entry) => matchOf(entry, serverName) !== null) : [choice.entry];
        for (const entry of served.length === 0 ? real.slice(0, 1) : served) {
          const outcome = negotiate(hello, policy, entry);
          const expected = outcome.ok
            ? {
                protocol: outcome.version,
                cipher: outcome.suite.name,
                subject: `CN=${entry.name}`,
                group: outcome.group?.name ?? null,
              }
            : null;
          expect([client, serverName, await handshake(policy, entry, { ...options, servername: serverName })]).toEqual([
            client,
            serverName,
            expected,
          ]);
          if (choice.entry === null) expect(outcome.ok).toBe(false);
        }
      }
    }
  });
});

/** null: it failed. */
async function handshake(policy: EffectivePolicy, entry: CertificateEntry, options: ConnectionOptions) {
  const server = createServer(contextOptions(policy, entry, null), (socket) => socket.on('error', () => {}));
  server.on('tlsClientError', () => {});
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  try {
    return await new Promise((done) => {
      const client = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
      client.on('error', () => done(null));
      client.on('secureConnect', () => {
        const { name } = client.getEphemeralKeyInfo() as { name?: string };
        done({
          protocol: client.getProtocol(),
          cipher: client.getCipher().standardName,
          subject: client.getPeerX509Certificate()?.subject,
          group: name === undefined ? null : (GROUP_NAMES[name] ?? name),
        });
        client.destroy();
      });
    });
  } finally {
    server.close();
  }
}

function chosen(entries: readonly CertificateEntry[], hello: Partial<RawHello>): string | null {
  return choose(entries, hello).entry?.name ?? null;
}

function choose(entries: readonly CertificateEntry[], hello: Partial<RawHello>) {
  return chooseCertificate(helloOf(hello), MODERN, entries, NOW);
}

function helloOf(part: Partial<RawHello>): ClientHello {
  return parsedHello(
    helloBytes({
      versions: [0x0304, 0x0303],
      suites: [0x1301, 0xc02b, 0xc02f],
      groups: [0x001d, 0x0017, 0x0018],
      keyShares: [0x001d],
      schemes: [0x0403, 0x0503, 0x0804, 0x0401],
      ...part,
    }),
  );
}

/** Without a key: for decisions that no handshake follows. */
function certificate(name: string, keyType: KeyType, hostNames: readonly string[]): CertificateEntry {
  return {
    name,
    keyType,
    keyBits: 256,
    hostNames,
    notBeforeMs: 0,
    notAfterMs: NOW + DAY_MS,
    certificatePem: '',
    privateKeyPem: '',
  };
}

function policyOf(part: Pick<SslPolicy, 'profile' | 'minTlsVersion'>): EffectivePolicy {
  return effectivePolicy({ customFeatures: [], postQuantumKeyExchange: 'DEFAULT', ...part }, NOW);
}

const GROUP_NAMES: Readonly<Record<string, string>> = {
  prime256v1: 'P-256',
  secp256r1: 'P-256',
  secp384r1: 'P-384',
  x25519: 'X25519',
};
