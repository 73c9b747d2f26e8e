import type { CipherSuite } from './cipher-suites.ts';

export type SslProfile = 'COMPATIBLE' | 'MODERN' | 'RESTRICTED' | 'CUSTOM' | 'FIPS_202205';

/** One of the 15 features that an SSL policy can name, with the predefined profiles that hold it. */
export interface Feature {
  readonly suite: CipherSuite;
  readonly profiles: readonly SslProfile[];
}

/** Spec 1.1, in its order. */
export const FEATURES: readonly Feature[] = table();

/** The feature of that IANA name, or null. */
export function featureByName(name: string): Feature | null {
  for (const feature of FEATURES) if (feature.suite.name === name) return feature;
  return null;
}

/** The suites of a predefined profile in table order; CUSTOM holds none by itself. */
export function suitesOf(profile: SslProfile): readonly CipherSuite[] {
  const suites: CipherSuite[] = [];
  for (const feature of FEATURES) if (feature.profiles.includes(profile)) suites.push(feature.suite);
  return suites;
}

function table(): readonly Feature[] {
  const all = ['COMPATIBLE', 'MODERN', 'RESTRICTED', 'FIPS_202205'] as const;
  const noFips = ['COMPATIBLE', 'MODERN', 'RESTRICTED'] as const;
  const modern = ['COMPATIBLE', 'MODERN'] as const;
  const compatible = ['COMPATIBLE'] as const;
  const chacha = 'CHACHA20_POLY1305';
  return [
    ecdhe(
      0xcca9,
      'ECDSA',
      'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256',
      'ECDHE-ECDSA-CHACHA20-POLY1305',
      chacha,
      noFips,
    ),
    ecdhe(0xcca8, 'RSA', 'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256', 'ECDHE-RSA-CHACHA20-POLY1305', chacha, noFips),
    ecdhe(
      0xc02b,
      'ECDSA',
      'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
      'ECDHE-ECDSA-AES128-GCM-SHA256',
      'AES_128_GCM',
      all,
    ),
    ecdhe(0xc02f, 'RSA', 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'ECDHE-RSA-AES128-GCM-SHA256', 'AES_128_GCM', all),
    ecdhe(
      0xc02c,
      'ECDSA',
      'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384',
      'ECDHE-ECDSA-AES256-GCM-SHA384',
      'AES_256_GCM',
      all,
    ),
    ecdhe(0xc030, 'RSA', 'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384', 'ECDHE-RSA-AES256-GCM-SHA384', 'AES_256_GCM', all),
    ecdhe(0xc009, 'ECDSA', 'TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA', 'ECDHE-ECDSA-AES128-SHA', 'AES_128_CBC', modern),
    ecdhe(0xc013, 'RSA', 'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA', 'ECDHE-RSA-AES128-SHA', 'AES_128_CBC', modern),
    ecdhe(0xc00a, 'ECDSA', 'TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA', 'ECDHE-ECDSA-AES256-SHA', 'AES_256_CBC', modern),
    ecdhe(0xc014, 'RSA', 'TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA', 'ECDHE-RSA-AES256-SHA', 'AES_256_CBC', modern),
    rsa(0x009c, 'TLS_RSA_WITH_AES_128_GCM_SHA256', 'AES128-GCM-SHA256', 'AES_128_GCM', compatible),
    rsa(0x009d, 'TLS_RSA_WITH_AES_256_GCM_SHA384', 'AES256-GCM-SHA384', 'AES_256_GCM', compatible),
    rsa(0x002f, 'TLS_RSA_WITH_AES_128_CBC_SHA', 'AES128-SHA', 'AES_128_CBC', compatible),
    rsa(0x0035, 'TLS_RSA_WITH_AES_256_CBC_SHA', 'AES256-SHA', 'AES_256_CBC', compatible),
    rsa(0x000a, 'TLS_RSA_WITH_3DES_EDE_CBC_SHA', 'DES-CBC3-SHA', '3DES_EDE_CBC', compatible),
  ];
}

function ecdhe(
  code: number,
  authentication: 'ECDSA' | 'RSA',
  name: string,
  opensslName: string,
  encryption: CipherSuite['encryption'],
  profiles: readonly SslProfile[],
): Feature {
  const suite = suiteOf(code, name, opensslName, encryption);
  return { suite: { ...suite, keyExchange: 'ECDHE', authentication }, profiles };
}

function rsa(
  code: number,
  name: string,
  opensslName: string,
  encryption: CipherSuite['encryption'],
  profiles: readonly SslProfile[],
): Feature {
  const suite = suiteOf(code, name, opensslName, encryption);
  return { suite: { ...suite, keyExchange: 'RSA', authentication: 'RSA' }, profiles };
}

function suiteOf(code: number, name: string, opensslName: string, encryption: CipherSuite['encryption']) {
  const minVersion = encryption.endsWith('CBC') ? ('TLSv1' as const) : ('TLSv1.2' as const);
  return { code, name, opensslName, minVersion, encryption, available: encryption !== '3DES_EDE_CBC' };
}
