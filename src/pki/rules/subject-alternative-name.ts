import { isIP } from 'node:net';
import type { Certificate } from '../certificate.ts';
import type { Finding } from '../finding.ts';
import { generalNameText } from '../general-name.ts';
import { OID } from '../oids.ts';
import { printable } from '../printable.ts';
import type { ExpectedNames } from '../verdict.ts';

/** An empty subject moves the identity into the SAN, which must then be there and critical (RFC 5280 section 4.1.2.6). */
export function checkNamePlacement(certificate: Certificate): Finding | null {
  if (!certificate.subject.isEmpty) return null;
  if (certificate.subjectAltName !== null && certificate.isExtensionCritical(OID.subjectAltName)) return null;
  return {
    rule: 'subject-alternative-name',
    word: 'chain',
    found: 'its subject is empty and its subjectAltName is absent or not critical',
    expected: 'a critical subjectAltName where the subject is empty',
    fix: 'reissue it with a subject, or with the subjectAltName critical',
  };
}

/**
 * At least one expected name must be among the leaf's SANs (spec 2.5, 10.10; RFC 9525 section 6.3): DNS names without regard to
 * ASCII case, `*` only as the whole left-most label and for one label; URIs byte for byte. The CN never counts.
 */
export function checkNames(leaf: Certificate, names: ExpectedNames): Finding | null {
  const { dnsNames, uris } = names;
  if (dnsNames.length === 0 && uris.length === 0) return null;
  const presented = leaf.subjectAltName ?? [];
  for (const name of presented) {
    if (name.kind === 'dns' && dnsNames.some((expected) => matchesDnsName(name.text, expected))) return null;
    if (name.kind === 'uri' && uris.includes(name.text)) return null;
  }
  const shown = presented.slice(0, 10).map(generalNameText).join(', ');
  const wanted = [...dnsNames.map((name) => `DNS:${printable(name)}`), ...uris.map((uri) => `URI:${printable(uri)}`)];
  return {
    rule: 'subject-alternative-name',
    word: 'names',
    found:
      shown === ''
        ? `it has no subjectAltName${commonNameOf(leaf)}`
        : `its SANs are ${shown}${presented.length > 10 ? ', …' : ''}`,
    expected: wanted.length === 1 ? wanted[0]! : `one of ${wanted.join(', ')}`,
    fix: 'correct sni or subjectAltNames in tlsSettings, or reissue it with that name',
  };
}

/** A CN is what operators look at first, so it is said that it does not count. */
function commonNameOf(leaf: Certificate): string {
  const [name] = leaf.subject.values(OID.commonName);
  return name === undefined ? '' : ` (its CN '${printable(name)}' does not count)`;
}

/** True if a dNSName SAN stands for the host name. `expected` that is an IP literal or has a `*` matches nothing. */
export function matchesDnsName(presented: string, expected: string): boolean {
  if (expected.length === 0 || expected.includes('*') || isIP(expected) !== 0) return false;
  const san = foldAscii(presented);
  const host = foldAscii(expected);
  if (!san.startsWith('*.')) return san === host;
  const base = san.slice(1);
  if (base.length < 2 || base.includes('*')) return false;
  return host.length > base.length && host.endsWith(base) && !host.slice(0, -base.length).includes('.');
}

function foldAscii(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
