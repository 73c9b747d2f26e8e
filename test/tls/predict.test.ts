import type { CertificateEntry } from '#src/tls/certificate-entry.ts';
import { type ClientPreset, findClientPreset, presetHello } from '#src/tls/client-presets.ts';
import { contextOptions } from '#src/tls/context-options.ts';
import { predict } from '#src/tls/predict.ts';
import { effectivePolicy, type SslPolicy } from '#src/tls/ssl-policy.ts';
import { parsedHello } from './captured-hello.ts';
import { entryFor } from './entries.ts';
import { helloBytes } from './raw-hello.ts';
import { Engine } from './server-flight.ts';

const NOW = Date.UTC(2026, 10, 21);
const modern = policy('MODERN', 'TLS_1_2');
let rsa: CertificateEntry;
let ecdsa: CertificateEntry;
beforeAll(async () => {
  rsa = await entryFor('rsa', 'RSA');
  ecdsa = await entryFor('ecdsa', 'P-256');
});

test('`predict()` gives certificate, terms and ALPN of a handshake, and the steps on request', () => {
  const hello = presetHello(findClientPreset('chromium') as ClientPreset, 'example.test');
  const steps: string[] = [];
  expect(predict(hello, modern, [rsa, ecdsa], NOW, steps)).toMatchObject({
    ok: true,
    certificate: ecdsa,
    match: 'exact',
    version: 'TLSv1.3',
    group: { name: 'X25519MLKEM768' },
    alpn: 'h2',
  });
  expect(steps.at(-1)).toBe('ecdsa is served');
});

test('`predict()` says HTTP/1.1 over suites that HTTP/2 forbids', () => {
  const hello = parsedHello(
    helloBytes({ suites: [0xc013], groups: [0x0017], schemes: [0x0401], alpn: ['h2', 'http/1.1'] }),
  );
  expect(predict(hello, modern, [rsa], NOW)).toMatchObject({ ok: true, alpn: 'http/1.1' });
  expect(predict({ ...hello, alpn: null }, modern, [rsa], NOW)).toMatchObject({ ok: true, alpn: 'none' });
});

test('`predict()` fails where nothing in ALPN is spoken here, as OpenSSL does', async () => {
  const alpn = ['spdy/3.1', '\x9b[2J', 'x'.repeat(100)];
  const bytes = helloBytes({ suites: [0xc02f], groups: [0x0017], schemes: [0x0401], alpn });
  const prediction = predict(parsedHello(bytes), modern, [rsa], NOW);
  expect(prediction).toMatchObject({ ok: false, reason: 'alpn_mismatch', certificate: rsa });
  const { detail } = prediction as { detail: string };
  expect(detail).toBe(`the client offers 'spdy/3.1', '?[2J', '${'x'.repeat(32)}', the proxy speaks h2 and http/1.1`);
  const engine = await new Engine({ ...contextOptions(modern, rsa, null), ALPNCallback: () => undefined }).listen();
  expect(await engine.answer(bytes)).toEqual({ kind: 'alert', description: 120 });
  await engine.close();
});

test('`predict()` tells a refused choice from a certificate that OpenSSL will refuse', () => {
  const old = presetHello(findClientPreset('java-7') as ClientPreset, 'example.test');
  expect(predict(old, modern, [rsa, ecdsa], NOW)).toMatchObject({ reason: 'unsupported_version', certificate: null });
  expect(predict(old, modern, [rsa], NOW)).toMatchObject({ reason: 'unsupported_version', certificate: rsa });
});

function policy(profile: SslPolicy['profile'], minTlsVersion: SslPolicy['minTlsVersion']) {
  return effectivePolicy({ profile, minTlsVersion, customFeatures: [], postQuantumKeyExchange: 'DEFAULT' }, NOW);
}
