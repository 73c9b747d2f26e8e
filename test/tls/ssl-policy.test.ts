import { effectivePolicy, type SslPolicy } from '#src/tls/ssl-policy.ts';

const NOW = Date.UTC(2026, 10, 21);

describe('`effectivePolicy()`', () => {
  test('is COMPATIBLE with TLS 1.0 and a warning when no policy is attached (spec 10.2)', () => {
    const policy = effectivePolicy(null, NOW);
    expect(policy).toMatchObject({ name: null, profile: 'COMPATIBLE', minVersion: 'TLSv1', maxVersion: 'TLSv1.3' });
    expect(policy.suites).toHaveLength(14);
    expect(codes(policy)).toEqual(['NO_POLICY_ATTACHED', 'FEATURE_UNAVAILABLE']);
    expect(policy.warnings[0]!.message).toContain('MODERN');
    expect(policy.warnings[0]!.message).toContain('TLS_1_2');
  });

  test.each([
    ['COMPATIBLE', 'TLS_1_0', 'TLSv1'],
    ['COMPATIBLE', 'TLS_1_1', 'TLSv1.1'],
    ['COMPATIBLE', 'TLS_1_2', 'TLSv1.2'],
    ['MODERN', 'TLS_1_0', 'TLSv1'],
    ['MODERN', 'TLS_1_2', 'TLSv1.2'],
    ['RESTRICTED', 'TLS_1_0', 'TLSv1.2'],
    ['RESTRICTED', 'TLS_1_1', 'TLSv1.2'],
    ['RESTRICTED', 'TLS_1_2', 'TLSv1.2'],
    ['RESTRICTED', 'TLS_1_3', 'TLSv1.3'],
    ['FIPS_202205', 'TLS_1_2', 'TLSv1.2'],
  ] as const)('lets %s with minimum %s do %s at the oldest', (profile, minTlsVersion, minVersion) => {
    const policy = effectivePolicy(policyOf({ profile, minTlsVersion }), NOW);
    expect(policy.minVersion).toBe(minVersion);
    const wanted = minTlsVersion.replace('TLS_1_', 'TLSv1.').replace('.0', '');
    expect(codes(policy).includes('VERSION_NOT_USABLE')).toBe(wanted !== minVersion);
    expect(codes(policy).includes('WEAK_MINIMUM_VERSION')).toBe(minVersion === 'TLSv1' || minVersion === 'TLSv1.1');
  });

  test('leaves 3DES out of enabledFeatures and says so, in COMPATIBLE and in CUSTOM (spec 10.1)', () => {
    const compatible = effectivePolicy(policyOf({ profile: 'COMPATIBLE', minTlsVersion: 'TLS_1_2' }), NOW);
    expect(compatible.enabledFeatures).toHaveLength(14);
    expect(compatible.enabledFeatures).not.toContain(TRIPLE_DES);
    expect(compatible.warnings.map(({ message }) => message).join()).toContain('DES-CBC3-SHA');
    const custom = effectivePolicy(
      policyOf({
        profile: 'CUSTOM',
        minTlsVersion: 'TLS_1_2',
        customFeatures: [TRIPLE_DES, 'TLS_RSA_WITH_AES_128_GCM_SHA256'],
      }),
      NOW,
    );
    expect(custom.enabledFeatures).toEqual(['TLS_RSA_WITH_AES_128_GCM_SHA256']);
    expect(codes(custom)).toEqual(['FEATURE_UNAVAILABLE']);
  });

  test('leaves only TLS 1.3 when a CUSTOM policy names nothing but 3DES, and says so', () => {
    const policy = effectivePolicy(policyOf({ profile: 'CUSTOM', customFeatures: [TRIPLE_DES] }), NOW);
    expect(policy).toMatchObject({ minVersion: 'TLSv1.3', suites: [], enabledFeatures: [] });
    expect(codes(policy)).toEqual(['FEATURE_UNAVAILABLE', 'NO_TLS12_SUITE']);
  });

  test('lets CUSTOM have exactly its features, in table order, and never touches TLS 1.3 (spec 1.1)', () => {
    const features = ['TLS_RSA_WITH_AES_256_CBC_SHA', 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256'];
    const policy = effectivePolicy(policyOf({ profile: 'CUSTOM', customFeatures: features }), NOW);
    expect(policy.enabledFeatures).toEqual(features.toReversed());
    expect(policy.minVersion).toBe('TLSv1');
    expect(policy.tls13Suites.map(({ name }) => name)).toEqual([
      'TLS_AES_128_GCM_SHA256',
      'TLS_AES_256_GCM_SHA384',
      'TLS_CHACHA20_POLY1305_SHA256',
    ]);
  });

  test('restricts FIPS_202205 to P-256 and P-384, two TLS 1.3 suites and its signature schemes (spec 1.5)', () => {
    const policy = effectivePolicy(policyOf({ profile: 'FIPS_202205', postQuantumKeyExchange: 'ENABLED' }), NOW);
    expect(policy.groups.map(({ name }) => name)).toEqual(['P-256', 'P-384']);
    expect(policy.tls13Suites.map(({ name }) => name)).toEqual(['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384']);
    expect(policy.signatureSchemes.map(({ name }) => name).sort((a, b) => (a < b ? -1 : 1))).toEqual([
      'ecdsa_secp256r1_sha256',
      'ecdsa_secp384r1_sha384',
      'rsa_pkcs1_sha256',
      'rsa_pkcs1_sha384',
      'rsa_pkcs1_sha512',
      'rsa_pss_rsae_sha256',
      'rsa_pss_rsae_sha384',
      'rsa_pss_rsae_sha512',
    ]);
  });

  test.each([
    ['DEFAULT', NOW, true],
    ['ENABLED', NOW, true],
    ['DEFERRED', NOW, false],
    ['DEFERRED', Date.UTC(2027, 8, 30, 23, 59, 59), false],
    ['DEFERRED', Date.UTC(2027, 9, 1), true],
  ] as const)(
    'with postQuantumKeyExchange %s at %d offers X25519MLKEM768 first: %s (spec 10.3)',
    (postQuantumKeyExchange, nowMs, first) => {
      const names = effectivePolicy(policyOf({ postQuantumKeyExchange }), nowMs).groups.map(({ name }) => name);
      expect(names).toEqual([...(first ? ['X25519MLKEM768'] : []), 'X25519', 'P-256', 'P-384']);
    },
  );

  test('prefers ephemeral AEAD suites and never names SHA-1', () => {
    const policy = effectivePolicy(null, NOW);
    expect(
      policy.suites
        .slice(0, 6)
        .map(({ name }) => name)
        .join(),
    ).not.toMatch(/CBC|TLS_RSA/);
    expect(policy.signatureSchemes.map(({ name }) => name).join()).not.toMatch(/sha1/);
  });
});

function policyOf(part: Partial<SslPolicy>): SslPolicy {
  return {
    profile: 'MODERN',
    minTlsVersion: 'TLS_1_0',
    customFeatures: [],
    postQuantumKeyExchange: 'DEFAULT',
    ...part,
  };
}

function codes(policy: { readonly warnings: readonly { readonly code: string }[] }): string[] {
  return policy.warnings.map(({ code }) => code);
}

const TRIPLE_DES = 'TLS_RSA_WITH_3DES_EDE_CBC_SHA';
