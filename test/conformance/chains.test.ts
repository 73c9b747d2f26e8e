// Public suites of certificate chains with the verdict that their authors expect. A divergence needs an entry in exceptions/ with its
// reason, and an entry that no longer applies fails. Core cases (OpenSSL, Go and the authors agree) cannot be excused.
import { answerBatchLine } from '#src/pki/batch.ts';
import { parseCertificate } from '#src/pki/certificate.ts';
import { obstacleOf, purposeOf, readCases, runSuite, verdictOn } from './chain-suite.ts';

describe.each([
  ['limbo', 104, { 'IP name': 4, maxDepth: 2 }],
  ['bettertls-pathbuilding', 35, {}],
  ['bettertls-nameconstraints', 67, { 'IP name': 53 }],
  ['boringssl-chains', 77, { 'purpose neither server nor client': 4 }],
  ['nist-pkits', 181, { 'CRL of one distribution point': 2 }],
  ['x509test', 76, {}],
])('%s', (suite, asked, leftOut) => {
  const report = runSuite(suite);

  test('asks every case that it can', () => {
    expect({ asked: report.asked, leftOut: report.leftOut }).toEqual({ asked, leftOut });
  });

  test('agrees with every core case', () => {
    expect(report.core).toEqual([]);
  });

  test('diverges only where an exception says why', () => {
    expect(report.unexplained).toEqual([]);
  });

  test('has no exception that no longer applies', () => {
    expect(report.stale).toEqual([]);
  });
});

test('x509test: every ok-* certificate parses, every xf-der-* one does not', () => {
  const cases = readCases('x509test').map(({ id, leaf }) => ({ id, parses: parses(leaf) }));
  const wellFormed = cases.filter(({ id }) => id.startsWith('x509test::ok-'));
  const malformed = cases.filter(({ id }) => id.startsWith('x509test::xf-der'));
  expect(wellFormed.filter((one) => !one.parses)).toEqual([]);
  expect(malformed.filter((one) => one.parses)).toEqual([]);
  expect([wellFormed.length, malformed.length]).toEqual([23, 1]);
});

test.each(['limbo', 'bettertls-pathbuilding'])('%s: `answerBatchLine()` gives the verdicts of `verify()`', (suite) => {
  for (const chainCase of readCases(suite)) {
    if (obstacleOf(chainCase) !== null || chainCase.crls.length > 0) continue; // `verify --batch` takes no CRLs
    const verdict = verdictOn(chainCase);
    const line = JSON.stringify({
      id: chainCase.id,
      roots: chainCase.roots.map(pem),
      chain: [chainCase.leaf, ...chainCase.intermediates].map(pem),
      dnsNames: chainCase.name === undefined || chainCase.name === null ? [] : [chainCase.name.value],
      purpose: purposeOf(chainCase),
      at: chainCase.time,
    });
    const answer = answerBatchLine(line, 0);
    expect(answer).toMatchObject({ id: chainCase.id, ok: verdict.ok });
    if (!verdict.ok) expect([answer.statusDetails, answer.depth]).toEqual([verdict.statusDetails, verdict.depth]);
  }
});

function parses(base64: string): boolean {
  try {
    parseCertificate(Buffer.from(base64, 'base64'));
    return true;
  } catch {
    return false;
  }
}

function pem(base64: string): string {
  return `-----BEGIN CERTIFICATE-----\n${base64.replace(/(.{64})/g, '$1\n')}\n-----END CERTIFICATE-----\n`;
}
