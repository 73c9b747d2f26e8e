import type { Certificate } from '../certificate.ts';
import type { Finding } from '../finding.ts';

/** Every certificate names its issuer (RFC 5280 section 4.1.2.4). */
export function checkIssuerName(certificate: Certificate): Finding | null {
  if (!certificate.issuer.isEmpty) return null;
  return finding('its issuer name is empty', 'the subject of the CA that signed it');
}

/**
 * A CA has a subject (RFC 5280 section 4.1.2.6). That it equals the child's issuer (6.1.3 (a)(4)) is how the search finds it:
 * `DistinguishedName.key`.
 */
export function checkIssuerSubject(issuer: Certificate): Finding | null {
  return issuer.subject.isEmpty ? finding('this CA has an empty subject', 'a name') : null;
}

function finding(found: string, expected: string): Finding {
  return { rule: 'issuer-subject', word: 'chain', found, expected, fix: 'reissue it' };
}
