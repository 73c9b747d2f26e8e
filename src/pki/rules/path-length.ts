import type { Certificate } from '../certificate.ts';
import type { Finding } from '../finding.ts';

/**
 * At most pathLenConstraint intermediates below an issuer; self-issued ones (key rollover) do not count, the leaf neither
 * (RFC 5280 sections 4.2.1.9 and 6.1.4 (l), (m)). `below` is the path under the issuer, leaf first.
 */
export function checkPathLength(issuer: Certificate, below: readonly Certificate[]): Finding | null {
  const allowed = issuer.basicConstraints?.pathLength ?? null;
  if (allowed === null) return null;
  let count = 0;
  for (let index = 1; index < below.length; index++) if (!below[index]!.isSelfIssued) count++;
  if (count <= allowed) return null;
  return {
    rule: 'path-length',
    word: 'chain',
    found: count === 1 ? '1 intermediate CA follows it' : `${count} intermediate CAs follow it`,
    expected: `at most ${allowed} (its pathLenConstraint)`,
    fix: 'issue the leaf from a CA higher up, or reissue this CA with a larger pathLenConstraint',
  };
}
