import { LIMITS } from './limits.ts';

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
  #nameComparisons: number = LIMITS.nameComparisons;

  spendIssuerEvaluation(): void {
    if (--this.#issuerEvaluations < 0)
      throw new BudgetExceeded(`${LIMITS.issuerEvaluations} candidate issuers examined`);
  }

  spendSignature(): void {
    if (--this.#signatures < 0) throw new BudgetExceeded(`${LIMITS.signatures} signatures checked`);
  }

  spendNameComparison(): void {
    if (--this.#nameComparisons < 0) {
      throw new BudgetExceeded(`${LIMITS.nameComparisons} names compared with constraints`);
    }
  }
}
