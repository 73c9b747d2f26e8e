// hot path: a model of what OpenSSL 3.5 will choose, run for every hello. Held to the real thing by test/tls/negotiate.test.ts.
import type { CertificateEntry, KeyType } from './certificate-entry.ts';
import { schemesOfIssuer } from './certificate-signature.ts';
import { prefersChacha } from './chacha-preference.ts';
import type { CipherSuite } from './cipher-suites.ts';
import type { ClientHello } from './client-hello.ts';
import type { NamedGroup } from './named-groups.ts';
import type { SignatureScheme } from './signature-schemes.ts';
import type { EffectivePolicy } from './ssl-policy.ts';
import { TLS_VERSIONS, type TlsVersion, VERSION_CODE, versionName } from './tls-version.ts';

export type Negotiation = Negotiated | NotNegotiated;

export interface Negotiated {
  readonly ok: true;
  readonly version: TlsVersion;
  readonly suite: CipherSuite;
  /** null: key exchange by RSA. */
  readonly group: NamedGroup | null;
  /** null below TLS 1.2, where the hello has no say. */
  readonly scheme: SignatureScheme | null;
  /** TLS 1.3: the client sent no key share for the group and is asked for one. */
  readonly helloRetryRequest: boolean;
}

export interface NotNegotiated {
  readonly ok: false;
  readonly reason: NegotiationFailure;
  readonly detail: string;
}

export type NegotiationFailure =
  | 'malformed_hello'
  | 'unsupported_version'
  | 'no_shared_cipher'
  | 'no_shared_group'
  | 'no_shared_signature_algorithm'
  | 'certificate_key_type_mismatch';

/** What a full handshake of this hello ends in at an engine with this policy and certificate. */
export function negotiate(
  hello: ClientHello,
  policy: EffectivePolicy,
  certificate: Pick<CertificateEntry, 'keyType' | 'certificatePem'>,
): Negotiation {
  const version = negotiatedVersion(hello, policy);
  if (version === null) return failure('unsupported_version', versionDetail(hello, policy));
  if (hello.fallbackScsv && version !== policy.maxVersion) {
    // RFC 7507 §3; OpenSSL: inappropriate fallback
    return failure('unsupported_version', `TLS_FALLBACK_SCSV with ${version}, while ${policy.maxVersion} is allowed`);
  }
  const outcome =
    version === 'TLSv1.3'
      ? negotiateTls13(hello, policy, certificate.keyType)
      : negotiateTls12(hello, policy, certificate.keyType, version);
  if (!outcome.ok || outcome.scheme === null || issuerAccepted(hello, certificate)) return outcome;
  return failure(
    'no_shared_signature_algorithm',
    "signature_algorithms_cert lacks the algorithm of the issuer's signature on the certificate",
  );
}

/** The newest version that both know (RFC 8446 §4.2.1); independent of the certificate. null: none. */
export function negotiatedVersion(hello: ClientHello, policy: EffectivePolicy): TlsVersion | null {
  if (hello.legacyVersion <= SSL_3_0) return null; // RFC 8446 Appendix D.5, whatever supported_versions says
  const offered = hello.supportedVersions;
  const lowest = TLS_VERSIONS.indexOf(policy.minVersion);
  for (let i = TLS_VERSIONS.indexOf(policy.maxVersion); i >= lowest; i--) {
    const version = TLS_VERSIONS[i]!;
    const code = VERSION_CODE[version];
    if (offered === null ? version !== 'TLSv1.3' && code <= hello.legacyVersion : offered.includes(code))
      return version;
  }
  return null;
}

function negotiateTls13(hello: ClientHello, policy: EffectivePolicy, keyType: KeyType): Negotiation {
  const suite = firstSuite(policy.tls13Suites, hello, null, null, 'TLSv1.3');
  if (suite === null) return failure('no_shared_cipher', 'no TLS 1.3 suite in common');
  if (hello.groups === null || hello.signatureAlgorithms === null || hello.keyShares === null) {
    // RFC 8446 §9.2, missing_extension
    return failure('malformed_hello', 'TLS 1.3 without supported_groups, key_share or signature_algorithms');
  }
  const scheme = schemeForTls13(hello, policy, keyType);
  const group = groupForTls13(hello, policy);
  if (group === null) return failure('no_shared_group', 'no key-exchange group in common');
  if (scheme === null) return noScheme(hello, policy, keyType);
  const helloRetryRequest = !hello.keyShares.includes(group.code);
  return { ok: true, version: 'TLSv1.3', suite, group, scheme, helloRetryRequest };
}

function negotiateTls12(
  hello: ClientHello,
  policy: EffectivePolicy,
  keyType: KeyType,
  version: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2',
): Negotiation {
  const family = keyType === 'RSA' ? 'RSA' : 'ECDSA';
  const scheme = version === 'TLSv1.2' ? schemeForTls12(hello, policy, family) : null;
  const group = groupForTls12(hello, policy);
  const exchange = group === null ? 'RSA' : null;
  const certificateFits = fitsCurve(hello, keyType) && (scheme !== null || version !== 'TLSv1.2');
  const suite = certificateFits ? firstSuite(policy.suites, hello, family, exchange, version) : null;
  if (suite !== null) {
    const used = suite.keyExchange === 'ECDHE' ? group : null;
    return { ok: true, version, suite, group: used, scheme, helloRetryRequest: false };
  }
  return whyNotTls12(hello, policy, keyType, version, scheme, group);
}

/** The most telling reason, in the order in which one would look for it. */
function whyNotTls12(
  hello: ClientHello,
  policy: EffectivePolicy,
  keyType: KeyType,
  version: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2',
  scheme: SignatureScheme | null,
  group: NamedGroup | null,
): NotNegotiated {
  const family = keyType === 'RSA' ? 'RSA' : 'ECDSA';
  if (firstSuite(policy.suites, hello, null, null, version) === null) {
    return failure('no_shared_cipher', `no ${version} suite in common`);
  }
  if (firstSuite(policy.suites, hello, family, null, version) === null) {
    return failure('certificate_key_type_mismatch', `no ${version} suite in common for the ${keyType} certificate`);
  }
  if (version === 'TLSv1.2' && scheme === null) return noScheme(hello, policy, keyType);
  if (!fitsCurve(hello, keyType)) {
    return failure('certificate_key_type_mismatch', `supported_groups lacks the curve of the ${keyType} certificate`);
  }
  if (group === null) return failure('no_shared_group', 'no key-exchange group in common');
  return failure('no_shared_cipher', `no usable ${version} suite in common`);
}

function noScheme(hello: ClientHello, policy: EffectivePolicy, keyType: KeyType): NotNegotiated {
  const offered = hello.signatureAlgorithms;
  if (offered === null) return failure('no_shared_signature_algorithm', 'the hello has no signature_algorithms');
  const family = keyType === 'RSA' ? 'RSA' : 'ECDSA';
  let any = false;
  for (let i = 0; i < policy.signatureSchemes.length; i++) {
    const scheme = policy.signatureSchemes[i]!;
    if (!offered.includes(scheme.code)) continue;
    any = true;
    if (scheme.family === family) {
      return failure(
        'no_shared_signature_algorithm',
        `no signature algorithm in common fits the ${keyType} certificate`,
      );
    }
  }
  if (any)
    return failure('certificate_key_type_mismatch', `no signature algorithm in common for the ${keyType} certificate`);
  return failure('no_shared_signature_algorithm', 'no signature algorithm in common');
}

function schemeForTls13(hello: ClientHello, policy: EffectivePolicy, keyType: KeyType): SignatureScheme | null {
  const offered = hello.signatureAlgorithms;
  if (offered === null) return null; // RFC 8446 §4.2.3: required where a certificate is
  for (let i = 0; i < policy.signatureSchemes.length; i++) {
    const scheme = policy.signatureSchemes[i]!;
    if (scheme.pkcs1) continue; // RFC 8446 §4.2.3: PKCS #1 only inside certificates
    const fits = keyType === 'RSA' ? scheme.family === 'RSA' : scheme.tls13Curve === keyType;
    if (fits && offered.includes(scheme.code)) return scheme;
  }
  return null;
}

/** Without the extension TLS 1.2 means SHA-1 (RFC 5246 §7.4.1.4.1), which no policy signs with. */
function schemeForTls12(hello: ClientHello, policy: EffectivePolicy, family: 'RSA' | 'ECDSA'): SignatureScheme | null {
  const offered = hello.signatureAlgorithms;
  if (offered === null) return null;
  for (let i = 0; i < policy.signatureSchemes.length; i++) {
    const scheme = policy.signatureSchemes[i]!;
    if (scheme.family === family && offered.includes(scheme.code)) return scheme;
  }
  return null;
}

/** Within a tuple a group that a share came for wins; X25519MLKEM768 is a tuple of its own (context-options.ts). */
function groupForTls13(hello: ClientHello, policy: EffectivePolicy): NamedGroup | null {
  const offered = hello.groups;
  if (offered === null) return null;
  let first: NamedGroup | null = null;
  for (let i = 0; i < policy.groups.length; i++) {
    const group = policy.groups[i]!;
    if (!offered.includes(group.code)) continue;
    if (hello.keyShares?.includes(group.code) || group.tls13Only) return group;
    first ??= group;
  }
  return first;
}

function groupForTls12(hello: ClientHello, policy: EffectivePolicy): NamedGroup | null {
  for (let i = 0; i < policy.groups.length; i++) {
    const group = policy.groups[i]!;
    if (!group.tls13Only && hello.groups?.includes(group.code)) return group;
  }
  return null;
}

function issuerAccepted(hello: ClientHello, certificate: Pick<CertificateEntry, 'certificatePem'>): boolean {
  const accepted = hello.signatureAlgorithmsCert;
  return accepted === null || schemesOfIssuer(certificate).some((code) => accepted.includes(code));
}

function fitsCurve(hello: ClientHello, keyType: KeyType): boolean {
  if (keyType === 'RSA' || hello.groups === null) return true;
  return hello.groups.includes(keyType === 'P-256' ? 0x0017 : 0x0018);
}

/** Server preference, except for clients that prefer ChaCha20. */
function firstSuite(
  suites: readonly CipherSuite[],
  hello: ClientHello,
  family: 'RSA' | 'ECDSA' | null,
  onlyExchange: 'RSA' | null,
  version: TlsVersion,
): CipherSuite | null {
  const chachaFirst = prefersChacha(hello);
  const before12 = version === 'TLSv1' || version === 'TLSv1.1';
  let first: CipherSuite | null = null;
  for (let i = 0; i < suites.length; i++) {
    const suite = suites[i]!;
    if (onlyExchange !== null && suite.keyExchange !== onlyExchange) continue;
    if (family !== null && suite.authentication !== family) continue;
    if (before12 && suite.minVersion !== 'TLSv1') continue;
    if (!hello.cipherSuites.includes(suite.code)) continue;
    if (!chachaFirst || suite.encryption === 'CHACHA20_POLY1305') return suite;
    first ??= suite;
  }
  return first;
}

function versionDetail(hello: ClientHello, policy: EffectivePolicy): string {
  const newest =
    hello.supportedVersions === null
      ? versionName(hello.legacyVersion)
      : hello.supportedVersions.slice(0, 8).map(versionName).join(' ');
  return `the client offers ${newest === '' ? 'no version' : newest}, the policy allows ${policy.minVersion} to ${policy.maxVersion}`;
}

function failure(reason: NegotiationFailure, detail: string): NotNegotiated {
  return { ok: false, reason, detail };
}

const SSL_3_0 = 0x0300;
