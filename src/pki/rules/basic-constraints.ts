import type { Certificate } from '../certificate.ts';
import type { Finding } from '../finding.ts';

/** An issuer, the anchor included, must say cA=TRUE (RFC 5280 section 6.1.4 (k)); v1 and v2 certificates cannot. */
export function checkIssuerBasicConstraints(issuer: Certificate): Finding | null {
  if (issuer.basicConstraints?.ca === true) return null;
  return {
    rule: 'basic-constraints',
    word: 'chain',
    found:
      issuer.basicConstraints === null ? 'it has no basicConstraints' : 'its basicConstraints say that it is no CA',
    expected: 'cA=TRUE on every certificate that issues another',
    fix: 'use a CA certificate as the issuer',
  };
}

/** A leaf must not be a CA (spec 2.2): the key of a CA has no place on a server. */
export function checkLeafBasicConstraints(leaf: Certificate): Finding | null {
  if (leaf.basicConstraints?.ca !== true) return null;
  return {
    rule: 'basic-constraints',
    word: 'chain',
    found: 'the leaf is a CA certificate (basicConstraints cA=TRUE)',
    expected: 'an end-entity certificate',
    fix: 'present a certificate issued without cA=TRUE, leaf first',
  };
}
