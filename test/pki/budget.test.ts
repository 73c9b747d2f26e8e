import { Budget, BudgetExceeded } from '#src/pki/budget.ts';

test.each([
  ['issuer evaluations', 100, (budget: Budget) => budget.spendIssuerEvaluation()],
  ['signatures', 100, (budget: Budget) => budget.spendSignature()],
  ['name comparisons', 250_000, (budget: Budget) => budget.spendNameComparison()],
])('%s: %d and not one more', (_, limit, spend) => {
  const budget = new Budget();
  for (let count = 0; count < limit; count++) spend(budget);
  expect(() => spend(budget)).toThrow(BudgetExceeded);
});
