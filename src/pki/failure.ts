import type { Certificate } from './certificate.ts';
import type { Finding, RuleName } from './finding.ts';

/** Why a branch ended. */
export interface Failure {
  readonly finding: Finding;
  readonly certificate: Certificate;
  readonly depth: number;
}

/**
 * Keeps the most specific of the reasons that a search meets. A broken rule on a chain whose signatures hold says more than a
 * missing issuer; among missing issuers and wrong keys the one furthest from the leaf names the place where the chain broke off.
 */
export class MostSpecificFailure {
  #best: RankedFailure | null = null;

  get best(): Failure | null {
    return this.#best;
  }

  add(failure: Failure): void {
    const rank = RANKS[failure.finding.rule] ?? 0;
    if (this.#best === null || outranks(failure.depth, rank, this.#best)) this.#best = { ...failure, rank };
  }
}

interface RankedFailure extends Failure {
  readonly rank: number;
}

function outranks(depth: number, rank: number, best: RankedFailure): boolean {
  if (rank >= LINKED || best.rank >= LINKED) return rank > best.rank;
  return depth === best.depth ? rank > best.rank : depth > best.depth;
}

/** From here on the signature over the child was good: the reason is about the chain that was meant. */
const LINKED = 10;

/** How specific a reason is. Below LINKED the deeper one wins first, as it names the place where the chain broke off. */
const RANKS: { readonly [rule in RuleName]?: number } = {
  'trust-anchor': 1,
  'key-identifiers': 2,
  signature: 3,
  'key-strength': 4,
  'serial-number': 10,
  'issuer-subject': 11,
  'subject-alternative-name': 12,
  'search-limit': 13,
  'signature-algorithm': 14,
  validity: 15,
  'critical-extensions': 16,
  'basic-constraints': 17,
  'key-usage': 18,
  'extended-key-usage': 19,
  policies: 20,
  'path-length': 21,
  'name-constraints': 22,
  // Found on complete paths only: everything else held.
  'crl-missing': 23,
  'crl-expired': 24,
  'crl-invalid': 25,
  revocation: 26,
};
