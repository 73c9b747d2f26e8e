import fc from 'fast-check';
import { DerError, DerReader, dottedOid, TAG } from '#src/pki/der.ts';

function reader(hex: string): DerReader {
  return new DerReader(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
}

describe('`DerReader` refuses', () => {
  test.each([
    ['nothing at all', ''],
    ['a tag without a length', '30'],
    ['an indefinite length', '3080 0000'],
    ['a long-form length that fits the short form', '3081 02 0500'],
    ['a length with a leading zero', `30820080${'00'.repeat(128)}`],
    ['a length of five bytes', '3085 0000000001 00'],
    ['a reserved length byte', '30ff'],
    ['a value that ends behind the input', '3003 0500'],
    ['a length that is cut off', '3082 01'],
    ['a multi-byte tag', '3f8101 00'],
  ])('%s', (_, hex) => {
    expect(() => reader(hex).element()).toThrow(DerError);
  });

  test.each([
    ['an empty INTEGER', (r: DerReader) => r.integer(), '0200'],
    ['a padded positive INTEGER', (r: DerReader) => r.integer(), '0202 0001'],
    ['a padded negative INTEGER', (r: DerReader) => r.integer(), '0202 ff80'],
    ['a negative small INTEGER', (r: DerReader) => r.smallInteger(), '0201 ff'],
    ['a small INTEGER of 2^31', (r: DerReader) => r.smallInteger(), '0205 0080000000'],
    ['a BOOLEAN of 01', (r: DerReader) => r.boolean(), '0101 01'],
    ['a BOOLEAN of two bytes', (r: DerReader) => r.boolean(), '0102 ffff'],
    ['an empty OBJECT IDENTIFIER', (r: DerReader) => r.oid(), '0600'],
    ['a padded arc', (r: DerReader) => r.oid(), '0603 2a8001'],
    ['an arc that is cut off', (r: DerReader) => r.oid(), '0602 2a80'],
    ['a BIT STRING without the count', (r: DerReader) => r.namedBits(), '0300'],
    ['eight unused bits', (r: DerReader) => r.namedBits(), '0302 0800'],
    ['unused bits of nothing', (r: DerReader) => r.namedBits(), '0301 01'],
    ['padding bits that are set', (r: DerReader) => r.namedBits(), '0302 0101'],
    ['a key that does not end on a byte', (r: DerReader) => r.octetAlignedBitString(), '0302 0180'],
    ['another tag', (r: DerReader) => r.read(TAG.sequence), '3100'],
    ['trailing bytes', (r: DerReader) => r.finish(), '00'],
  ])('%s', (_, read, hex) => {
    expect(() => read(reader(hex))).toThrow(DerError);
  });
});

test('`DerReader` reads what is well-formed', () => {
  expect(reader('0204 7fffffff').smallInteger()).toBe(2147483647);
  expect(reader('0302 05a0').namedBits()).toBe(0xa000);
  expect(reader('0303 070080').namedBits()).toBe(0x0080);
  const sequence = reader('3006 0101ff 020105').enter(TAG.sequence);
  expect([sequence.boolean(), sequence.smallInteger(), sequence.atEnd]).toEqual([true, 5, true]);
  expect(reader('3000').enterOptional(TAG.set)).toBeNull();
});

test.each([
  ['2a864886f70d01010b', '1.2.840.113549.1.1.11'],
  ['00', '0.0'],
  ['4f', '1.39'],
  ['50', '2.0'],
  ['8837', '2.999'],
  ['6983b4b2c8f8c7d0e1a2b3c4d5e6f708', null],
  ['698f9eb6c8e4c6d2b9a4f6c2b9a4f6c2b97f', null],
])('`dottedOid()` of %s', (hex, dotted) => {
  const text = dottedOid(Buffer.from(hex, 'hex'));
  if (dotted === null) expect(text).toMatch(/^2\.25\.[0-9]{20,}/);
  else expect(text).toBe(dotted);
});

test('any bytes: every read moves forward or throws DerError, and never reads outside its bounds', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const whole = new DerReader(Buffer.from(bytes));
      let reads = 0;
      try {
        while (!whole.atEnd) {
          const { whole: element, content } = whole.element();
          expect(element.length).toBeGreaterThanOrEqual(content.length + 2);
          expect(++reads).toBeLessThanOrEqual(bytes.length);
        }
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(DerError);
      }
    }),
    { numRuns: 2000 },
  );
});
