import fc from 'fast-check';
import type { ClientHello } from '#src/tls/client-hello.ts';
import { fingerprints } from '#src/tls/fingerprints.ts';
import { ja3 } from '#src/tls/ja3.ts';
import { ja4 } from '#src/tls/ja4.ts';
import { parsedHello } from './captured-hello.ts';
import { helloBytes } from './raw-hello.ts';

const HELLO = parsedHello(helloBytes({ suites: [0x1301, 0xc02b], versions: [0x0304, 0x0303] }));

test('`fingerprints()` keeps what it hashed for a hello with the same lists', () => {
  const first = fingerprints(HELLO);
  const again = fingerprints(parsedHello(helloBytes({ suites: [0x1301, 0xc02b], versions: [0x0304, 0x0303] })));
  expect(again).toBe(first);
});

test.each<[string, Partial<ClientHello>]>([
  ['the legacy version', { legacyVersion: 0x0302 }],
  ['the supported versions', { supportedVersions: [0x0303] }],
  ['no supported versions', { supportedVersions: null }],
  ['the order of the suites', { cipherSuites: [0xc02b, 0x1301] }],
  ['a suite more', { cipherSuites: [0x1301, 0xc02b, 0xc02f] }],
  ['the order of the extensions', { extensions: HELLO.extensions.toReversed() }],
  ['the groups', { groups: [0x0018] }],
  ['the point formats', { pointFormats: [1] }],
  ['the signature algorithms', { signatureAlgorithms: [0x0807] }],
  ['the first ALPN name', { alpn: ['h3'] }],
])('`fingerprints()` tells hellos apart by %s', (_what, part) => {
  const other = { ...HELLO, ...part };
  fingerprints(HELLO);
  expect(fingerprints(other)).toMatchObject({ ja3: ja3(other), ja4: ja4(other) });
  expect(fingerprints(HELLO)).toMatchObject({ ja3: ja3(HELLO), ja4: ja4(HELLO) });
});

test('`fingerprints()` gives what `ja3()` and `ja4()` give, whatever came before', () => {
  const few = fc.array(fc.constantFrom(0, 5, 10, 11, 13, 16, 0x1301, 0x1302), { maxLength: 4 });
  const lists = fc.record({
    legacyVersion: fc.constantFrom(0x0301, 0x0303),
    supportedVersions: fc.option(few),
    cipherSuites: few,
    extensions: few,
    groups: fc.option(few),
    pointFormats: fc.option(few),
    signatureAlgorithms: fc.option(few),
    alpn: fc.option(fc.array(fc.constantFrom('h2', 'http/1.1'), { minLength: 1, maxLength: 2 })),
  });
  fc.assert(
    fc.property(fc.array(lists, { minLength: 1, maxLength: 50 }), (hellos) => {
      for (const part of hellos) {
        const hello = { ...HELLO, ...part };
        expect(fingerprints(hello)).toMatchObject({ ja3: ja3(hello), ja4: ja4(hello) });
      }
    }),
  );
});

test('`fingerprints()` does not keep a hello of unusual size', () => {
  const large = { ...HELLO, cipherSuites: [0x1303], byteLength: 60_000 };
  expect(fingerprints(large)).not.toBe(fingerprints(large));
});
