import { DerError } from '#src/pki/der.ts';
import { parseDistinguishedName } from '#src/pki/distinguished-name.ts';

const CN = '550403';
const O = '55040a';

test.each([
  ['a NUL and a line feed', rdn(CN, 0x0c, Buffer.from('a\0b\nc')), 'CN=a\\00b\\0Ac'],
  [
    'the characters that RFC 4514 escapes',
    rdn(CN, 0x0c, Buffer.from(' a,b+"c\\<>; ')),
    'CN=\\ a\\,b\\+\\"c\\\\\\<\\>\\;\\ ',
  ],
  ['a hash in front', rdn(CN, 0x0c, Buffer.from('#a')), 'CN=\\#a'],
  ['a right-to-left override', rdn(CN, 0x0c, Buffer.from('a\u202eb')), 'CN=a\\E2\\80\\AEb'],
  ['a C1 control in Latin-1', rdn(CN, 0x14, Buffer.of(0x61, 0x9b)), 'CN=a\\C2\\9B'],
  ['BMPString', rdn(CN, 0x1e, Buffer.from('0061263a', 'hex')), 'CN=a☺'],
  ['UniversalString', rdn(CN, 0x1c, Buffer.from('0001f642', 'hex')), 'CN=🙂'],
  ['a value that is no text', rdn(CN, 0x04, Buffer.of(1, 2)), 'CN=#0102'],
  ['an unknown type', rdn('2a03', 0x13, Buffer.from('x')), '1.2.3=x'],
])('`text` of %s', (_, encoded, text) => {
  expect(parseDistinguishedName(nameOf(encoded)).text).toBe(text);
});

test('`text` is most specific first, capped, and says when there is nothing', () => {
  const name = nameOf(rdn(O, 0x13, Buffer.from('Org')), rdn(CN, 0x13, Buffer.from('leaf')));
  expect(parseDistinguishedName(name).text).toBe('CN=leaf,O=Org');
  expect(parseDistinguishedName(nameOf()).text).toBe('empty name');
  expect(parseDistinguishedName(nameOf(rdn(CN, 0x13, Buffer.alloc(5000, 'x')))).text.length).toBeLessThanOrEqual(256);
});

describe('`equals()` compares as RFC 5280 section 7.1 says', () => {
  test.each([
    ['other string type', [0x13, 'Root CA'], [0x0c, 'Root CA'], true],
    ['other case', [0x13, 'Root CA'], [0x13, 'ROOT ca'], true],
    ['other case outside ASCII', [0x0c, 'Élan'], [0x0c, 'élan'], true],
    ['more spaces', [0x13, 'Root CA'], [0x13, '  Root   CA '], true],
    ['no space', [0x13, 'Root CA'], [0x13, 'RootCA'], false],
    ['other text', [0x13, 'Root CA'], [0x13, 'Root CB'], false],
  ] as const)('%s', (_, a, b, equal) => {
    const name = ([tag, text]: readonly [number, string]) =>
      parseDistinguishedName(nameOf(rdn(CN, tag, Buffer.from(text))));
    expect(name(a).equals(name(b))).toBe(equal);
  });

  test('attributes cannot be moved between RDNs or types', () => {
    const a = rdn(O, 0x13, Buffer.from('a'));
    const b = rdn(CN, 0x13, Buffer.from('b'));
    const joined = set(Buffer.concat([a.subarray(2), b.subarray(2)]));
    const names = [nameOf(a, b), nameOf(b, a), nameOf(joined), nameOf(a)].map((der) => parseDistinguishedName(der).key);
    expect(new Set(names).size).toBe(4);
    const swapped = set(Buffer.concat([b.subarray(2), a.subarray(2)]));
    expect(parseDistinguishedName(nameOf(swapped)).key).toBe(parseDistinguishedName(nameOf(joined)).key);
  });
});

test.each([
  ['an empty RDN', nameOf(Buffer.of(0x31, 0))],
  ['UTF8String that is not UTF-8', nameOf(rdn(CN, 0x0c, Buffer.of(0xff)))],
  ['BMPString of an odd length', nameOf(rdn(CN, 0x1e, Buffer.of(0)))],
  ['UniversalString beyond Unicode', nameOf(rdn(CN, 0x1c, Buffer.of(0, 0x11, 0, 0)))],
  ['bytes behind the name', Buffer.concat([nameOf(), Buffer.of(0)])],
])('`parseDistinguishedName()` refuses %s', (_, der) => {
  expect(() => parseDistinguishedName(der)).toThrow(DerError);
});

function tlv(tag: number, content: Buffer): Buffer {
  const length = content.length < 128 ? [content.length] : [0x82, content.length >> 8, content.length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...length), content]);
}

function set(content: Buffer): Buffer {
  return tlv(0x31, content);
}

function rdn(typeHex: string, tag: number, value: Buffer): Buffer {
  return set(tlv(0x30, Buffer.concat([tlv(6, Buffer.from(typeHex, 'hex')), tlv(tag, value)])));
}

function nameOf(...rdns: readonly Buffer[]): Buffer {
  return tlv(0x30, Buffer.concat(rdns));
}
