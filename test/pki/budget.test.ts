import { Budget, BudgetExceeded } from '#src/pki/budget.ts';
import type { Issued, IssueRequest } from '#src/pki/issue/contract.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { P384_WEIGHT } from '#src/pki/limits.ts';
import { printable } from '#src/pki/printable.ts';
import { trustStore } from '#src/pki/trust-store.ts';
import type { Refused } from '#src/pki/verdict.ts';
import { verify } from '#src/pki/verify.ts';

test.each([
  ['issuer evaluations', 100, (budget: Budget) => budget.spendIssuerEvaluation()],
  ['signatures', 100, (budget: Budget) => budget.spendSignature(1)],
  ['signatures by P-384 keys', 16, (budget: Budget) => budget.spendSignature(P384_WEIGHT)],
  ['steps', 2000, (budget: Budget) => budget.spendStep()],
  ['policies', 20_000, (budget: Budget) => budget.spendPolicies(1)],
  ['signatures of CRLs', 9, (budget: Budget) => budget.spendCrlSignature()],
  ['name comparisons', 100_000, (budget: Budget) => budget.spendNameComparison()],
])('%s: %d and not one more', (_, limit, spend) => {
  const budget = new Budget();
  for (let count = 0; count < limit; count++) spend(budget);
  expect(() => spend(budget)).toThrow(BudgetExceeded);
});

describe('a chain that would cost too much is refused, and the reason names what was too much', () => {
  test('signatures by P-384 keys, which cost six times as much', async () => {
    const anchors = await many(21, () => ca({ keyType: 'p384', keyIdentifiers: false }));
    const issuer = await ca({ keyType: 'p384', keyIdentifiers: false });
    const verdict = judge([await leafOf(issuer, {})], anchors);
    expect(verdict).toMatchObject({ rule: 'search-limit', depth: 0 });
    expect(verdict.reason).toContain('more than 100 signatures checked (one by a P-384 key counts 6)');
  });

  test('names compared with the constraints of many anchors', async () => {
    const key = await ca({});
    const permitted = { dns: [...Array.from({ length: 9 }, (_, index) => `n${index}.test`), 'a.b'] };
    const anchors = await many(6, () => ca({ keyFrom: key, keyIdentifiers: false, permitted }));
    const dnsNames = [...Array.from({ length: 2100 }, () => 'a.b'), 'last.one'];
    const verdict = judge([await leafOf(key, { dnsNames })], anchors);
    expect(verdict.rule).toBe('search-limit');
    expect(verdict.reason).toContain('more than 100000 names compared with constraints');
  });

  test('policies carried up to many anchors', async () => {
    const key = await ca({});
    const requireExplicit = { oid: '2.5.29.36', critical: true, valueDer: Buffer.from('3003800100', 'hex') };
    const nobodys = { oid: '2.5.29.32', critical: false, valueDer: Buffer.from('300730050603' + '2a0304', 'hex') };
    const extensions = [requireExplicit, nobodys];
    const anchors = await many(40, () => ca({ keyFrom: key, keyIdentifiers: false, extensions }));
    const verdict = judge([await leafOf(key, { extensions: [policies(700)] })], anchors);
    expect(verdict.rule).toBe('search-limit');
    expect(verdict.reason).toContain('more than 20000 certificate policies processed');
  });
});

test('a long name of control characters makes a short reason', async () => {
  const anchor = await ca({ permitted: { uri: ['a.b'] } });
  const verdict = judge([await leafOf(anchor, { uris: [`a://${'\u0001'.repeat(15_000)}`] })], [anchor]);
  expect(verdict.rule).toBe('name-constraints');
  expect(verdict.reason.length).toBeLessThanOrEqual(1200);
  expect(verdict.reason).toContain('URI:a://\\01\\01');
});

test('`printable()` looks no further than what it may show', () => {
  expect(printable('\u0001'.repeat(1000), 8)).toBe('\\01\\01\\…');
  expect(printable('abc', 3)).toBe('abc');
  expect(printable('abcd', 3)).toBe('ab…');
  expect(printable('a\u{1f600}', 2)).toBe('a…');
});

function judge(chain: readonly Issued[], anchors: readonly Issued[]): Refused {
  const verdict = verify({
    chain: chain.map(({ der }) => der),
    store: trustStore({
      name: 'full',
      anchors: anchors.map(({ der }) => der),
      intermediates: [],
      allowlist: [],
      publicRoots: false,
    }),
    purpose: 'server',
    names: { dnsNames: [], uris: [] },
    atMs: Date.now(),
  });
  if (verdict.ok) throw new Error('accepted');
  return verdict;
}

function ca(request: Partial<IssueRequest>): Promise<Issued> {
  return issue({ subject: 'CN=X', ca: true, ...request });
}

function leafOf(issuer: Issued, request: Partial<IssueRequest>): Promise<Issued> {
  return issue({ subject: 'CN=leaf', issuer, keyIdentifiers: false, ...request });
}

async function many(count: number, make: () => Promise<Issued>): Promise<Issued[]> {
  const made: Issued[] = [];
  for (let index = 0; index < count; index++) made.push(await make());
  return made;
}

/** certificatePolicies with policies 1.2.n.m. */
function policies(count: number) {
  const items = Array.from({ length: count }, (_, index) =>
    Buffer.of(0x30, 5, 6, 3, 0x2a, 0x81 + (index >> 7), index & 0x7f),
  );
  const content = Buffer.concat(items);
  const valueDer = Buffer.concat([Buffer.of(0x30, 0x82, content.length >> 8, content.length & 0xff), content]);
  return { oid: '2.5.29.32', critical: false, valueDer };
}
