import {
  type CipherSuite,
  TLS_AES_128_GCM_SHA256,
  TLS_AES_256_GCM_SHA384,
  TLS_CHACHA20_POLY1305_SHA256,
} from './cipher-suites.ts';
import { type NamedGroup, P256, P384, X25519, X25519MLKEM768 } from './named-groups.ts';
import { FEATURES, type SslProfile, suitesOf } from './profiles.ts';
import {
  ECDSA_P256_SHA256,
  ECDSA_P384_SHA384,
  ECDSA_P521_SHA512,
  RSA_PKCS1_SHA256,
  RSA_PKCS1_SHA384,
  RSA_PKCS1_SHA512,
  RSA_PSS_SHA256,
  RSA_PSS_SHA384,
  RSA_PSS_SHA512,
  type SignatureScheme,
} from './signature-schemes.ts';
import { TLS_VERSIONS, type TlsVersion } from './tls-version.ts';

/** An SslPolicy resource after validation: `name` is absent where it is evaluated without being attached. */
export interface SslPolicy {
  readonly name?: string;
  readonly profile: SslProfile;
  readonly minTlsVersion: 'TLS_1_0' | 'TLS_1_1' | 'TLS_1_2' | 'TLS_1_3';
  readonly customFeatures: readonly string[];
  readonly postQuantumKeyExchange: 'DEFAULT' | 'ENABLED' | 'DEFERRED';
}

/** What a policy comes down to on this runtime: the one source for the engine's options and for every prediction. */
export interface EffectivePolicy {
  /** null: no policy attached. */
  readonly name: string | null;
  readonly profile: SslProfile;
  /** The oldest version that can really be negotiated: RESTRICTED with minimum 1.0 has no suite below 1.2. */
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
  /** For TLS <= 1.2, in server preference. */
  readonly suites: readonly CipherSuite[];
  /** In server preference. */
  readonly tls13Suites: readonly CipherSuite[];
  /** In server preference. */
  readonly groups: readonly NamedGroup[];
  /** In server preference; SHA-2 only (security: TLS 1.2 under @SECLEVEL=0 would otherwise sign SHA-1). */
  readonly signatureSchemes: readonly SignatureScheme[];
  /** The policy's `enabledFeatures[]`: IANA names in table order, without what this runtime cannot negotiate. */
  readonly enabledFeatures: readonly string[];
  readonly warnings: readonly PolicyWarning[];
}

export interface PolicyWarning {
  readonly code:
    | 'FEATURE_UNAVAILABLE'
    | 'NO_POLICY_ATTACHED'
    | 'WEAK_MINIMUM_VERSION'
    | 'VERSION_NOT_USABLE'
    | 'NO_TLS12_SUITE';
  readonly message: string;
}

/**
 * What `policy` (null: none attached, that is COMPATIBLE with TLS 1.0, spec 10.2) allows at `nowMs` on this runtime.
 * Expects a valid policy (src/config refuses the others); spec 1.1 to 1.3, 1.6, 10.1 to 10.3.
 */
export function effectivePolicy(policy: SslPolicy | null, nowMs: number): EffectivePolicy {
  const { profile, minTlsVersion, postQuantumKeyExchange } = policy ?? NO_POLICY;
  const named = featuresOf(policy ?? NO_POLICY);
  const suites = named.filter((suite) => suite.available);
  const wanted = VERSION_NAMES[minTlsVersion];
  const minVersion = oldestUsable(wanted, suites);
  return Object.freeze({
    name: policy?.name ?? null,
    profile,
    minVersion,
    maxVersion: 'TLSv1.3',
    suites: inOrderOfPreference(suites),
    tls13Suites: profile === 'FIPS_202205' ? TLS13_FIPS : TLS13_ALL,
    groups: groupsOf(profile, postQuantumKeyExchange, nowMs),
    signatureSchemes: profile === 'FIPS_202205' ? SCHEMES_FIPS : SCHEMES,
    enabledFeatures: suites.map((suite) => suite.name),
    warnings: warningsOf(policy, named, wanted, minVersion),
  });
}

function featuresOf(policy: SslPolicy): readonly CipherSuite[] {
  if (policy.profile !== 'CUSTOM') return suitesOf(policy.profile);
  const suites: CipherSuite[] = [];
  for (const { suite } of FEATURES) if (policy.customFeatures.includes(suite.name)) suites.push(suite);
  return suites;
}

function oldestUsable(wanted: TlsVersion, suites: readonly CipherSuite[]): TlsVersion {
  if (wanted === 'TLSv1.3' || suites.length === 0) return 'TLSv1.3';
  if (wanted === 'TLSv1.2' || suites.every((suite) => suite.minVersion === 'TLSv1.2')) return 'TLSv1.2';
  return wanted;
}

/** Google documents none. Ephemeral AEAD first, AES before ChaCha20 (a client that prefers ChaCha20 gets it: SSL_OP_PRIORITIZE_CHACHA), then the table's order. */
/** What is fast on processors with AES instructions first; forward secrecy before none, AEAD before CBC. */
export function inOrderOfPreference(suites: readonly CipherSuite[]): readonly CipherSuite[] {
  const rank = (suite: CipherSuite) => {
    if (suite.keyExchange !== 'ECDHE' || suite.encryption.endsWith('CBC')) return 2;
    return suite.encryption === 'CHACHA20_POLY1305' ? 1 : 0;
  };
  return suites.toSorted((a, b) => rank(a) - rank(b));
}

function groupsOf(
  profile: SslProfile,
  postQuantum: SslPolicy['postQuantumKeyExchange'],
  nowMs: number,
): readonly NamedGroup[] {
  if (profile === 'FIPS_202205') return [P256, P384];
  if (postQuantum === 'DEFERRED' && nowMs < DEFERRED_UNTIL_MS) return [X25519, P256, P384];
  return [X25519MLKEM768, X25519, P256, P384];
}

function warningsOf(
  policy: SslPolicy | null,
  named: readonly CipherSuite[],
  wanted: TlsVersion,
  minVersion: TlsVersion,
): readonly PolicyWarning[] {
  const warnings: PolicyWarning[] = [];
  if (policy === null) {
    warnings.push({
      code: 'NO_POLICY_ATTACHED',
      message:
        'No SSL policy is attached: clients may use TLS 1.0 and every suite of COMPATIBLE; attach one with profile MODERN and minTlsVersion TLS_1_2',
    });
  }
  for (const suite of named) {
    if (suite.available) continue;
    warnings.push({
      code: 'FEATURE_UNAVAILABLE',
      message: `${suite.name} (${suite.opensslName}) cannot be negotiated: the OpenSSL of this runtime is built without it; it is left out of enabledFeatures`,
    });
  }
  if (!named.some((suite) => suite.available) && wanted !== 'TLSv1.3') {
    warnings.push({
      code: 'NO_TLS12_SUITE',
      message: 'No suite of this policy can be negotiated with TLS 1.2 or older: only TLS 1.3 clients can connect',
    });
  } else if (minVersion !== wanted) {
    warnings.push({
      code: 'VERSION_NOT_USABLE',
      message: `The minimum version is ${wanted}, but no suite of this policy works below ${minVersion}: older clients cannot connect`,
    });
  }
  if (policy !== null && TLS_VERSIONS.indexOf(minVersion) < TLS_VERSIONS.indexOf('TLSv1.2')) {
    warnings.push({
      code: 'WEAK_MINIMUM_VERSION',
      message: `Clients may use ${minVersion}, which RFC 8996 deprecates; set profile MODERN and minTlsVersion TLS_1_2`,
    });
  }
  return warnings;
}

const NO_POLICY: SslPolicy = {
  profile: 'COMPATIBLE',
  minTlsVersion: 'TLS_1_0',
  customFeatures: [],
  postQuantumKeyExchange: 'DEFAULT',
};

const VERSION_NAMES: Readonly<Record<SslPolicy['minTlsVersion'], TlsVersion>> = {
  TLS_1_0: 'TLSv1',
  TLS_1_1: 'TLSv1.1',
  TLS_1_2: 'TLSv1.2',
  TLS_1_3: 'TLSv1.3',
};

const TLS13_FIPS: readonly CipherSuite[] = [TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384];
const TLS13_ALL: readonly CipherSuite[] = [...TLS13_FIPS, TLS_CHACHA20_POLY1305_SHA256];

// spec 1.5: PKCS #1 and PSS with SHA-256/384/512, ECDSA P-256 or P-384 with SHA-256/384
const SCHEMES_FIPS: readonly SignatureScheme[] = [
  ECDSA_P256_SHA256,
  ECDSA_P384_SHA384,
  RSA_PSS_SHA256,
  RSA_PSS_SHA384,
  RSA_PSS_SHA512,
  RSA_PKCS1_SHA256,
  RSA_PKCS1_SHA384,
  RSA_PKCS1_SHA512,
];
const SCHEMES: readonly SignatureScheme[] = [...SCHEMES_FIPS, ECDSA_P521_SHA512];

const DEFERRED_UNTIL_MS = Date.UTC(2027, 9, 1); // spec 1.6: "disallowed until October 2027"
