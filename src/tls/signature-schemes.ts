import type { KeyType } from './certificate-entry.ts';

/** A signature scheme (RFC 8446 §4.2.3; on TLS 1.2 the same two bytes are hash and signature algorithm, RFC 5246 §7.4.1.4.1). */
export interface SignatureScheme {
  readonly code: number;
  /** IANA name; OpenSSL's `sigalgs` lists take it too. */
  readonly name: string;
  readonly family: 'ECDSA' | 'RSA';
  /** The one key type it signs for on TLS 1.3; null: every RSA key (none for PKCS #1, which TLS 1.3 does not sign with). */
  readonly tls13Curve: KeyType | 'P-521' | null;
  readonly pkcs1: boolean;
}

export const ECDSA_P256_SHA256 = ecdsa(0x0403, 'ecdsa_secp256r1_sha256', 'P-256');
export const ECDSA_P384_SHA384 = ecdsa(0x0503, 'ecdsa_secp384r1_sha384', 'P-384');
export const ECDSA_P521_SHA512 = ecdsa(0x0603, 'ecdsa_secp521r1_sha512', 'P-521');
export const RSA_PSS_SHA256 = rsa(0x0804, 'rsa_pss_rsae_sha256', false);
export const RSA_PSS_SHA384 = rsa(0x0805, 'rsa_pss_rsae_sha384', false);
export const RSA_PSS_SHA512 = rsa(0x0806, 'rsa_pss_rsae_sha512', false);
export const RSA_PKCS1_SHA256 = rsa(0x0401, 'rsa_pkcs1_sha256', true);
export const RSA_PKCS1_SHA384 = rsa(0x0501, 'rsa_pkcs1_sha384', true);
export const RSA_PKCS1_SHA512 = rsa(0x0601, 'rsa_pkcs1_sha512', true);

function ecdsa(code: number, name: string, tls13Curve: 'P-256' | 'P-384' | 'P-521'): SignatureScheme {
  return { code, name, family: 'ECDSA', tls13Curve, pkcs1: false };
}

function rsa(code: number, name: string, pkcs1: boolean): SignatureScheme {
  return { code, name, family: 'RSA', tls13Curve: null, pkcs1 };
}

// IANA "TLS SignatureScheme"
