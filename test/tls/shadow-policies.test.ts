import type { CertificateEntry } from '#src/tls/certificate-entry.ts';
import { type ClientPreset, clientPresets, findClientPreset, presetHello } from '#src/tls/client-presets.ts';
import { predict } from '#src/tls/predict.ts';
import { shadowVerdicts } from '#src/tls/shadow-policies.ts';
import { effectivePolicy, type SslPolicy } from '#src/tls/ssl-policy.ts';
import { entryFor } from './entries.ts';

const NOW = Date.UTC(2026, 10, 21);
const RESTRICTED = policy('restricted', 'RESTRICTED', 'TLS_1_2');
const TLS13 = policy('tls13', 'RESTRICTED', 'TLS_1_3');
let certificates: readonly CertificateEntry[];
beforeAll(async () => {
  certificates = [await entryFor('ecdsa', 'P-256'), await entryFor('rsa', 'RSA')];
});

test('`shadowVerdicts()` says of each policy what `predict()` says', () => {
  for (const preset of clientPresets()) {
    const hello = presetHello(preset, 'example.test');
    const verdicts = shadowVerdicts(hello, [RESTRICTED, TLS13], certificates, NOW);
    expect(verdicts.map((verdict) => verdict.policy)).toEqual(['restricted', 'tls13']);
    for (const [i, each] of [RESTRICTED, TLS13].entries()) {
      const prediction = predict(hello, each, certificates, NOW);
      expect(verdicts[i]!.refusal).toEqual(prediction.ok ? null : prediction);
    }
  }
});

test('`shadowVerdicts()` gives the reason for a client that would be lost', () => {
  const java8 = presetHello(findClientPreset('java-8') as ClientPreset, 'example.test');
  expect(shadowVerdicts(java8, [RESTRICTED, TLS13], certificates, NOW)).toMatchObject([
    { policy: 'restricted', refusal: null },
    { policy: 'tls13', refusal: { reason: 'unsupported_version' } },
  ]);
});

test('`shadowVerdicts()` makes nothing where there are no policies', () => {
  const hello = presetHello(findClientPreset('chromium') as ClientPreset, 'example.test');
  expect(shadowVerdicts(hello, [], certificates, NOW)).toBe(shadowVerdicts(hello, [], certificates, NOW));
});

function policy(name: string, profile: SslPolicy['profile'], minTlsVersion: SslPolicy['minTlsVersion']) {
  return effectivePolicy({ name, profile, minTlsVersion, customFeatures: [], postQuantumKeyExchange: 'DEFAULT' }, NOW);
}
