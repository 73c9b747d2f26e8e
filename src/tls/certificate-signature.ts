import { X509Certificate } from 'node:crypto';
import type { CertificateEntry } from './certificate-entry.ts';

/**
 * The signature schemes of `signature_algorithms_cert` (RFC 8446 §4.2.3) that cover the issuer's signature on the leaf. OpenSSL refuses
 * a leaf that the client did not list there. Empty: no scheme covers it. Read from the certificate once, and only for hellos that ask.
 */
export function schemesOfIssuer(certificate: Pick<CertificateEntry, 'certificatePem'>): readonly number[] {
  const known = cache.get(certificate);
  if (known !== undefined) return known;
  const schemes = SCHEMES.get(new X509Certificate(certificate.certificatePem).signatureAlgorithm ?? '') ?? [];
  cache.set(certificate, schemes);
  return schemes;
}

const cache = new WeakMap<object, readonly number[]>();

// OpenSSL's long names of the signature algorithm identifiers. PSS parameters are not part of the name: every hash is taken for covered.
const SCHEMES: ReadonlyMap<string, readonly number[]> = new Map([
  ['ecdsa-with-SHA256', [0x0403]],
  ['ecdsa-with-SHA384', [0x0503]],
  ['ecdsa-with-SHA512', [0x0603]],
  ['sha256WithRSAEncryption', [0x0401]],
  ['sha384WithRSAEncryption', [0x0501]],
  ['sha512WithRSAEncryption', [0x0601]],
  ['rsassaPss', [0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b]],
]);
