import type { Certificate } from '../certificate.ts';
import type { Finding } from '../finding.ts';
import { OID, oidLabel } from '../oids.ts';

/**
 * A critical extension that the verifier does not act on makes the certificate unusable (RFC 5280 section 4.2, 6.1.4 (o),
 * 6.1.5 (f)). Key identifiers and information access must not be critical (sections 4.2.1.1, 4.2.1.2, 4.2.2) and count as unknown.
 */
export function checkCriticalExtensions(certificate: Certificate): Finding | null {
  for (const extension of certificate.extensions.values()) {
    if (!extension.critical || PROCESSED.has(extension.oid)) continue;
    return {
      rule: 'critical-extensions',
      word: 'chain',
      found: `its critical extension ${oidLabel(extension.oid)} is not one that this verifier processes`,
      expected: 'critical extensions of RFC 5280 path validation only',
      fix: 'reissue it without that extension, or with it non-critical',
    };
  }
  return null;
}

const PROCESSED: ReadonlySet<string> = new Set([
  OID.basicConstraints,
  OID.certificatePolicies,
  OID.extendedKeyUsage,
  OID.inhibitAnyPolicy,
  OID.keyUsage,
  OID.nameConstraints,
  OID.policyConstraints,
  OID.policyMappings,
  OID.subjectAltName,
]);
