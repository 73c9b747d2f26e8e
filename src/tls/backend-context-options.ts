import { constants } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import { TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256 } from './cipher-suites.ts';
import { suitesOf } from './profiles.ts';
import { inOrderOfPreference } from './ssl-policy.ts';
import type { TlsVersion } from './tls-version.ts';

/** What the proxy shows of itself to a backend, and how old a protocol it bears. */
export interface BackendContextTerms {
  /** 'TLSv1.2' unless `dangerBackendMinTlsVersion` says otherwise. */
  readonly minVersion: TlsVersion;
  readonly clientCertificate: { readonly certificatePem: string; readonly privateKeyPem: string } | null;
}

/**
 * Options of the one SecureContext for connections to a backend identity (spec 10.17): TLS 1.2 and 1.3, COMPATIBLE's suites.
 * Trusts nobody (`ca: []`): connect with `rejectUnauthorized: false` and let src/pki decide. Groups stay OpenSSL's own:
 * with restricted ones a P-521 backend fails with an alert before any verifier could say why.
 */
export function backendContextOptions(terms: BackendContextTerms): SecureContextOptions {
  const old = terms.minVersion === 'TLSv1' || terms.minVersion === 'TLSv1.1';
  return {
    ca: [],
    minVersion: terms.minVersion,
    maxVersion: 'TLSv1.3',
    ciphers: cipherList(old),
    ...(old ? { sigalgs: SHA2_SIGALGS } : {}),
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    ...(terms.clientCertificate === null
      ? {}
      : { cert: terms.clientCertificate.certificatePem, key: terms.clientCertificate.privateKeyPem }),
  };
}

function cipherList(old: boolean): string {
  const names: string[] = TLS13_SUITES.map((suite) => suite.opensslName);
  // a server without a preference of its own (nginx has none by default) takes the first that it can
  for (const suite of inOrderOfPreference(suitesOf('COMPATIBLE'))) if (suite.available) names.push(suite.opensslName);
  if (old) names.push('@SECLEVEL=0'); // the SHA-1 inside TLS 1.0 and 1.1 needs it
  return names.join(':');
}

const TLS13_SUITES = [TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256];

// At security level 0 TLS 1.2 would take SHA-1 signatures as well: name what counts instead.
const SHA2_SIGALGS = [
  'ecdsa_secp256r1_sha256',
  'ecdsa_secp384r1_sha384',
  'ecdsa_secp521r1_sha512',
  'ed25519',
  'ed448',
  'rsa_pss_rsae_sha256',
  'rsa_pss_rsae_sha384',
  'rsa_pss_rsae_sha512',
  'rsa_pss_pss_sha256',
  'rsa_pss_pss_sha384',
  'rsa_pss_pss_sha512',
  'rsa_pkcs1_sha256',
  'rsa_pkcs1_sha384',
  'rsa_pkcs1_sha512',
].join(':');
