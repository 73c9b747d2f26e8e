import fc from 'fast-check';
import { parseCertificate } from '#src/pki/certificate.ts';
import { Crl, parseCrls } from '#src/pki/crl.ts';
import { DerError } from '#src/pki/der.ts';
import type { Issued } from '#src/pki/issue/contract.ts';
import { type CrlRequest, crlPem, issueCrl } from '#src/pki/issue/crl.ts';
import { issue } from '#src/pki/issue/issue.ts';

let ca: Issued;
let usual: Buffer;

beforeAll(async () => {
  ca = await issue({ subject: 'CN=CA,O=Example', ca: true });
  usual = issueCrl({
    issuer: ca,
    number: 300,
    thisUpdate: new Date('2026-06-01T00:00:00Z'),
    nextUpdate: new Date('2026-06-08T00:00:00Z'),
    revoked: [
      { serialHex: '0102', date: new Date('2026-05-01T10:00:00Z'), reasonCode: 1 },
      { serialHex: 'ff', date: new Date('2026-05-02T10:00:00Z') },
      { serialHex: '0103', date: new Date('2051-01-01T00:00:00Z'), reasonCode: 4 },
      { serialHex: '0104', date: new Date('2026-05-03T10:00:00Z') },
    ],
  });
});

test('`parseCrls()` reads issuer, dates, number and entries', () => {
  const crl = parsed(usual);
  expect(crl).toMatchObject({ number: 300n, count: 4, scope: 'all', label: "CRL 300 of 'CN=CA,O=Example'" });
  expect(crl.issuer.key).toBe(parseCertificate(ca.der).subject.key);
  expect([crl.thisUpdateMs, crl.nextUpdateMs]).toEqual([Date.UTC(2026, 5, 1), Date.UTC(2026, 5, 8)]);
});

test.each([
  ['0102', { atMs: Date.UTC(2026, 4, 1, 10), reason: 'keyCompromise' }],
  ['00ff', { atMs: Date.UTC(2026, 4, 2, 10), reason: null }], // the next entry's reason is not its own
  ['0103', { atMs: Date.UTC(2051, 0, 1), reason: 'superseded' }],
  ['0104', { atMs: Date.UTC(2026, 4, 3, 10), reason: null }],
  ['ff', null],
  ['01', null],
  ['010200', null],
  ['', null],
])('`Crl.revoked()` of %s', (serial, expected) => {
  expect(parsed(usual).revoked(Buffer.from(serial, 'hex'))).toEqual(expected);
});

test('a CRL made of the parts of another, in another thread, is that one', () => {
  const serials = Array.from({ length: 200 }, (_, index) => ({
    serialHex: (index + 256).toString(16).padStart(4, '0'),
  }));
  for (const der of [usual, issueCrl({ issuer: ca }), issueCrl({ issuer: ca, number: 9, revoked: serials })]) {
    const crl = parsed(der);
    const again = new Crl(structuredClone(crl.parts));
    expect(again).toEqual(crl);
    expect(again).toMatchObject({ count: crl.count, label: crl.label, sha256: crl.sha256 });
    for (const { serialHex } of [...serials, { serialHex: '0102' }, { serialHex: '0999' }]) {
      const serial = Buffer.from(serialHex, 'hex');
      expect(again.revoked(serial)).toEqual(crl.revoked(serial));
    }
    expect(again.isSignedBy(parseCertificate(ca.der))).toBe(true);
  }
});

test('an empty list revokes nothing', () => {
  const crl = parsed(issueCrl({ issuer: ca }));
  expect([crl.count, crl.revoked(Buffer.of(1))]).toEqual([0, null]);
});

test('every one of 5,000 serials is found, and no other', () => {
  const serials = Array.from({ length: 5000 }, (_, index) => (0x400000 + index * 3).toString(16));
  const crl = parsed(issueCrl({ issuer: ca, revoked: serials.map((serialHex) => ({ serialHex })) }));
  expect(crl.count).toBe(5000);
  for (const serial of serials) {
    expect(crl.revoked(Buffer.from(serial, 'hex'))).not.toBeNull();
    expect(crl.revoked(Buffer.from((Number.parseInt(serial, 16) + 1).toString(16), 'hex'))).toBeNull();
  }
});

test('`parseCrls()` reads several PEM blocks, and nothing else', () => {
  const second = issueCrl({ issuer: ca, number: 2 });
  const file = Buffer.from(`${crlPem(usual)}text between\n${crlPem(second)}`);
  expect(parseCrls(file).map((crl) => crl.number)).toEqual([300n, 2n]);
  expect(() => parseCrls(Buffer.from(ca.certificatePem))).toThrow('neither DER nor an X509 CRL block in PEM');
  expect(() => parseCrls(Buffer.from('-----BEGIN X509 CRL-----\nMIIB'))).toThrow('without an END X509 CRL line');
  expect(() => parseCrls(Buffer.from('-----BEGIN X509 CRL-----\nM*IB\n-----END X509 CRL-----'))).toThrow('not base64');
});

test('`Crl.isSignedBy()` holds for the issuer’s key only, and remembers', async () => {
  const crl = parsed(usual);
  const issuer = parseCertificate(ca.der);
  const stranger = parseCertificate((await issue({ subject: 'CN=CA,O=Example', ca: true })).der);
  expect(crl.isSignatureKnown(issuer)).toBe(false);
  expect([crl.isSignedBy(issuer), crl.isSignedBy(stranger)]).toEqual([true, false]);
  expect(crl.isSignatureKnown(issuer)).toBe(true);
});

const DELTA = { oid: '2.5.29.27', critical: true, valueDer: Buffer.from('020101', 'hex') };
const idp = (content: string) => ({
  oid: '2.5.29.28',
  critical: true,
  valueDer: Buffer.concat([Buffer.of(0x30, content.length / 2), Buffer.from(content, 'hex')]),
});
const entry = (oid: string, critical: boolean) => ({
  revoked: [{ serialHex: '01', extensions: [{ oid, critical, valueDer: Buffer.of(5, 0) }] }],
});

test.each<[string, Omit<CrlRequest, 'issuer'>, RegExp]>([
  ['a v1 CRL', { version: 1 }, /^a v1 CRL, expected v2/],
  ['one without nextUpdate', { nextUpdate: null }, /^a CRL without nextUpdate/],
  ['one without cRLNumber', { number: null }, /^a CRL without cRLNumber/],
  ['a delta CRL', { extensions: [DELTA] }, /^a delta CRL, expected a complete one/],
  ['an indirect CRL', { extensions: [idp('8401ff')] }, /an indirect CRL/],
  ['an indirect CRL by its entries', entry('2.5.29.29', true), /^an indirect CRL/],
  ['one of a distribution point', { extensions: [idp('a000')] }, /a CRL of one distribution point/],
  ['one of some reasons', { extensions: [idp('83020640')] }, /a CRL of some reasons only/],
  ['one of attribute certificates', { extensions: [idp('8501ff')] }, /attribute certificates/],
  ['an unknown critical extension', { extensions: [{ ...DELTA, oid: '1.2.3' }] }, /^the critical extension 1\.2\.3/],
  ['an unknown critical entry extension', entry('1.2.3', true), /^an entry has the critical extension 1\.2\.3/],
])('%s is refused, by name', (_, request, reason) => {
  const der = issueCrl({ issuer: ca, ...request });
  expect(() => parseCrls(der)).toThrow(DerError);
  expect(() => parseCrls(der)).toThrow(reason);
});

test('unknown extensions that are not critical are passed over', () => {
  const extensions = [{ oid: '1.2.3', critical: false, valueDer: Buffer.of(5, 0) }];
  expect(parsed(issueCrl({ issuer: ca, extensions, ...entry('1.2.3', false) })).count).toBe(1);
});

test.each([
  ['8101ff', 'end-entities'],
  ['8201ff', 'cas'],
  ['', 'all'],
])('issuingDistributionPoint %s: the scope is %s', (content, scope) => {
  expect(parsed(issueCrl({ issuer: ca, extensions: [idp(content)] })).scope).toBe(scope);
});

test('a serial that is no minimal INTEGER is refused: it would be listed and not found', () => {
  const der = issueCrl({ issuer: ca, revoked: [{ serialHex: '0001' }] });
  expect(() => parseCrls(der)).toThrow('a revoked serial number that is no DER INTEGER');
});

test('more than 32 MiB is refused before it is read', () => {
  expect(() => parseCrls(Buffer.alloc(32 * 1024 * 1024 + 1))).toThrow('expected at most 33554432');
});

describe('fuzzing', () => {
  test('any cut and any changed byte gives a CRL or a DerError', () => {
    for (let at = 0; at < usual.length; at++) {
      attempt(usual.subarray(0, at));
      for (const bit of [1, 0x80, 0xff]) {
        const changed = Buffer.from(usual);
        changed[at]! ^= bit;
        attempt(changed);
      }
    }
  });

  test('a CRL with changed bytes that still parses is not signed', () => {
    const issuer = parseCertificate(ca.der);
    for (let at = 0; at < usual.length; at++) {
      const changed = Buffer.from(usual);
      changed[at]! ^= 1;
      expect(attempt(changed)?.isSignedBy(issuer) ?? false).toBe(false);
    }
  });

  test('arbitrary bytes, inside a CRL and alone, PEM included', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(usual.length), fc.nat(64), (bytes, at, skip) => {
        attempt(bytes);
        attempt(Buffer.concat([usual.subarray(0, at), bytes, usual.subarray(at + skip)]));
        attempt(Buffer.from(`-----BEGIN X509 CRL-----${Buffer.from(bytes).toString('latin1')}-----END X509 CRL-----`));
      }),
      { numRuns: 2000 },
    );
  });
});

function parsed(file: Uint8Array): Crl {
  return parseCrls(file)[0]!;
}

/** The CRL, or null where it is refused as it should be. */
function attempt(bytes: Uint8Array): Crl | null {
  try {
    const crl = parsed(bytes);
    crl.revoked(Buffer.of(1, 2));
    return crl;
  } catch (thrown) {
    if (thrown instanceof DerError) return null;
    throw thrown;
  }
}
