import type { Certificate } from '../certificate.ts';
import type { Finding } from '../finding.ts';
import { OID, oidLabel } from '../oids.ts';
import type { Purpose } from '../verdict.ts';

/**
 * A leaf must name its purpose and none of codeSigning, timeStamping, OCSPSigning; no extension, or anyExtendedKeyUsage alone,
 * does not do (spec 2.2, 10.8). RFC 5280 section 4.2.1.12 is laxer.
 */
export function checkLeafExtendedKeyUsage(leaf: Certificate, purpose: Purpose): Finding | null {
  if (purpose === 'any') return null;
  const usages = leaf.extendedKeyUsage;
  const wanted = WANTED[purpose];
  if (usages === null) return finding('it has no extendedKeyUsage', wanted, `reissue it with ${wanted.name}`);
  if (!usages.includes(wanted.oid)) {
    return finding(`its extendedKeyUsage is ${list(usages)}`, wanted, `reissue it with ${wanted.name}`);
  }
  const forbidden = FORBIDDEN.find((oid) => usages.includes(oid));
  if (forbidden === undefined) return null;
  const found = `its extendedKeyUsage includes ${oidLabel(forbidden)}`;
  return finding(
    found,
    { name: `${wanted.name} without codeSigning, timeStamping and OCSPSigning` },
    `reissue it without ${oidLabel(forbidden)}`,
  );
}

/** A CA's extendedKeyUsage, where present, must include the purpose or anyExtendedKeyUsage (spec 10.8). */
export function checkIssuerExtendedKeyUsage(issuer: Certificate, purpose: Purpose): Finding | null {
  const usages = issuer.extendedKeyUsage;
  if (purpose === 'any' || usages === null) return null;
  const wanted = WANTED[purpose];
  if (usages.includes(wanted.oid) || usages.includes(OID.anyExtendedKeyUsage)) return null;
  return finding(
    `this CA is limited to ${list(usages)}`,
    wanted,
    `use a CA whose extendedKeyUsage includes ${wanted.name}, or that has none`,
  );
}

function finding(found: string, wanted: { readonly name: string }, fix: string): Finding {
  return { rule: 'extended-key-usage', word: 'extendedKeyUsage', found, expected: wanted.name, fix };
}

function list(usages: readonly string[]): string {
  const shown = usages.slice(0, 5).map(oidLabel).join(', ');
  return usages.length > 5 ? `${shown}, …` : shown;
}

const WANTED = {
  server: { name: 'serverAuth', oid: OID.serverAuth },
  client: { name: 'clientAuth', oid: OID.clientAuth },
} as const;

const FORBIDDEN = [OID.codeSigning, OID.timeStamping, OID.ocspSigning] as const;
