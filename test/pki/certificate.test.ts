import fc from 'fast-check';
import { Certificate, parseCertificate } from '#src/pki/certificate.ts';
import { DerError } from '#src/pki/der.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { EXPLICIT_CURVE } from '#src/pki/public-key.ts';
import { publicRootIndex } from '#src/pki/trust-store.ts';
import { readCases } from '../conformance/chain-suite.ts';

test('`parseCertificate()` reads what was issued', async () => {
  const root = await issue({ subject: 'CN=Root,O=Sallyport', ca: true, pathLength: 3, keyType: 'p384' });
  const issued = await issue({
    subject: 'CN=leaf,O=A\\, B',
    issuer: root,
    keyType: 'rsa-2048',
    dnsNames: ['a.example'],
    ipAddresses: ['::1'],
    uris: ['spiffe://a/b'],
    serialHex: '0a0b',
    notBefore: new Date('2026-01-01T00:00:00Z'),
    notAfter: new Date('2055-01-01T00:00:00Z'),
  });
  const certificate = parseCertificate(issued.der);
  expect(certificate).toMatchObject({
    version: 3,
    notBeforeMs: Date.parse('2026-01-01T00:00:00Z'),
    notAfterMs: Date.parse('2055-01-01T00:00:00Z'),
    publicKey: { kind: 'RSA', bits: 2048 },
    signatureAlgorithm: { kind: 'ECDSA' },
    isSelfIssued: false,
  });
  expect(certificate.serial.toString('hex')).toBe('0a0b');
  expect([certificate.subject.text, certificate.issuer.text]).toEqual(['CN=leaf,O=A\\, B', 'CN=Root,O=Sallyport']);
  expect(certificate.subjectAltName?.map((name) => name.kind)).toEqual(['dns', 'ip', 'uri']);
  const parsedRoot = parseCertificate(root.der);
  expect(parsedRoot).toMatchObject({
    basicConstraints: { ca: true, pathLength: 3 },
    publicKey: { kind: 'EC', curve: '1.3.132.0.34' },
    isSelfIssued: true,
  });
  expect(certificate.authorityKeyId).toEqual(parsedRoot.subjectKeyId);
  expect(certificate.isSignedBy(parsedRoot)).toBe(true);
  expect(parsedRoot.isSignedBy(certificate)).toBe(false);
});

test('`parseCertificate()` keeps a copy: what happens to the input later changes nothing', async () => {
  const { der } = await issue({ subject: 'CN=a' });
  const input = Uint8Array.from(der);
  const certificate = parseCertificate(input);
  input.fill(0);
  expect(certificate.der).toEqual(Buffer.from(der));
});

test('`parseCertificate()` sees explicit curve parameters without native code (security rule 27)', () => {
  const { leaf } = readCases('limbo').find(({ id }) => id === 'webpki::explicit-curve')!;
  expect(parseCertificate(Buffer.from(leaf, 'base64')).publicKey).toMatchObject({ kind: 'EC', curve: EXPLICIT_CURVE });
});

test('every bundled public root parses and is a CA', () => {
  const roots = [...publicRootIndex().values()].flat();
  expect(roots.length).toBeGreaterThan(100);
  expect(roots.filter((root) => root.basicConstraints?.ca !== true)).toEqual([]);
});

describe('`parseCertificate()` refuses', () => {
  const refusal = async (change: (der: Buffer) => Buffer) => {
    const { der } = await issue({ subject: 'CN=changed' });
    try {
      parseCertificate(change(Buffer.from(der)));
    } catch (thrown) {
      return thrown instanceof DerError ? thrown.message : thrown;
    }
    return 'accepted';
  };

  test('trailing bytes', async () => {
    expect(await refusal((der) => Buffer.concat([der, Buffer.of(0)]))).toMatch(/1 trailing bytes/);
  });

  test('a signature algorithm outside that differs from the one inside', async () => {
    const ecdsaSha256 = Buffer.from('06082a8648ce3d040302', 'hex');
    const change = (der: Buffer) => {
      der[der.lastIndexOf(ecdsaSha256) + ecdsaSha256.length - 1] = 3;
      return der;
    };
    expect(await refusal(change)).toMatch(/inside and outside the signed part differ/);
  });

  test('a time that does not exist, or is not in the form of RFC 5280', async () => {
    const text = await refusal((der) => {
      const at = der.indexOf(Buffer.of(0x17, 13)); // UTCTime of 13 characters
      der.write('260230000000Z', at + 2, 'latin1');
      return der;
    });
    expect(text).toBe('time that does not exist');
  });

  test('the same extension twice', async () => {
    const extension = { oid: '1.2.3.4', critical: false, valueDer: Uint8Array.of(5, 0) };
    const { der } = await issue({ subject: 'CN=twice', extensions: [extension, extension] });
    expect(() => parseCertificate(der)).toThrow(/1\.2\.3\.4 appears twice/);
  });

  test.each([
    ['keyUsage without a bit', '2.5.29.15', '0301 00'],
    ['an empty extendedKeyUsage', '2.5.29.37', '3000'],
    ['an empty subjectAltName', '2.5.29.17', '3000'],
    ['an IP SAN of five bytes', '2.5.29.17', '3007 87050102030405'],
    ['a DNS SAN outside ASCII', '2.5.29.17', '3003 8201ff'],
    ['a pathLenConstraint without cA', '2.5.29.19', '3003 020100'],
    ['empty nameConstraints', '2.5.29.30', '3000'],
    ['a name constraint with a minimum', '2.5.29.30', '300a a008 3006 820161 800101'],
    ['the same policy twice', '2.5.29.32', '300c 3004 06022a03 3004 06022a03'],
    ['an empty policyConstraints', '2.5.29.36', '3000'],
    ['a value that does not end where its extension ends', '2.5.29.54', '020100 00'],
    ['information access without a description', '1.3.6.1.5.5.7.1.1', '3000'],
  ])('%s', async (_, oid, hex) => {
    const valueDer = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    const { der } = await issue({
      subject: 'CN=odd',
      basicConstraints: false,
      keyUsage: null,
      extendedKeyUsage: null,
      extensions: [{ oid, critical: false, valueDer }],
    });
    expect(() => parseCertificate(der)).toThrow(DerError);
  });

  test('a negative version, and one beyond v3', async () => {
    const version = Buffer.from('a003020102', 'hex');
    for (const byte of [0x80, 0x03]) {
      const text = await refusal((der) => {
        der[der.indexOf(version) + 4] = byte;
        return der;
      });
      expect(text).toMatch(/negative INTEGER|version field 3/);
    }
  });
});

describe('fuzzing', () => {
  const samples = ['limbo', 'nist-pkits', 'x509test']
    .flatMap((suite) => readCases(suite))
    .map((chainCase) => Buffer.from(chainCase.leaf, 'base64'))
    .filter((der) => der.length < 4096);

  test('mutated certificates: DerError or a certificate whose every derived value can be read', () => {
    const mutation = fc.record({
      sample: fc.nat(samples.length - 1),
      edits: fc.array(
        fc.record({ at: fc.nat(4096), byte: fc.nat(255), kind: fc.constantFrom('set', 'insert', 'delete') }),
        {
          minLength: 1,
          maxLength: 6,
        },
      ),
    });
    fc.assert(
      fc.property(mutation, ({ sample, edits }) => {
        let der = samples[sample]!;
        for (const { at, byte, kind } of edits) {
          const index = at % der.length;
          const rest = der.subarray(kind === 'insert' ? index : index + 1);
          der = Buffer.concat([der.subarray(0, index), kind === 'delete' ? Buffer.alloc(0) : Buffer.of(byte), rest]);
        }
        readEverything(der);
      }),
      { numRuns: 20_000 },
    );
  });

  test('every prefix of a certificate', () => {
    const der = samples[0]!;
    for (let length = 0; length < der.length; length++)
      expect(() => parseCertificate(der.subarray(0, length))).toThrow(DerError);
  });

  test('any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(() => parseCertificate(bytes)).toThrow(DerError);
      }),
      { numRuns: 2000 },
    );
  });
});

function readEverything(der: Buffer): void {
  let certificate: Certificate;
  try {
    certificate = parseCertificate(der);
  } catch (thrown) {
    if (thrown instanceof DerError) return;
    throw thrown;
  }
  expect(certificate).toBeInstanceOf(Certificate);
  for (const name of [certificate.subject, certificate.issuer]) {
    expect(name.text).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
    expect(name.rdnKeys.every((key) => name.key.includes(key))).toBe(true);
  }
  expect(certificate.isSelfIssued).toBe(certificate.subject.equals(certificate.issuer));
}
