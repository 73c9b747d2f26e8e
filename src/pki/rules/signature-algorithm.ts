import type { Certificate } from '../certificate.ts';
import type { Finding } from '../finding.ts';
import { oidLabel } from '../oids.ts';

/** Every certificate below the anchor is signed with RSA (PKCS #1 v1.5 or PSS) or ECDSA and SHA-256 or stronger (spec 2.1). */
export function checkSignatureAlgorithm(certificate: Certificate): Finding | null {
  const algorithm = certificate.signatureAlgorithm;
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
