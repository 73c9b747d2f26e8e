import fc from 'fast-check';
import { asciiJson, quote } from '#src/telemetry/escape.ts';

const anyText = fc.string({ unit: 'binary', maxLength: 300 });
/** Any UTF-16 units at all, lone surrogates included. */
const anyUnits = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 200 })
  .map((units) => String.fromCharCode(...units));

describe('quote()', () => {
  test('gives printable ASCII that JSON reads back to the same text', () => {
    fc.assert(
      fc.property(fc.oneof(anyText, anyUnits), (text) => {
        const literal = quote(text, 100_000);
        expect(literal).toMatch(/^[ -~]*$/);
        expect(JSON.parse(literal)).toBe(text);
      }),
    );
  });

  test('never exceeds its cap by more than the mark of the cut, and stays JSON', () => {
    fc.assert(
      fc.property(anyUnits, fc.integer({ min: 0, max: 50 }), (text, cap) => {
        const literal = quote(text, cap);
        expect(literal.length).toBeLessThanOrEqual(cap + 2 + '\\u2026'.length);
        const read = JSON.parse(literal) as string;
        expect(read === text || text.startsWith(read.slice(0, -1))).toBe(true);
      }),
    );
  });

  test.each([
    ['a line feed', 'a\nb', '"a\\u000ab"'],
    ['ESC', '\u001b[2J', '"\\u001b[2J"'],
    ['DEL', '\u007f', '"\\u007f"'],
    ['C1 (CSI)', '\u009b31m', '"\\u009b31m"'],
    ['line separators', '\u2028\u2029', '"\\u2028\\u2029"'],
    ['a bidirectional override', '\u202egnp.exe', '"\\u202egnp.exe"'],
    ['quotes and backslashes', '"\\', '"\\"\\\\"'],
  ])('escapes %s', (_what, text, literal) => {
    expect(quote(text, 100)).toBe(literal);
  });
});

describe('asciiJson()', () => {
  test('changes the bytes of a JSON line, not its meaning', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const line = JSON.stringify({ [text]: text });
        expect(asciiJson(line)).toMatch(/^[ -~]*$/);
        expect(JSON.parse(asciiJson(line))).toEqual(JSON.parse(line));
      }),
    );
  });
});
