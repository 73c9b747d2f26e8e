import { parseCertificate } from '#src/pki/certificate.ts';
import { DerError } from '#src/pki/der.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { trustStore } from '#src/pki/trust-store.ts';
import { verify } from '#src/pki/verify.ts';
import { readCases } from '../conformance/chain-suite.ts';

const EMPTY = { name: 'empty', anchors: [], intermediates: [], allowlist: [], publicRoots: false } as const;

test('`trustStore()` finds anchors and intermediates by subject, whatever the string type or case', async () => {
  const { der } = await issue({ subject: 'CN=Some Root', ca: true });
  const other = parseCertificate((await issue({ subject: 'CN=SOME  root', ca: true })).der);
  const store = trustStore({ ...EMPTY, anchors: [der, der] });
  expect(store.anchorsNamed(other.subject.key).map((anchor) => anchor.der)).toEqual([Buffer.from(der)]);
  expect(store.intermediatesNamed(other.subject.key)).toEqual([]);
  expect(store.publicRootsNamed(other.subject.key)).toEqual([]);
});

test('`isAllowlisted()` is exact equality', async () => {
  const { der } = await issue({ subject: 'CN=listed' });
  const store = trustStore({ ...EMPTY, allowlist: [der] });
  const changed = Uint8Array.from(der);
  changed[changed.length - 1]! ^= 1;
  expect([der, changed, der.subarray(1)].map((one) => store.isAllowlisted(one))).toEqual([true, false, false]);
});

test('the digest is over contents, not the name', async () => {
  const { der } = await issue({ subject: 'CN=Root', ca: true });
  const digest = (input: object) => trustStore({ ...EMPTY, ...input }).digest;
  expect(digest({ name: 'a' })).toBe(digest({ name: 'b' }));
  const variants = [{}, { anchors: [der] }, { intermediates: [der] }, { allowlist: [der] }, { publicRoots: true }];
  expect(new Set(variants.map(digest)).size).toBe(variants.length);
});

test('a certificate that cannot be parsed is named by its place', () => {
  const bad = Uint8Array.of(0x30, 0);
  expect(() => trustStore({ ...EMPTY, intermediates: [bad] })).toThrow(DerError);
  expect(() => trustStore({ ...EMPTY, intermediates: [bad] })).toThrow(/^intermediateCas\[0\]: /);
});

describe('public roots', () => {
  const store = trustStore({ ...EMPTY, name: 'public', publicRoots: true });
  const { leaf, intermediates, time, name } = readCases('limbo').find(({ id }) => id === 'online::stackoverflow.com')!;
  const chain = [leaf, ...intermediates].map((base64) => Buffer.from(base64, 'base64'));
  const judge = (names: { dnsNames: string[]; uris: string[] }, anchors: readonly Uint8Array[] = []) =>
    verify({
      chain,
      store: anchors.length === 0 ? store : trustStore({ ...EMPTY, anchors, publicRoots: true }),
      purpose: 'server',
      names,
      atMs: Date.parse(time),
    });

  test('admit a public chain for a DNS name, and the verdict says so', () => {
    const verdict = judge({ dnsNames: [name!.value], uris: [] });
    expect(verdict).toMatchObject({ ok: true, by: 'publicRoots' });
    expect(verdict.ok && verdict.path.at(-1)?.from).toBe('publicRoots');
  });

  test('are not consulted without an expected DNS name (security rule 26)', () => {
    expect(judge({ dnsNames: [], uris: [] })).toMatchObject({ ok: false, rule: 'trust-anchor' });
  });

  test('come after private anchors', () => {
    const verdict = judge({ dnsNames: [name!.value], uris: [] }, [chain[1]!]);
    expect(verdict).toMatchObject({ ok: true, by: 'anchor' });
  });
});
