import type { Certificate } from './certificate.ts';
import { KEY_USAGE } from './extensions.ts';
import { type Finding, refusal } from './finding.ts';
import { checkNames } from './rules/subject-alternative-name.ts';
import type { ExpectedNames, Verdict } from './verdict.ts';
import { parseOrFinding, pathLink } from './verify.ts';

export interface UnauthenticatedRequest {
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  readonly names: ExpectedNames;
}

/**
 * The verdict on a backend for which no authentication is configured (spec 10.11, 10.12): any certificate will do, self-signed and
 * expired ones too, but an RSA leaf must have a keyUsage with digitalSignature and keyEncipherment, and expected names must match.
 * Never throws.
 */
export function verifyUnauthenticated({ chain, names }: UnauthenticatedRequest): Verdict {
  const der = chain[0];
  if (der === undefined) return refusal(NOT_PROVIDED, 'server', 0, null);
  const leaf = parseOrFinding(der);
  if (!('der' in leaf)) return refusal(leaf, 'server', 0, null);
  const finding = checkRsaKeyUsage(leaf) ?? checkNames(leaf, names);
  if (finding !== null) return refusal(finding, 'server', 0, leaf);
  // Expired certificates are accepted, so no time ends the verdict.
  const path = [pathLink({ certificate: leaf, from: 'peer' })];
  return { ok: true, by: 'unauthenticated', path, notAfterMs: Number.POSITIVE_INFINITY };
}

/** Google's rule since 2025-04-28: a certificate without keyUsage fails it too; EC keys are not concerned (spec 2.7). */
function checkRsaKeyUsage(leaf: Certificate): Finding | null {
  if (leaf.publicKey.kind !== 'RSA') return null;
  if (leaf.keyUsage !== null && (leaf.keyUsage & RSA_USES) === RSA_USES) return null;
  return {
    rule: 'key-usage',
    word: 'chain',
    found:
      leaf.keyUsage === null
        ? 'its RSA key has no keyUsage'
        : `the keyUsage of its RSA key lacks ${lacking(leaf.keyUsage)}`,
    expected: 'digitalSignature and keyEncipherment, even where backends are not authenticated',
    fix: 'reissue it with both',
  };
}

function lacking(keyUsage: number): string {
  const names = ['digitalSignature', 'keyEncipherment'] as const;
  return names.filter((name) => (keyUsage & KEY_USAGE[name]) === 0).join(' and ');
}

const RSA_USES = KEY_USAGE.digitalSignature | KEY_USAGE.keyEncipherment;

const NOT_PROVIDED: Finding = {
  rule: 'no-certificate',
  word: 'notProvided',
  found: 'the peer sent no certificate',
  expected: 'a certificate',
  fix: 'configure a certificate on the peer',
};
