// What an operator reads: one sentence that says which certificate, what is wrong with it, what should be, and what to do where.
import { parseCertificate } from '#src/pki/certificate.ts';
import type { Issued, IssueRequest } from '#src/pki/issue/contract.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { type TrustStore, trustStore } from '#src/pki/trust-store.ts';
import { verifyUnauthenticated } from '#src/pki/unauthenticated.ts';
import type { ExpectedNames, Refused, Verdict } from '#src/pki/verdict.ts';
import { verify } from '#src/pki/verify.ts';

const DAY_MS = 86_400_000;
const NO_NAMES: ExpectedNames = { dnsNames: [], uris: [] };

let root: Issued;
let issuing: Issued;
let leaf: Issued;

beforeAll(async () => {
  root = await issue({ subject: 'CN=Root 2', ca: true });
  issuing = await issue({ subject: 'CN=Issuing CA 2', ca: true, issuer: root });
  leaf = await issue({ subject: 'CN=a.example', issuer: issuing, dnsNames: ['b.example'], uris: ['spiffe://a/b'] });
});

test('the parts of the verdict make up its sentence', () => {
  const { reason, subject, depth, found, expected, remedy } = refused(judge([leaf, issuing], store({})));
  expect(reason).toBe(`Cannot trust '${subject}' (depth ${depth}): ${found}, expected ${expected}; ${remedy}`);
  expect({ subject, depth, found, expected, remedy }).toEqual({
    subject: 'CN=Issuing CA 2',
    depth: 1,
    found:
      "the chain ends at 'CN=Issuing CA 2', whose issuer 'CN=Root 2' was not sent and is not in trust config 'internal'",
    expected: 'a path to a trust anchor',
    remedy: "add 'CN=Root 2' to trustAnchors (or to intermediateCas if it is not the root), or have the peer send it",
  });
});

test('a missing issuer was looked for among the public roots too, where they count', () => {
  const { found } = refused(judge([leaf, issuing], store({ publicRoots: true })));
  expect(found).toContain("is not in trust config 'internal' or among the public roots");
});

test.each<[string, 'anchors' | 'intermediates' | 'peer', string]>([
  ['an expired anchor is to be mended in trustAnchors', 'anchors', '(depth 1, from trustAnchors): it has expired'],
  ['an expired intermediate, in intermediateCas', 'intermediates', '(depth 1, from intermediateCas): it has expired'],
  ['one that the peer sends, there', 'peer', '(depth 1): it has expired'],
])('%s', async (_, where, text) => {
  const until = new Date(Date.now() - DAY_MS);
  const old = { notBefore: new Date(until.getTime() - DAY_MS), notAfter: until };
  const isAnchor = where === 'anchors';
  const ca = await issue({ subject: 'CN=Old', ca: true, ...(isAnchor ? {} : { issuer: root }), ...old });
  const child = await issue({ subject: 'CN=child', issuer: ca });
  const trust = store({ anchors: [isAnchor ? ca : root], intermediates: where === 'intermediates' ? [ca] : [] });
  const verdict = refused(judge(where === 'peer' ? [child, ca] : [child], trust));
  expect(verdict.reason).toContain(`Cannot trust 'CN=Old' ${text}`);
});

test('a CN that would have matched is said not to count', async () => {
  const bare = await issue({ subject: 'CN=a.example', issuer: root });
  const verdict = refused(judge([bare], store({ anchors: [root] }), { dnsNames: ['a.example'], uris: [] }));
  expect(verdict.found).toBe("it has no subjectAltName (its CN 'a.example' does not count)");
  expect(verdict.expected).toBe('DNS:a.example');
});

test('an unauthenticated backend’s RSA key: what its keyUsage lacks', async () => {
  const keyed = async (request: Partial<IssueRequest>) => {
    const { der } = await issue({ subject: 'CN=rsa', keyType: 'rsa-2048', ...request });
    return refused(verifyUnauthenticated({ chain: [der], names: NO_NAMES })).found;
  };
  expect(await keyed({ keyUsage: ['digitalSignature'] })).toBe('the keyUsage of its RSA key lacks keyEncipherment');
  expect(await keyed({ keyUsage: ['keyCertSign'] })).toContain('lacks digitalSignature and keyEncipherment');
  expect(await keyed({ keyUsage: null })).toBe('its RSA key has no keyUsage');
});

describe('anchors and public roots together (security rule 26)', () => {
  const both: ExpectedNames = { dnsNames: ['b.example'], uris: ['spiffe://a/b'] };

  test('a chain to a public root satisfies a DNS name, and the verdict names that store', () => {
    expect(judge([leaf, issuing], publiclyTrusted(), both)).toMatchObject({ ok: true, by: 'publicRoots' });
  });

  test('but never a URI', () => {
    const names: ExpectedNames = { dnsNames: ['other.example'], uris: ['spiffe://a/b'] };
    const verdict = refused(judge([leaf, issuing], publiclyTrusted(), names));
    expect(verdict).toMatchObject({ rule: 'subject-alternative-name', expected: 'DNS:other.example' });
    const uriOnly: ExpectedNames = { dnsNames: [], uris: ['spiffe://a/b'] };
    expect(refused(judge([leaf, issuing], publiclyTrusted(), uriOnly)).rule).toBe('trust-anchor');
  });

  test('an anchor goes first', () => {
    const names: ExpectedNames = { dnsNames: ['other.example'], uris: ['spiffe://a/b'] };
    const trust = publiclyTrusted({ anchors: [root] });
    expect(judge([leaf, issuing], trust, names)).toMatchObject({ ok: true, by: 'anchor' });
  });

  test('what is wrong with a public root is said to be wrong there', async () => {
    const narrow = await issue({ subject: 'CN=Root 2', ca: true, keyFrom: root, permitted: { dns: ['a.test'] } });
    const verdict = refused(judge([leaf, issuing], publiclyTrusted({}, narrow), both));
    expect(verdict.reason).toContain(
      "'CN=Root 2' (depth 2, from the public roots): 'CN=a.example' below it has the name",
    );
  });
});

interface Trust {
  readonly anchors?: readonly Issued[];
  readonly intermediates?: readonly Issued[];
  readonly publicRoots?: boolean;
}

function store({ anchors = [], intermediates = [], publicRoots = false }: Trust): TrustStore {
  return trustStore({
    name: 'internal',
    anchors: anchors.map(({ der }) => der),
    intermediates: intermediates.map(({ der }) => der),
    allowlist: [],
    publicRoots,
  });
}

/** A store whose public roots are the root of this file, or another certificate. */
function publiclyTrusted(trust: Trust = {}, publicRoot: Issued = root): TrustStore {
  const certificate = parseCertificate(publicRoot.der);
  return {
    ...store({ ...trust, publicRoots: true }),
    publicRootsNamed: (subjectKey) => (subjectKey === certificate.subject.key ? [certificate] : []),
  };
}

function judge(
  chain: readonly Issued[],
  trust: TrustStore,
  names: ExpectedNames = { dnsNames: ['b.example'], uris: [] },
) {
  return verify({
    chain: chain.map(({ der }) => der),
    store: trust,
    purpose: 'server',
    names,
    atMs: Date.now(),
  });
}

function refused(verdict: Verdict): Refused {
  if (verdict.ok) throw new Error(`accepted by ${verdict.by}`);
  return verdict;
}
