import type { Certificate } from '../certificate.ts';
import type { Finding } from '../finding.ts';

/**
 * Where the child has an authorityKeyIdentifier and the issuer a subjectKeyIdentifier they must be equal; absence on either side
 * is no violation (spec 2.5 (c), 10.9; RFC 5280 sections 4.2.1.1 and 4.2.1.2).
 */
export function checkKeyIdentifiers(child: Certificate, issuer: Certificate): Finding | null {
  const wanted = child.authorityKeyId;
  const found = issuer.subjectKeyId;
  if (wanted === null || found === null || wanted.equals(found)) return null;
  return {
    rule: 'key-identifiers',
    word: 'chain',
    found: `its authorityKeyIdentifier is ${hex(wanted)}, but '${issuer.subject.text}' has subjectKeyIdentifier ${hex(found)}`,
    expected: 'equal key identifiers',
    fix: `provide the certificate of '${issuer.subject.text}' that has subjectKeyIdentifier ${hex(wanted)}`,
  };
}

function hex(identifier: Buffer): string {
  return identifier.toString('hex', 0, 20).toUpperCase() || '(empty)';
}
