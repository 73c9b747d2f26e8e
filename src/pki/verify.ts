import { type Certificate, parseCertificate } from './certificate.ts';
import { DerError } from './der.ts';
import { type Finding, type Origin, refusal } from './finding.ts';
import { LIMITS } from './limits.ts';
import { checkAsChild, PathSearch, type PathStep } from './path-search.ts';
import { printable } from './printable.ts';
import { checkListed, type Revocation } from './revocation.ts';
import { checkLeafBasicConstraints } from './rules/basic-constraints.ts';
import { checkCriticalExtensions } from './rules/critical-extensions.ts';
import { checkLeafExtendedKeyUsage } from './rules/extended-key-usage.ts';
import { checkKeyStrength } from './rules/key-strength.ts';
import { checkLeafKeyUsage, type KeyProof } from './rules/key-usage.ts';
import { checkNameConstraintsOfLeaf } from './rules/name-constraints.ts';
import { ANY_POLICY, type PolicyInputs } from './rules/policies.ts';
import { checkNames } from './rules/subject-alternative-name.ts';
import { checkValidity } from './rules/validity.ts';
import type { TrustStore } from './trust-store.ts';
import type { ExpectedNames, PathLink, Purpose, Trusted, Verdict } from './verdict.ts';

export interface VerifyRequest {
  /** DER, leaf first, exactly as the peer sent them. */
  readonly chain: readonly Uint8Array[];
  readonly store: TrustStore;
  /** `any`: no EKU and no digitalSignature rule; the proxy never uses it. */
  readonly purpose: Purpose;
  readonly names: ExpectedNames;
  /** Wall milliseconds. */
  readonly atMs: number;
  /** Absent: no policy is asked for. */
  readonly policy?: PolicyInputs;
  /** Absent: 'signature', the stricter. */
  readonly proof?: KeyProof;
  /** CRLs to consult; absent or null: none. */
  readonly revocation?: Revocation | null;
}

/**
 * Whether a peer's certificate is trusted: RFC 5280 section 6 with the limits of spec 2.4 and the decisions of spec 10.7 to 10.14.
 * Never throws; a defect is a refusal too. Without anchor and usable public root only an allowlisted leaf passes (security rule 1).
 */
export function verify(request: VerifyRequest): Verdict {
  try {
    return judge(request);
  } catch (thrown) {
    const found = `the verifier failed: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
    return refusal({ ...INTERNAL, found }, request.purpose, 0, null);
  }
}

function judge(request: VerifyRequest): Verdict {
  const { chain, store, purpose, names, atMs } = request;
  const leafDer = chain[0];
  if (leafDer === undefined) return refusal(NOT_PROVIDED, purpose, 0, null);
  const isAllowlisted = store.isAllowlisted(leafDer);
  const tooMuch = isAllowlisted ? null : checkSize(chain);
  if (tooMuch !== null) return refusal(tooMuch, purpose, 0, null);
  const leaf = parseOrFinding(leafDer);
  if (!('der' in leaf)) return refusal(leaf, purpose, 0, null);
  if (isAllowlisted) {
    const unfit = (request.revocation ? checkListed(leaf, request.revocation) : null) ?? checkNames(leaf, names);
    return unfit === null ? allowlisted(leaf) : refusal(unfit, purpose, 0, leaf);
  }
  const finding = checkLeaf(leaf, purpose, atMs, request.proof ?? 'signature');
  if (finding !== null) return refusal(finding, purpose, 0, leaf);
  return searchAndName(request, leaf);
}

function searchAndName(request: VerifyRequest, leaf: Certificate): Verdict {
  const { chain, store, purpose, names, atMs, policy = ANY_POLICY, revocation = null } = request;
  const presented: Certificate[] = [];
  let malformed: { readonly finding: Finding; readonly depth: number } | null = null;
  for (let depth = 1; depth < chain.length; depth++) {
    const parsed = parseOrFinding(chain[depth]!);
    if ('der' in parsed) presented.push(parsed);
    else malformed ??= { finding: parsed, depth };
  }
  // A public root vouches for DNS names only (security rule 26): without an expected one it is not consulted.
  const usesPublicRoots = store.publicRoots && names.dnsNames.length > 0;
  const search = new PathSearch({ leaf, presented, store, purpose, atMs, policy, revocation });
  const result = search.run(usesPublicRoots ? ['anchor', 'publicRoots'] : ['anchor']);
  if (!result.ok) {
    const { finding, certificate, depth } = result.failure;
    // What could not be parsed may have been the missing link.
    if (finding.rule === 'trust-anchor' && malformed !== null) {
      return refusal(malformed.finding, purpose, malformed.depth, null);
    }
    return refusal(finding, purpose, depth, certificate, originOf(certificate, request));
  }
  const by = result.path.at(-1)!.from === 'publicRoots' ? 'publicRoots' : 'anchor';
  const misnamed = checkNames(leaf, by === 'publicRoots' ? { dnsNames: names.dnsNames, uris: [] } : names);
  return misnamed === null ? trusted(by, result.path, result.untilMs) : refusal(misnamed, purpose, 0, leaf);
}

/** By identity: a certificate of the peer's that is also configured counts as the peer's, if it was that one that was looked at. */
function originOf(certificate: Certificate, { chain, store }: VerifyRequest): Origin {
  if (store.anchors.includes(certificate)) return 'trustAnchors';
  if (store.intermediates.includes(certificate)) return 'intermediateCas';
  return chain.some((der) => certificate.der.equals(der)) ? 'peer' : 'the public roots';
}

/** Everything about the leaf that does not depend on who issued it. */
function checkLeaf(leaf: Certificate, purpose: Purpose, atMs: number, proof: KeyProof): Finding | null {
  return (
    checkKeyStrength(leaf) ??
    checkAsChild(leaf) ??
    checkValidity(leaf, atMs) ??
    checkCriticalExtensions(leaf) ??
    checkLeafBasicConstraints(leaf) ??
    checkNameConstraintsOfLeaf(leaf) ??
    checkLeafKeyUsage(leaf, purpose, proof) ??
    checkLeafExtendedKeyUsage(leaf, purpose)
  );
}

function checkSize(chain: readonly Uint8Array[]): Finding | null {
  if (chain.length > LIMITS.chainCertificates) {
    return {
      rule: 'chain-length',
      word: 'chainLength',
      found: `the peer sent ${chain.length} certificates`,
      expected: `at most ${LIMITS.chainCertificates}`,
      fix: 'send only the leaf and its intermediates',
    };
  }
  let bytes = 0;
  for (const der of chain) bytes += der.length;
  if (bytes <= LIMITS.chainBytes) return null;
  return {
    rule: 'chain-size',
    word: 'chainSize',
    found: `the peer sent ${bytes} bytes of certificates`,
    expected: `at most ${LIMITS.chainBytes}`,
    fix: 'send only the leaf and its intermediates, or reissue them with fewer names',
  };
}

/** The parsed certificate, or what is wrong with it as a finding of the rule 'malformed-certificate'. */
export function parseOrFinding(der: Uint8Array): Certificate | Finding {
  try {
    return parseCertificate(der);
  } catch (thrown) {
    if (!(thrown instanceof DerError)) throw thrown;
    return {
      rule: 'malformed-certificate',
      word: 'chain',
      found: `it cannot be parsed (${printable(thrown.message)})`,
      expected: 'a DER certificate (RFC 5280)',
      fix: 'reissue it',
    };
  }
}

function allowlisted(leaf: Certificate): Trusted {
  // Dates are skipped for it, so no time ends the verdict.
  return { ok: true, by: 'allowlist', path: [pathLink({ certificate: leaf, from: 'peer' })], notAfterMs: Infinity };
}

function trusted(by: 'anchor' | 'publicRoots', path: readonly PathStep[], untilMs: number): Trusted {
  const notAfterMs = Math.min(untilMs, ...path.map((step) => step.certificate.notAfterMs));
  return { ok: true, by, path: path.map(pathLink), notAfterMs };
}

export function pathLink({ certificate, from }: PathStep): PathLink {
  return {
    subject: certificate.subject.text,
    issuer: certificate.issuer.text,
    notAfterMs: certificate.notAfterMs,
    sha256: certificate.sha256,
    from,
  };
}

const NOT_PROVIDED: Finding = {
  rule: 'no-certificate',
  word: 'notProvided',
  found: 'the peer sent no certificate',
  expected: 'a chain, leaf first',
  fix: 'configure a certificate on the peer',
};

const INTERNAL = {
  rule: 'internal-error',
  word: 'internal',
  expected: 'a verdict',
  fix: 'report this with the chain: it is a defect of the verifier',
} as const satisfies Omit<Finding, 'found'>;
