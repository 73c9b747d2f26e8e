import fc from 'fast-check';
import { fieldValueOrEmpty, isFieldValue, isLowerCaseToken, isToken } from '#src/http/field-value.ts';

const bytes = fc.array(fc.integer({ min: 0, max: 0x2ff })).map((codes) => String.fromCharCode(...codes));

describe('isFieldValue()', () => {
  test('agrees with the grammar of RFC 9110 section 5.5 on any string', () => {
    const grammar = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;
    fc.assert(fc.property(bytes, (text) => expect(isFieldValue(text)).toBe(grammar.test(text))));
  });

  test.each(['a\r\nb: c', 'a\0', 'a\nb', '\x7f', ' a', 'a\t', '\u0100'])('refuses %j', (value) => {
    expect(isFieldValue(value)).toBe(false);
    expect(fieldValueOrEmpty(value)).toBe('');
  });

  test('accepts obs-text and inner whitespace', () => {
    expect(fieldValueOrEmpty('caf\xe9\tau lait')).toBe('caf\xe9\tau lait');
  });
});

describe('isToken()', () => {
  test('agrees with the grammar of RFC 9110 section 5.6.2 on any string', () => {
    fc.assert(
      fc.property(bytes, (text) => {
        expect(isToken(text)).toBe(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text));
        expect(isLowerCaseToken(text)).toBe(/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(text));
      }),
    );
  });
});
