import type { ClientHello } from '#src/tls/client-hello.ts';
import { type ClientPreset, clientPresets, findClientPreset, presetHello } from '#src/tls/client-presets.ts';
import { HELLO_FEATURES, helloFeatures } from '#src/tls/hello-features.ts';
import { negotiate } from '#src/tls/negotiate.ts';
import { effectivePolicy } from '#src/tls/ssl-policy.ts';
import { parsedHello } from './captured-hello.ts';
import { helloBytes, type RawHello } from './raw-hello.ts';

const NOW = Date.UTC(2026, 10, 21);

function featuresOf(hello: ClientHello): string[] {
  const bits = helloFeatures(hello);
  return HELLO_FEATURES.filter((_feature, i) => (bits & (1 << i)) !== 0);
}

function offered(raw: RawHello): string[] {
  return featuresOf(parsedHello(helloBytes(raw)));
}

test('`helloFeatures()` finds what a modern browser offers', () => {
  const hello = presetHello(findClientPreset('chromium') as ClientPreset, 'example.test');
  expect(featuresOf(hello)).toEqual([
    'tls13',
    'tls12',
    'x25519mlkem768',
    'x25519mlkem768_keyshare',
    'ecdsa_certificates',
    'alpn_h2',
    'alpn_http11',
    'session_ticket',
    'sni',
  ]);
});

test('`helloFeatures()` counts without supported_versions the one version that the hello names', () => {
  expect(offered({ legacyVersion: 0x0301, suites: [0x002f] })).toEqual(['tls10']);
  expect(offered({ legacyVersion: 0x0302, suites: [0x002f] })).toEqual(['tls11']);
  expect(offered({ legacyVersion: 0x0303, suites: [0x002f] })).toEqual(['tls12']);
  // 0x0304 in the wrong field is not TLS 1.3
  expect(offered({ legacyVersion: 0x0304, suites: [0x1301] })).toEqual(['tls12']);
  expect(offered({ legacyVersion: 0x0303, suites: [0x1301], versions: [0x0304] })).toEqual(['tls13']);
});

test('`helloFeatures()` tells an offered group from one with a key share', () => {
  const hello = { suites: [0x1301], versions: [0x0304], groups: [0x11ec, 0x001d] };
  expect(offered({ ...hello, keyShares: [0x001d] })).toEqual(['tls13', 'x25519mlkem768']);
  expect(offered({ ...hello, keyShares: [0x11ec] })).toEqual(['tls13', 'x25519mlkem768', 'x25519mlkem768_keyshare']);
});

test('`helloFeatures()` tells a preference for ChaCha20 from nothing but ChaCha20', () => {
  const versions = [0x0303];
  expect(offered({ versions, suites: [0xc02f, 0xcca8] })).toEqual(['tls12']);
  expect(offered({ versions, suites: [0xcca8, 0xc02f] })).toEqual(['tls12', 'chacha20_first']);
  expect(offered({ versions, suites: [0xcca8, 0x00ff, 0x5600] })).toEqual(['tls12', 'chacha20_first', 'chacha20_only']);
});

test('`helloFeatures()` counts ALPN, SNI and a pre-shared key', () => {
  const base = { suites: [0x1301], versions: [0x0304] };
  expect(offered({ ...base, alpn: ['h2'], serverName: 'a.test' })).toEqual(['tls13', 'alpn_h2', 'sni']);
  expect(offered({ ...base, alpn: ['http/1.1', 'spdy/3.1'] })).toEqual(['tls13', 'alpn_http11']);
  const hello = parsedHello(helloBytes(base));
  expect(featuresOf({ ...hello, hasPreSharedKey: true, extensions: [35] })).toEqual(['tls13', 'session_ticket', 'psk']);
});

test.each(clientPresets().map((preset) => [preset.name, preset] as const))(
  '`ecdsa_certificates` is what negotiation says of %s',
  (_name, preset) => {
    const hello = { ...presetHello(preset, 'example.test'), signatureAlgorithmsCert: null };
    const takesEcdsa = (['P-256', 'P-384'] as const).some((keyType) => {
      return negotiate(hello, effectivePolicy(null, NOW), { keyType, certificatePem: '' }).ok;
    });
    expect(featuresOf(hello).includes('ecdsa_certificates')).toBe(takesEcdsa);
  },
);
