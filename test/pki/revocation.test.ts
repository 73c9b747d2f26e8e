import { parseCrls } from '#src/pki/crl.ts';
import type { Issued, IssueRequest } from '#src/pki/issue/contract.ts';
import { type CrlRequest, issueCrl } from '#src/pki/issue/crl.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { findRollback, type RevocationMode, revocation } from '#src/pki/revocation.ts';
import { trustStore } from '#src/pki/trust-store.ts';
import type { Refused, Verdict } from '#src/pki/verdict.ts';
import { VerdictCache } from '#src/pki/verdict-cache.ts';
import { type VerifyRequest, verify } from '#src/pki/verify.ts';

const NOW_MS = Date.parse('2026-06-15T12:00:00Z');
const DAY_MS = 86_400_000;
const LEAF_SERIAL = '4001';
const ISSUING_SERIAL = '4002';

let root: Issued;
let issuing: Issued;
let leaf: Issued;
/** In force, and empty. */
let rootCrl: Buffer;
let issuingCrl: Buffer;

beforeAll(async () => {
  root = await make({ subject: 'CN=Root', ca: true });
  issuing = await make({ subject: 'CN=Issuing', ca: true, issuer: root, serialHex: ISSUING_SERIAL });
  leaf = await make({ subject: 'CN=leaf', issuer: issuing, serialHex: LEAF_SERIAL });
  rootCrl = crl(root);
  issuingCrl = crl(issuing);
});

test('a chain that no CRL lists passes, until the earliest nextUpdate', () => {
  const late = crl(root, { nextUpdate: new Date(NOW_MS + 5 * DAY_MS) });
  const verdict = judge('require', [late, issuingCrl]);
  expect(verdict).toMatchObject({ ok: true, by: 'anchor', notAfterMs: NOW_MS + DAY_MS });
});

describe.each<RevocationMode>(['require', 'if-available'])('mode %s', (mode) => {
  test('refuses a revoked leaf, with date, reason, serial and list', () => {
    const revoked = [{ serialHex: LEAF_SERIAL, date: new Date('2026-06-10T08:00:00Z'), reasonCode: 1 }];
    const verdict = refused(judge(mode, [rootCrl, crl(issuing, { revoked, number: 7 })]));
    expect(verdict).toMatchObject({
      rule: 'revocation',
      depth: 0,
      statusDetails: 'ssl_certificate_chain_verification_failed',
    });
    expect(verdict.reason).toBe(
      "Cannot trust 'CN=leaf' (depth 0): it was revoked on 2026-06-10T08:00:00Z (keyCompromise): its serial number 4001 is on CRL 7 of " +
        "'CN=Issuing', expected a certificate that its CA has not revoked; have the peer present a new certificate with a new key",
    );
  });

  test('refuses a revoked intermediate', () => {
    const verdict = refused(judge(mode, [crl(root, { revoked: [{ serialHex: ISSUING_SERIAL }] }), issuingCrl]));
    expect(verdict).toMatchObject({ rule: 'revocation', depth: 1, subject: 'CN=Issuing' });
  });

  test('refuses what only an expired CRL could clear, as its own reason', () => {
    const expired = crl(issuing, { ...dates(-9, -2), number: 3 });
    const verdict = refused(judge(mode, [rootCrl, expired]));
    expect(verdict).toMatchObject({ rule: 'crl-expired', depth: 0 });
    expect(verdict.reason).toMatch(
      /CRL 3 of 'CN=Issuing', which would have to clear it, has expired, expected a time until 2026-06-13/,
    );
    expect(verdict.reason).toMatch(/fetch the current list/);
  });

  test('believes an expired CRL about what it lists', () => {
    const expired = crl(issuing, { ...dates(-9, -2), revoked: [{ serialHex: LEAF_SERIAL }] });
    expect(refused(judge(mode, [rootCrl, expired])).rule).toBe('revocation');
  });

  test('refuses a CRL of the future', () => {
    expect(refused(judge(mode, [rootCrl, crl(issuing, dates(1, 3))]))).toMatchObject({ rule: 'crl-expired', depth: 0 });
  });

  test('is content with one CRL in force beside an expired one', () => {
    expect(judge(mode, [rootCrl, crl(issuing, dates(-9, -2)), issuingCrl])).toMatchObject({ ok: true });
  });

  test('refuses a CRL that somebody else signed in the name of the CA', async () => {
    const impostor = await make({ subject: 'CN=Issuing', ca: true });
    const verdict = refused(judge(mode, [rootCrl, crl(impostor, { keyIdentifier: false })]));
    expect(verdict).toMatchObject({ rule: 'crl-invalid', depth: 0 });
    expect(verdict.reason).toContain("the signature of CRL 1 of 'CN=Issuing' does not verify");
  });

  test('refuses the CRL of a CA that may not sign one', async () => {
    const mute = await make({ subject: 'CN=Mute', ca: true, issuer: root, keyUsage: ['keyCertSign'] });
    const child = await make({ subject: 'CN=child', issuer: mute });
    const verdict = refused(judge(mode, [rootCrl, crl(mute)], { chain: [child, mute] }));
    expect(verdict).toMatchObject({ rule: 'crl-invalid', depth: 0 });
    expect(verdict.reason).toContain('the keyUsage of that CA lacks cRLSign');
  });

  test('refuses where a CRL cannot be read and may be the one', () => {
    const verdict = refused(judge(mode, [rootCrl], { unreadable: ['crlFile: value cut off at offset 0'] }));
    expect(verdict).toMatchObject({ rule: 'crl-invalid', depth: 0 });
    expect(verdict.reason).toMatch(/cannot be read \(crlFile: value cut off.*may be that of its issuer 'CN=Issuing'/);
    expect(judge(mode, [rootCrl, issuingCrl], { unreadable: ['x'] })).toMatchObject({ ok: true });
  });

  test('finds the other path where one intermediate is revoked', async () => {
    const other = await make({ subject: 'CN=Other Root', ca: true });
    const cross = await make({ subject: 'CN=Issuing', ca: true, issuer: other, keyFrom: issuing, serialHex: '4003' });
    const crls = [crl(root, { revoked: [{ serialHex: ISSUING_SERIAL }] }), crl(other), issuingCrl];
    const verdict = judge(mode, crls, { chain: [leaf, issuing, cross], anchors: [root, other] });
    expect(verdict.ok && verdict.path.at(-1)!.subject).toBe('CN=Other Root');
  });

  test('takes no other certificate of the same CA and key as a way around its CRL', async () => {
    // The key identifier is the peer's choice among the certificates of one CA; the key is not.
    const oddId = { oid: '2.5.29.14', critical: false, valueDer: Buffer.from('04040badcafe', 'hex') };
    const twin = await make({
      subject: 'CN=Issuing',
      ca: true,
      issuer: root,
      keyFrom: issuing,
      keyIdentifiers: false,
      extensions: [oddId],
    });
    const child = await make({ subject: 'CN=child', issuer: issuing, keyIdentifiers: false, serialHex: '4009' });
    const listed = crl(issuing, { revoked: [{ serialHex: '4009' }] });
    expect(refused(judge(mode, [rootCrl, listed], { chain: [child, twin] })).rule).toBe('revocation');
  });

  test('takes the CRL of a CA’s new key for certificates of its old one', async () => {
    const next = await make({ subject: 'CN=Issuing', ca: true, issuer: root });
    const oldWithNew = await make({ subject: 'CN=Issuing', ca: true, issuer: next, keyFrom: issuing });
    const chain = [leaf, oldWithNew, next];
    expect(judge(mode, [rootCrl, crl(next)], { chain })).toMatchObject({ ok: true });
    const listed = crl(next, { revoked: [{ serialHex: LEAF_SERIAL }] });
    expect(refused(judge(mode, [rootCrl, listed], { chain })).rule).toBe('revocation');
  });
});

describe('without a CRL of the issuer', () => {
  test('`require` refuses, leaf and intermediate alike', () => {
    const verdict = refused(judge('require', [rootCrl]));
    expect(verdict).toMatchObject({ rule: 'crl-missing', depth: 0 });
    expect(verdict.reason).toMatch(
      /no CRL of its issuer 'CN=Issuing' is configured.*add the CRL of 'CN=Issuing' to revocation\.crlFile/,
    );
    expect(refused(judge('require', [issuingCrl]))).toMatchObject({ rule: 'crl-missing', depth: 1 });
  });

  test('`if-available` passes', () => {
    expect(judge('if-available', [rootCrl])).toMatchObject({ ok: true });
    expect(judge('if-available', [])).toMatchObject({ ok: true, notAfterMs: NOW_MS + 30 * DAY_MS });
  });

  test('`if-available` passes where the CRL is of a namesake with another key', async () => {
    const namesake = await make({ subject: 'CN=Issuing', ca: true });
    expect(judge('if-available', [rootCrl, crl(namesake)])).toMatchObject({ ok: true });
    expect(refused(judge('require', [rootCrl, crl(namesake)])).rule).toBe('crl-missing');
  });

  test('one for end entities only does not clear an intermediate', () => {
    const usersOnly = { oid: '2.5.29.28', critical: true, valueDer: Buffer.from('30038101ff', 'hex') };
    const verdict = refused(judge('require', [crl(root, { extensions: [usersOnly] }), issuingCrl]));
    expect(verdict).toMatchObject({ rule: 'crl-missing', depth: 1 });
  });
});

describe('the allowlist', () => {
  const revoked = [{ serialHex: LEAF_SERIAL }];

  test('does not save a leaf that a configured CRL lists, in force or expired (security rule 22)', () => {
    for (const mode of ['require', 'if-available'] as const) {
      const options = { allowlist: [leaf], anchors: [] };
      expect(refused(judge(mode, [crl(issuing, { revoked })], options))).toMatchObject({
        rule: 'revocation',
        depth: 0,
      });
      expect(refused(judge(mode, [crl(issuing, { ...dates(-9, -2), revoked })], options)).rule).toBe('revocation');
    }
  });

  test('asks for no CRL', () => {
    expect(judge('require', [], { allowlist: [leaf], anchors: [] })).toMatchObject({ ok: true, by: 'allowlist' });
  });
});

test('a broken rule of the path is named before a missing CRL', async () => {
  const expired = await make({ subject: 'CN=l', issuer: issuing, ...validFrom(-20, -10) });
  expect(refused(judge('require', [], { chain: [expired, issuing] })).rule).toBe('validity');
});

describe('the cache', () => {
  test('does not keep a verdict beyond nextUpdate', () => {
    const cache = new VerdictCache();
    const question = request('require', [rootCrl, issuingCrl]);
    expect(cache.verify(question)).toMatchObject({ ok: true });
    expect(refused(cache.verify({ ...question, atMs: NOW_MS + DAY_MS + 1000 })).rule).toBe('crl-expired');
  });

  test('does not answer for other CRLs or another mode', () => {
    const cache = new VerdictCache();
    expect(cache.verify(request('if-available', []))).toMatchObject({ ok: true });
    expect(cache.verify(request('require', []))).toMatchObject({ ok: false });
    const listed = crl(issuing, { revoked: [{ serialHex: LEAF_SERIAL }] });
    expect(refused(cache.verify(request('if-available', [listed]))).rule).toBe('revocation');
    expect(cache.size).toBe(3);
  });
});

test('`findRollback()` names a list that is older than the last one of the same issuer and key', async () => {
  const [old, next] = [crl(issuing, { number: 8 }), crl(issuing, { number: 9 })].map((der) => parseCrls(der)[0]!);
  expect(findRollback([old!], [next!])).toBeNull();
  expect(findRollback([old!], [old!])).toBeNull();
  expect(findRollback([next!], [old!])).toBe(
    "Cannot take CRL 8 of 'CN=Issuing': found a cRLNumber below that of the last one, 9, expected at least that; fetch the current list",
  );
  expect(findRollback([next!], [old!, next!])).toBeNull(); // a file with both
  const namesake = parseCrls(crl(await make({ subject: 'CN=Issuing', ca: true }), { number: 1 }))[0]!;
  expect(findRollback([next!], [namesake])).toBeNull();
});

interface Options {
  readonly chain?: readonly Issued[];
  readonly anchors?: readonly Issued[];
  readonly allowlist?: readonly Issued[];
  readonly unreadable?: readonly string[];
}

function judge(mode: RevocationMode, crls: readonly Buffer[], options: Options = {}): Verdict {
  return verify(request(mode, crls, options));
}

function request(mode: RevocationMode, crls: readonly Buffer[], options: Options = {}): VerifyRequest {
  const ders = (list: readonly Issued[]) => list.map(({ der }) => der);
  return {
    chain: ders(options.chain ?? [leaf, issuing]),
    store: trustStore({
      name: 'internal',
      anchors: ders(options.anchors ?? [root]),
      intermediates: [],
      allowlist: ders(options.allowlist ?? []),
      publicRoots: false,
    }),
    purpose: 'server',
    names: { dnsNames: [], uris: [] },
    atMs: NOW_MS,
    revocation: revocation({ mode, crls: crls.flatMap(parseCrls), unreadable: options.unreadable ?? [] }),
  };
}

function refused(verdict: Verdict): Refused {
  if (verdict.ok) throw new Error(`accepted by ${verdict.by}`);
  return verdict;
}

function crl(issuer: Issued, options: Omit<CrlRequest, 'issuer'> = {}): Buffer {
  return issueCrl({ issuer, ...dates(-1, 1), ...options });
}

function dates(fromDays: number, untilDays: number) {
  return { thisUpdate: new Date(NOW_MS + fromDays * DAY_MS), nextUpdate: new Date(NOW_MS + untilDays * DAY_MS) };
}

function validFrom(fromDays: number, untilDays: number) {
  return { notBefore: new Date(NOW_MS + fromDays * DAY_MS), notAfter: new Date(NOW_MS + untilDays * DAY_MS) };
}

function make(options: IssueRequest): Promise<Issued> {
  return issue({ ...validFrom(-30, 30), ...options });
}
