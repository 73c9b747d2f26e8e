import { LIMITS, P384_WEIGHT } from './limits.ts';

/** Thrown when a search has cost too much: it ends the whole search, no other branch is tried. */
export class BudgetExceeded extends Error {
  readonly spent: string;

  constructor(spent: string) {
    super(`more than ${spent}`);
    this.name = 'BudgetExceeded';
    this.spent = spent;
  }
}

/** What one verification may cost at most, whatever the peer sends. Counted down; each method throws BudgetExceeded. */
export class Budget {
  #issuerEvaluations: number = LIMITS.issuerEvaluations;
  #signatures: number = LIMITS.signatures;
  #steps: number = LIMITS.steps;
  #crlSignatures: number = LIMITS.crlSignatures;
  #policies: number = LIMITS.policies;
  #nameComparisons: number = LIMITS.nameComparisons;

  spendIssuerEvaluation(): void {
    if (--this.#issuerEvaluations < 0)
      throw new BudgetExceeded(`${LIMITS.issuerEvaluations} candidate issuers examined`);
  }

  /** `weight` is what the check costs in checks with a P-256 key. */
  spendSignature(weight: number): void {
    this.#signatures -= weight;
    if (this.#signatures < 0) {
      throw new BudgetExceeded(`${LIMITS.signatures} signatures checked (one by a P-384 key counts ${P384_WEIGHT})`);
    }
  }

  /** One candidate looked at, before anything is computed with it. */
  spendStep(): void {
    if (--this.#steps < 0) throw new BudgetExceeded(`${LIMITS.steps} candidate issuers looked at`);
  }

  /** `count` policies carried one certificate further. */
  spendPolicies(count: number): void {
    this.#policies -= count;
    if (this.#policies < 0) throw new BudgetExceeded(`${LIMITS.policies} certificate policies processed`);
  }

  spendCrlSignature(): void {
    if (--this.#crlSignatures < 0) throw new BudgetExceeded(`${LIMITS.crlSignatures} signatures of CRLs checked`);
  }

  spendNameComparison(): void {
    if (--this.#nameComparisons < 0) {
      throw new BudgetExceeded(`${LIMITS.nameComparisons} names compared with constraints`);
    }
  }
}
