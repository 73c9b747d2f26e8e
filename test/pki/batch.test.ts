import fc from 'fast-check';
import { answerBatchLine, answerQuestion, parseRfc3339 } from '#src/pki/batch.ts';
import type { Issued } from '#src/pki/issue/contract.ts';
import { issue } from '#src/pki/issue/issue.ts';

const NOW_MS = Date.now();
let root: Issued;
let issuing: Issued;
let leaf: Issued;

beforeAll(async () => {
  root = await issue({ subject: 'CN=Root', ca: true });
  issuing = await issue({ subject: 'CN=Issuing CA', ca: true, issuer: root });
  leaf = await issue({ subject: 'CN=leaf', issuer: issuing, dnsNames: ['a.example'], keyUsage: ['keyAgreement'] });
});

const ask = (request: object) => answerBatchLine(JSON.stringify(request), NOW_MS);

describe('`answerBatchLine()`', () => {
  test('answers a good chain', () => {
    const chain = [leaf.certificatePem, issuing.certificatePem];
    expect(ask({ id: 'x', roots: [root.certificatePem], chain, dnsNames: ['a.example'] })).toEqual({
      id: 'x',
      ok: true,
      statusDetails: null,
      rule: null,
      depth: null,
      reason: "trusted by anchor: 'CN=leaf' <- 'CN=Issuing CA' <- 'CN=Root'",
    });
  });

  test('takes several certificates in one string, intermediates, allowlist, purpose and time', () => {
    const chain = [leaf.certificatePem + issuing.certificatePem];
    expect(ask({ id: 1, roots: [root.certificatePem], chain, purpose: 'any' })).toMatchObject({ id: 1, ok: true });
    const parts = {
      roots: [root.certificatePem],
      intermediates: [issuing.certificatePem],
      chain: [leaf.certificatePem],
    };
    expect(ask(parts)).toMatchObject({ id: null, ok: true });
    expect(ask({ ...parts, at: '2001-01-01T00:00:00Z' })).toMatchObject({ ok: false, rule: 'validity', depth: 0 });
    expect(ask({ chain: [leaf.certificatePem], allowlist: [leaf.certificatePem] })).toMatchObject({ ok: true });
  });

  test('refuses with the verdict of the verifier; roots are the only anchors', () => {
    expect(
      ask({ id: 'y', intermediates: [issuing.certificatePem, root.certificatePem], chain: [leaf.certificatePem] }),
    ).toEqual({
      id: 'y',
      ok: false,
      statusDetails: 'ssl_certificate_chain_verification_failed',
      rule: 'trust-anchor',
      depth: 2,
      reason: expect.stringContaining("add 'CN=Root' to trustAnchors"),
    });
    expect(ask({ roots: [root.certificatePem] })).toMatchObject({ statusDetails: 'server_cert_not_provided' });
  });

  test('a malformed certificate is a refusal of that rule, wherever it stands', () => {
    const broken = root.certificatePem.replace(/\n[^\n]+\n-----END/, '\n-----END');
    const rule = 'malformed-certificate';
    expect(ask({ roots: [root.certificatePem], chain: [broken] })).toMatchObject({ ok: false, rule, depth: 0 });
    expect(ask({ roots: [root.certificatePem], chain: ['no PEM'] })).toMatchObject({ ok: false, rule, depth: 0 });
    expect(ask({ roots: [root.certificatePem], chain: [leaf.certificatePem, broken] })).toMatchObject({
      rule,
      depth: 1,
    });
    const answer = ask({ roots: [broken], chain: [leaf.certificatePem, issuing.certificatePem] });
    expect(answer).toMatchObject({ ok: false, rule, depth: 1 });
    expect(answer.reason).toMatch(/roots\[0\] cannot be parsed/);
  });

  test('a malformed root beside a good one changes nothing', () => {
    const chain = [leaf.certificatePem, issuing.certificatePem];
    expect(ask({ roots: ['garbage', root.certificatePem], chain })).toMatchObject({ ok: true });
  });

  test.each([
    ['not JSON', '{', /not JSON/],
    ['a list', '[]', /not an object/],
    ['an unknown member', '{"id":"a","rootz":[]}', /'rootz', expected id, purpose, at/],
    ['a list that is no list', '{"id":"a","chain":"x"}', /'chain' that is not a list of strings/],
    ['a list of numbers', '{"id":"a","chain":[1]}', /'chain'/],
    ['another purpose', '{"id":"a","purpose":"serverAuth"}', /purpose "serverAuth", expected server, client or any/],
    ['another time', '{"id":"a","at":"yesterday"}', /at "yesterday", expected an RFC 3339 time/],
  ])('%s is answered, not thrown', (_, line, reason) => {
    const answer = answerBatchLine(line, NOW_MS);
    expect(answer).toMatchObject({ ok: false, rule: 'malformed-request', depth: null });
    expect(answer.statusDetails).toBe('server_cert_validation_not_performed');
    expect(answer.reason).toMatch(reason);
    expect(answer.id).toBe(line.includes('"id"') ? 'a' : null);
  });

  test('any JSON and any text are answered', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (line) => {
        expect(answerBatchLine(line, NOW_MS).ok).toBe(false);
      }),
    );
  });
});

test('`answerQuestion()` gives the path', () => {
  const answer = answerQuestion({
    roots: [root.certificatePem],
    intermediates: [],
    allowlist: [],
    chain: [leaf.certificatePem + issuing.certificatePem],
    dnsNames: [],
    uris: [],
    purpose: 'server',
    atMs: NOW_MS,
  });
  expect(answer.path.map((link) => link.from)).toEqual(['peer', 'peer', 'anchor']);
});

test('`parseRfc3339()` takes RFC 3339 and nothing else', () => {
  const noon = Date.parse('2026-01-01T12:00:00Z');
  const good = [
    '2026-01-01T12:00:00Z',
    '2026-01-01t12:00:00z',
    '2026-01-01T13:00:00+01:00',
    '2026-01-01T12:00:00.000Z',
  ];
  expect(good.map(parseRfc3339)).toEqual(good.map(() => noon));
  const bad = ['2026-01-01', '2026-01-01T12:00:00', '2026-13-01T12:00:00Z', 'now', 5, null];
  expect(bad.map(parseRfc3339)).toEqual(bad.map(() => null));
});
