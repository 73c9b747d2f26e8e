import { Budget, BudgetExceeded } from './budget.ts';
import type { Certificate } from './certificate.ts';
import { type Failure, MostSpecificFailure } from './failure.ts';
import type { Finding } from './finding.ts';
import { LIMITS, P384_WEIGHT } from './limits.ts';
import { OID } from './oids.ts';
import { checkRevocation, type Revocation } from './revocation.ts';
import { checkIssuerBasicConstraints } from './rules/basic-constraints.ts';
import { checkCriticalExtensions } from './rules/critical-extensions.ts';
import { checkIssuerExtendedKeyUsage } from './rules/extended-key-usage.ts';
import { checkIssuerName, checkIssuerSubject } from './rules/issuer-subject.ts';
import { checkKeyIdentifiers } from './rules/key-identifiers.ts';
import { checkKeyStrength } from './rules/key-strength.ts';
import { checkIssuerKeyUsage } from './rules/key-usage.ts';
import { checkNameConstraintsOfIssuer, checkNamesBelow } from './rules/name-constraints.ts';
import { checkPathLength } from './rules/path-length.ts';
import { checkPolicies, checkPolicyExtensions, type PolicyInputs } from './rules/policies.ts';
import { checkSerialNumber } from './rules/serial-number.ts';
import { checkSignatureAlgorithm } from './rules/signature-algorithm.ts';
import { checkNamePlacement } from './rules/subject-alternative-name.ts';
import { checkValidity } from './rules/validity.ts';
import {
  badSignature,
  NO_REASON,
  noIssuer,
  OWN_ANCHOR,
  searchLimit,
  TOO_MANY_OF_ONE_ENTITY,
} from './search-findings.ts';
import type { TrustStore } from './trust-store.ts';
import type { PathLink, Purpose } from './verdict.ts';

/** One certificate of a path under construction. */
export interface PathStep {
  readonly certificate: Certificate;
  readonly from: PathLink['from'];
}

export interface SearchInput {
  readonly leaf: Certificate;
  /** What the peer sent besides the leaf, in its order. */
  readonly presented: readonly Certificate[];
  readonly store: TrustStore;
  readonly purpose: Purpose;
  readonly atMs: number;
  readonly policy: PolicyInputs;
  /** null: revocation is not asked about. */
  readonly revocation: Revocation | null;
}

export type SearchResult =
  | {
      readonly ok: true;
      readonly path: readonly PathStep[] /** The earliest nextUpdate relied upon. */;
      readonly untilMs: number;
    }
  | { readonly ok: false; readonly failure: Failure };

/**
 * Depth-first search for a path from the leaf to an anchor (RFC 4158; the shape of rustls-webpki's builder). At each certificate
 * anchors are tried before intermediates, those of the peer before those of the trust config. A candidate issuer is judged when it
 * is met, cheap rules first and everything that does not depend on the path only once; a branch that fails is left and the next one
 * tried. Of all the reasons met, the most specific is reported.
 */
export class PathSearch {
  readonly #input: SearchInput;
  readonly #budget = new Budget();
  readonly #issuerFindings = new Map<Certificate, Finding | null>();
  readonly #childFindings = new Map<Certificate, Finding | null>();
  /** By child, then by key: cross-certificates of one key have one answer. */
  readonly #signatures = new Map<Certificate, Map<string, boolean>>();
  readonly #issuersOf = new Map<string, readonly PathStep[]>();
  #anchorKind: 'anchor' | 'publicRoots' = 'anchor';
  #untilMs = Number.POSITIVE_INFINITY;
  readonly #reasons = new MostSpecificFailure();

  constructor(input: SearchInput) {
    this.#input = input;
  }

  /** Searches for anchors of the first kind to the end, then for those of the next. */
  run(anchorKinds: readonly ('anchor' | 'publicRoots')[]): SearchResult {
    const start: PathStep[] = [{ certificate: this.#input.leaf, from: 'peer' }];
    try {
      for (const kind of anchorKinds) {
        this.#anchorKind = kind;
        const path = this.#extend(start);
        if (path !== null) return { ok: true, path, untilMs: this.#untilMs };
      }
    } catch (thrown) {
      if (thrown instanceof SearchEnded) return { ok: false, failure: thrown.failure };
      if (!(thrown instanceof BudgetExceeded)) throw thrown;
      const expected = `at most ${thrown.spent}`;
      return { ok: false, failure: this.#atLeaf(searchLimit(thrown.message, expected)) };
    }
    return { ok: false, failure: this.#reasons.best ?? this.#atLeaf(NO_REASON) };
  }

  /** A complete path that begins with `path`, or null. */
  #extend(path: readonly PathStep[]): readonly PathStep[] | null {
    const tip = path.at(-1)!.certificate;
    const below = path.map((step) => step.certificate);
    const anchors = this.#anchorsFor(tip);
    for (const anchor of anchors) {
      if (!this.#admits(anchor, below)) continue;
      if (this.#completes([...below, anchor])) return [...path, { certificate: anchor, from: this.#anchorKind }];
    }
    const issuers = this.#intermediatesFor(tip, path.length);
    let hasFreshIssuer = false;
    for (const issuer of issuers) {
      if (below.some((certificate) => certificate.isSameEntity(issuer.certificate))) continue; // RFC 4158 section 5.2
      hasFreshIssuer = true;
      const depth = path.length;
      if (depth + 1 >= LIMITS.pathCertificates) {
        const limit = `${LIMITS.pathCertificates} certificates`;
        this.#fail(
          searchLimit(`the path is longer than ${limit}`, `at most ${limit} with leaf and anchor`),
          tip,
          depth - 1,
        );
        continue;
      }
      if (!this.#admits(issuer.certificate, below)) continue;
      const finding = this.#childFinding(issuer.certificate);
      if (finding !== null) {
        this.#fail(finding, issuer.certificate, depth);
        continue;
      }
      const found = this.#extend([...path, issuer]);
      if (found !== null) return found;
    }
    if (anchors.length === 0 && !hasFreshIssuer) {
      const isSelfSignedLeaf = path.length === 1 && this.#isSelfSigned(tip);
      this.#fail(noIssuer(tip, this.#input.store, isSelfSignedLeaf), tip, path.length - 1);
    }
    return null;
  }

  /** The rules for a path as a whole. Records why not. */
  #completes(path: readonly Certificate[]): boolean {
    const { policy, revocation, atMs } = this.#input;
    const finding = checkPolicies(path, policy, this.#budget);
    if (finding !== null) {
      this.#fail(finding, path[0]!, 0);
      return false;
    }
    if (revocation === null) return true;
    const result = checkRevocation(path, revocation, atMs, this.#budget);
    if (result.ok) this.#untilMs = result.untilMs;
    else this.#fail(result.finding, result.certificate, result.depth);
    return result.ok;
  }

  /** Whether `issuer` may stand above the path `below` (leaf first). Records why not. */
  #admits(issuer: Certificate, below: readonly Certificate[]): boolean {
    this.#budget.spendStep();
    const depth = below.length;
    const child = below[depth - 1]!;
    if (below.some((certificate) => certificate.isSameEntity(issuer))) {
      this.#fail(OWN_ANCHOR, child, depth - 1);
      return false;
    }
    const identifiers = checkKeyIdentifiers(child, issuer);
    if (identifiers !== null) {
      this.#fail(identifiers, child, depth - 1);
      return false;
    }
    this.#budget.spendIssuerEvaluation();
    const strength = checkKeyStrength(issuer);
    if (strength !== null) {
      this.#fail(strength, issuer, depth);
      return false;
    }
    if (!this.#isSigned(child, issuer)) {
      this.#fail(badSignature(issuer), child, depth - 1);
      return false;
    }
    const finding =
      this.#issuerFinding(issuer) ?? checkPathLength(issuer, below) ?? checkNamesBelow(issuer, below, this.#budget);
    if (finding === null) return true;
    this.#fail(finding, issuer, depth);
    return false;
  }

  /** The rules for an issuer, anchors included, that do not depend on the path. Its self-signature and hash do not count. */
  #issuerFinding(issuer: Certificate): Finding | null {
    const known = this.#issuerFindings.get(issuer);
    if (known !== undefined) return known;
    const { atMs, purpose } = this.#input;
    const finding =
      checkIssuerSubject(issuer) ??
      checkValidity(issuer, atMs) ??
      checkCriticalExtensions(issuer) ??
      checkIssuerBasicConstraints(issuer) ??
      checkIssuerKeyUsage(issuer) ??
      checkIssuerExtendedKeyUsage(issuer, purpose) ??
      checkNameConstraintsOfIssuer(issuer) ??
      checkPolicyExtensions(issuer);
    this.#issuerFindings.set(issuer, finding);
    return finding;
  }

  /** The rules for a certificate that needs an issuer itself: what is not asked of anchors. */
  #childFinding(certificate: Certificate): Finding | null {
    const known = this.#childFindings.get(certificate);
    if (known !== undefined) return known;
    const finding = checkAsChild(certificate);
    this.#childFindings.set(certificate, finding);
    return finding;
  }

  #isSigned(child: Certificate, issuer: Certificate): boolean {
    let byKey = this.#signatures.get(child);
    if (byKey === undefined) {
      byKey = new Map();
      this.#signatures.set(child, byKey);
    }
    const key = issuer.spki.toString('latin1');
    const known = byKey.get(key);
    if (known !== undefined) return known;
    this.#budget.spendSignature(
      issuer.publicKey.kind === 'EC' && issuer.publicKey.curve === OID.p384 ? P384_WEIGHT : 1,
    );
    const isSigned = child.isSignedBy(issuer);
    byKey.set(key, isSigned);
    return isSigned;
  }

  #anchorsFor(child: Certificate): readonly Certificate[] {
    const { store } = this.#input;
    const key = child.issuer.key;
    return this.#anchorKind === 'anchor' ? store.anchorsNamed(key) : store.publicRootsNamed(key);
  }

  #intermediatesFor(child: Certificate, depth: number): readonly PathStep[] {
    const key = child.issuer.key;
    const known = this.#issuersOf.get(key);
    if (known !== undefined) return known;
    const steps: PathStep[] = [];
    const add = (certificate: Certificate, from: PathLink['from']) => {
      if (!steps.some((step) => step.certificate.der.equals(certificate.der))) steps.push({ certificate, from });
    };
    for (const certificate of this.#input.presented) if (certificate.subject.key === key) add(certificate, 'peer');
    for (const certificate of this.#input.store.intermediatesNamed(key)) add(certificate, 'trustConfig');
    checkGroupSize(steps, depth);
    this.#issuersOf.set(key, steps);
    return steps;
  }

  /** Only for the message: the verdict is no either way. */
  #isSelfSigned(certificate: Certificate): boolean {
    return (
      certificate.isSelfIssued && checkKeyStrength(certificate) === null && this.#isSigned(certificate, certificate)
    );
  }

  #fail(finding: Finding, certificate: Certificate, depth: number): void {
    this.#reasons.add({ finding, certificate, depth });
  }

  #atLeaf(finding: Finding): Failure {
    return { finding, certificate: this.#input.leaf, depth: 0 };
  }
}

/** The rules for a certificate below the anchor, leaf or intermediate, that do not depend on its issuer. */
export function checkAsChild(certificate: Certificate): Finding | null {
  return (
    checkSignatureAlgorithm(certificate) ??
    checkSerialNumber(certificate) ??
    checkIssuerName(certificate) ??
    checkNamePlacement(certificate)
  );
}

/** More than three intermediates of one subject and key: "no validation is performed" (spec 2.5, 10.7). */
function checkGroupSize(steps: readonly PathStep[], depth: number): void {
  if (steps.length <= LIMITS.sameEntityIntermediates) return;
  const counts = new Map<string, number>();
  for (const { certificate } of steps) {
    const key = certificate.spki.toString('latin1');
    const count = (counts.get(key) ?? 0) + 1;
    if (count > LIMITS.sameEntityIntermediates) {
      throw new SearchEnded({ finding: TOO_MANY_OF_ONE_ENTITY, certificate, depth });
    }
    counts.set(key, count);
  }
}

/** Ends the whole search: no other branch is tried. */
class SearchEnded extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.finding.found);
    this.name = 'SearchEnded';
    this.failure = failure;
  }
}
