import type { Certificate } from '../pki/certificate.ts';
import { oidLabel } from '../pki/oids.ts';
import { publicRootIndex } from '../pki/trust-store.ts';

/**
 * What clients may find wrong with the chain above a server's leaf (its order is an error elsewhere): an intermediate that is missing,
 * weak or expired. A chain that ends below a root nobody here knows may be right, as private roots are: only a lone leaf is suspicious.
 */
export function warnOfChain(chain: readonly Certificate[], warn: (message: string) => void, nowMs: number): void {
  const [leaf, ...authorities] = chain;
  if (leaf === undefined) return;
  const isSelfIssued = leaf.issuer.equals(leaf.subject);
  if (authorities.length === 0 && !isSelfIssued && !publicRootIndex().has(leaf.issuer.key)) {
    warn(
      `Its issuer, ${leaf.issuer.text}, is not sent along and no public root: clients that do not have it will refuse the chain; append the issuer's certificate, and its issuer's, up to the root`,
    );
  }
  for (const authority of authorities) {
    const name = authority.subject.text;
    const isRoot = authority.issuer.equals(authority.subject);
    if (!isRoot && authority.signatureAlgorithm.kind === 'unsupported') {
      warn(
        `${name} of its chain is signed with ${oidLabel(authority.signatureAlgorithm.oid)}: clients will refuse it; get one with SHA-256 or stronger`,
      );
    }
    if (authority.notAfterMs < nowMs) {
      const day = new Date(authority.notAfterMs).toISOString().slice(0, 10);
      warn(`${name} of its chain expired on ${day}: clients will refuse it; append its renewal instead`);
    }
  }
}
