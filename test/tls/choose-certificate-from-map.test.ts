import type { CertificateEntry, KeyType } from '#src/tls/certificate-entry.ts';
import { CertificateMap, type CertificateMapEntry } from '#src/tls/certificate-map.ts';
import { chooseCertificateFromMap } from '#src/tls/choose-certificate-from-map.ts';
import { effectivePolicy } from '#src/tls/ssl-policy.ts';
import { parsedHello } from './captured-hello.ts';
import { helloBytes, type RawHello } from './raw-hello.ts';

const NOW = Date.UTC(2026, 10, 21);
const MODERN = effectivePolicy(
  { profile: 'MODERN', minTlsVersion: 'TLS_1_2', customFeatures: [], postQuantumKeyExchange: 'DEFAULT' },
  NOW,
);
const RSA_ONLY = { suites: [0x1301, 0xc02f], schemes: [0x0804, 0x0401] };
const SITE = entry('site', 'pets.example', [certificate('site', 'P-256')]);
const WILDCARD = entry('wildcard', '*.pets.example', [certificate('wildcard', 'P-256')]);
const PRIMARY = entry('primary', null, [certificate('primary', 'P-256')]);

describe('`chooseCertificateFromMap()` (spec 5.2 and 10.6)', () => {
  test.each([
    ['pets.example', 'site', 'exact'],
    ['cats.pets.example', 'wildcard', 'wildcard'],
    ['a.cats.pets.example', 'primary', 'default'], // a wildcard stands for one label
    ['other.example', 'primary', 'default'],
    [null, 'primary', 'default'],
  ] as const)('serves %s by %s', (serverName, expected, match) => {
    const choice = choose([PRIMARY, WILDCARD, SITE], serverName === null ? {} : { serverName });
    expect(choice).toMatchObject({ entry: { name: expected }, match });
  });

  test('an exact entry wins over a wildcard that fits too', () => {
    const exact = entry('cats', 'cats.pets.example', [certificate('cats', 'P-256')]);
    expect(choose([WILDCARD, exact], { serverName: 'cats.pets.example' })).toMatchObject({ match: 'exact' });
  });

  test.each([
    [{ serverName: 'other.example' }, 'certificate map m has no entry for the name and no PRIMARY one'],
    [{}, 'the client sent no SNI and certificate map m has no PRIMARY entry'],
  ])('fails with sni_unknown when nothing is left', (hello, detail) => {
    expect(choose([SITE, WILDCARD], hello)).toEqual({ entry: null, reason: 'sni_unknown', detail });
  });

  test('within an entry takes ECDSA where the client can, then the smaller chain, then list order', () => {
    const small = certificate('rsa small', 'RSA', 'x'.repeat(100));
    const large = certificate('rsa large', 'RSA', 'x'.repeat(200));
    const ecdsa = certificate('ecdsa', 'P-256', 'x'.repeat(300));
    const twin = certificate('ecdsa twin', 'P-256', 'x'.repeat(300));
    const entries = [entry('e', 'pets.example', [large, small, ecdsa, twin])];
    expect(choose(entries, { serverName: 'pets.example' })).toMatchObject({ entry: { name: 'ecdsa' } });
    const old = choose(entries, { serverName: 'pets.example', ...RSA_ONLY });
    expect(old).toMatchObject({ entry: { name: 'rsa small' } });
  });

  test('an entry whose certificates do not fit the client never falls back to another entry', () => {
    const curves = [certificate('p256', 'P-256'), certificate('p384', 'P-384')];
    const primary = entry('primary', null, [certificate('rsa', 'RSA'), certificate('rsa2', 'RSA')]);
    const choice = choose([entry('e', 'pets.example', curves), primary], { serverName: 'pets.example', ...RSA_ONLY });
    expect(choice).toMatchObject({ entry: null, reason: 'certificate_key_type_mismatch' });
  });

  test('does not look at validity (spec 5.1)', () => {
    const expired = { ...certificate('expired', 'P-256', 'x'), notAfterMs: NOW - 1 };
    const entries = [entry('e', 'pets.example', [certificate('valid', 'P-256', 'xx'), expired])];
    expect(choose(entries, { serverName: 'pets.example' })).toMatchObject({ entry: { name: 'expired' } });
  });

  test('says each step, and decides the same with and without saying it', () => {
    const map = new CertificateMap('m', [PRIMARY, WILDCARD]);
    const hello = helloOf({ serverName: 'cats.pets.example' });
    const steps: string[] = [];
    expect(chooseCertificateFromMap(hello, MODERN, map, steps)).toEqual(chooseCertificateFromMap(hello, MODERN, map));
    expect(steps).toEqual([
      'no entry of certificate map m is for cats.pets.example itself',
      'entry wildcard is for *.pets.example, which covers it (one label)',
      'wildcard is the only certificate of the entry: it is served, and OpenSSL says no if it must',
    ]);
    steps.length = 0;
    chooseCertificateFromMap(helloOf({}), MODERN, new CertificateMap('m', [WILDCARD]), steps);
    expect(steps).toEqual([
      'no SNI: only the PRIMARY entry of certificate map m can serve',
      'there is no PRIMARY entry',
      'nothing is left: the handshake fails',
    ]);
  });
});

function choose(entries: readonly CertificateMapEntry[], hello: Partial<RawHello>) {
  return chooseCertificateFromMap(helloOf(hello), MODERN, new CertificateMap('m', entries));
}

function helloOf(part: Partial<RawHello>) {
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

function entry(name: string, hostname: string | null, certificates: readonly CertificateEntry[]): CertificateMapEntry {
  return { name, hostname, certificates };
}

/** Without a key: for decisions that no handshake follows. */
function certificate(name: string, keyType: KeyType, certificatePem = ''): CertificateEntry {
  return {
    name,
    keyType,
    keyBits: 256,
    hostNames: [],
    notBeforeMs: 0,
    notAfterMs: Date.UTC(2100, 0, 1),
    certificatePem,
    privateKeyPem: '',
  };
}
