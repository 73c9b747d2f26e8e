import fc from 'fast-check';
import type { CertificateEntry } from '#src/tls/certificate-entry.ts';
import { type ClientHello, HelloReader } from '#src/tls/client-hello.ts';
import { contextOptions } from '#src/tls/context-options.ts';
import { handshakeFailureReason } from '#src/tls/handshake-failure-reason.ts';
import { type NegotiationFailure, negotiate } from '#src/tls/negotiate.ts';
import { type EffectivePolicy, effectivePolicy, type SslPolicy } from '#src/tls/ssl-policy.ts';
import { VERSION_CODE } from '#src/tls/tls-version.ts';
import { entryFor } from './entries.ts';
import { helloBytes, type RawHello } from './raw-hello.ts';
import { rawHellos } from './raw-hello-arbitrary.ts';
import { Engine, type Flight } from './server-flight.ts';

// The model against the real thing: random hellos, written byte by byte, to node's own tls.Server under each policy and certificate.
// NEGOTIATE_RUNS=1500 explores with fresh seeds.
const RSA_ONLY = ['TLS_RSA_WITH_AES_128_CBC_SHA', 'TLS_RSA_WITH_AES_256_GCM_SHA384'];

describe('`negotiate()` predicts what OpenSSL does', () => {
  let entries: readonly CertificateEntry[];
  let successes = 0;
  beforeAll(async () => {
    entries = await Promise.all([entryFor('rsa', 'RSA'), entryFor('p256', 'P-256'), entryFor('p384', 'P-384')]);
  });

  test.each([
    ['no policy', null],
    ['COMPATIBLE 1.1', policy('COMPATIBLE', 'TLS_1_1')],
    ['COMPATIBLE 1.2, deferred', { ...policy('COMPATIBLE', 'TLS_1_2'), postQuantumKeyExchange: 'DEFERRED' as const }],
    ['MODERN 1.0', policy('MODERN', 'TLS_1_0')],
    ['MODERN 1.2', policy('MODERN', 'TLS_1_2')],
    ['RESTRICTED 1.0', policy('RESTRICTED', 'TLS_1_0')],
    ['RESTRICTED 1.3', policy('RESTRICTED', 'TLS_1_3')],
    ['FIPS_202205', policy('FIPS_202205', 'TLS_1_2')],
    ['CUSTOM, RSA key exchange only', policy('CUSTOM', 'TLS_1_0', RSA_ONLY)],
    ['CUSTOM, one ECDSA suite', policy('CUSTOM', 'TLS_1_0', ['TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA'])],
    ['CUSTOM, 3DES only', policy('CUSTOM', 'TLS_1_0', ['TLS_RSA_WITH_3DES_EDE_CBC_SHA'])],
  ])('under %s', async (_name, sslPolicy: SslPolicy | null) => {
    const effective = effectivePolicy(sslPolicy, NOW);
    for (const entry of entries) {
      const engine = await new Engine(contextOptions(effective, entry, null)).listen();
      try {
        await fc.assert(
          fc.asyncProperty(rawHellos, (raw) => agree(engine, raw, effective, entry)),
          SETTINGS,
        );
      } finally {
        await engine.close();
      }
    }
  });

  test('many of these handshakes succeed', () => {
    expect(successes).toBeGreaterThan(200);
  });

  async function agree(engine: Engine, raw: RawHello, effective: EffectivePolicy, entry: CertificateEntry) {
    const bytes = helloBytes(raw);
    const hello = parse(bytes);
    const flight = await engine.answer(bytes);
    const outcome = negotiate(hello, effective, entry);
    if (outcome.ok) {
      successes++;
      expect(flight).toEqual({
        kind: 'hello',
        version: VERSION_CODE[outcome.version],
        suite: outcome.suite.code,
        group: outcome.group?.code ?? null,
        // only TLS 1.2 shows it in the clear, and only where the server signs
        scheme: outcome.version === 'TLSv1.2' && outcome.group !== null ? outcome.scheme!.code : null,
        helloRetryRequest: outcome.helloRetryRequest,
        alpn: null,
      } satisfies Flight);
      return;
    }
    expect(flight.kind).toBe('alert');
    expect(REASONS_BY_CODE[engine.lastCode] ?? [engine.lastCode]).toContain(outcome.reason);
    const cause = { how: 'error', code: engine.lastCode } as const;
    expect(handshakeFailureReason(hello, effective, entry, cause).reason).toBe(outcome.reason);
  }
});

function parse(bytes: Buffer): ClientHello {
  const reader = new HelloReader();
  expect(reader.push(bytes)).toBe('hello');
  return reader.hello!;
}

function policy(
  profile: SslPolicy['profile'],
  minTlsVersion: SslPolicy['minTlsVersion'],
  customFeatures: readonly string[] = [],
): SslPolicy {
  return { profile, minTlsVersion, customFeatures, postQuantumKeyExchange: 'DEFAULT' };
}

const NOW = Date.UTC(2026, 10, 21);
const RUNS = process.env['NEGOTIATE_RUNS'];
const SETTINGS = RUNS === undefined ? { numRuns: 100, seed: 20261121 } : { numRuns: Number(RUNS) };

/** What each of OpenSSL's own words can mean. */
const REASONS_BY_CODE: Readonly<Record<string, readonly NegotiationFailure[]>> = {
  ERR_SSL_BAD_LEGACY_VERSION: ['unsupported_version'],
  ERR_SSL_INAPPROPRIATE_FALLBACK: ['unsupported_version'],
  ERR_SSL_UNSUPPORTED_PROTOCOL: ['unsupported_version'],
  ERR_SSL_VERSION_TOO_LOW: ['unsupported_version'],
  ERR_SSL_MISSING_SIGALGS_EXTENSION: ['malformed_hello'],
  ERR_SSL_MISSING_SUPPORTED_GROUPS_EXTENSION: ['malformed_hello'],
  ERR_SSL_NO_SUITABLE_KEY_SHARE: ['no_shared_group', 'malformed_hello'],
  ERR_SSL_NO_SHARED_CIPHER: [
    'no_shared_cipher',
    'no_shared_group',
    'no_shared_signature_algorithm',
    'certificate_key_type_mismatch',
  ],
  ERR_SSL_NO_SHARED_SIGNATURE_ALGORITHMS: [
    'no_shared_signature_algorithm',
    'no_shared_cipher',
    'certificate_key_type_mismatch',
  ],
  ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM: ['no_shared_signature_algorithm', 'certificate_key_type_mismatch'],
  ERR_SSL_WRONG_SIGNATURE_TYPE: ['no_shared_signature_algorithm'],
};
