import type { Finding } from '../finding.ts';
import { oidLabel } from '../oids.ts';
import type { SignatureAlgorithm } from '../signature-algorithm.ts';

/** Every certificate below the anchor, and every CRL, is signed with RSA (PKCS #1 v1.5 or PSS) or ECDSA and SHA-256 or stronger (spec 2.1). */
export function checkSignatureAlgorithm(signed: { readonly signatureAlgorithm: SignatureAlgorithm }): Finding | null {
  const algorithm = signed.signatureAlgorithm;
  if (algorithm.kind !== 'unsupported') return null;
  const detail = algorithm.detail === '' ? '' : ` with ${algorithm.detail}`;
  return {
    rule: 'signature-algorithm',
    word: 'chain',
    found: `it is signed with ${oidLabel(algorithm.oid)}${detail}`,
    expected: 'RSA or ECDSA with SHA-256, SHA-384 or SHA-512',
    fix: 'reissue it with such a signature',
  };
}
