import fc from 'fast-check';
import { cookieValue } from '#src/http/cookie-value.ts';

test.each([
  ['alone', ['cookie', 'GCLB=x'], 'x'],
  ['between others', ['cookie', 'a=1; GCLB=x; b=2'], 'x'],
  ['without spaces, or with many', ['cookie', 'a=1;GCLB=x ;\t b=2'], 'x'],
  ['the first of several', ['cookie', 'GCLB=x; GCLB=y'], 'x'],
  ['in a second field', ['cookie', 'a=1', 'host', 'h', 'cookie', 'GCLB=x'], 'x'],
  ['empty', ['cookie', 'GCLB='], ''],
  ['with = in it', ['cookie', 'GCLB=x=y=='], 'x=y=='],
  ['not as the end of another name', ['cookie', 'XGCLB=x'], null],
  ['not as the beginning of another name', ['cookie', 'GCLBX=x'], null],
  ['not in another case', ['cookie', 'gclb=x'], null],
  ['not in a value', ['cookie', 'a=GCLB=x'], null],
  ['not without =', ['cookie', 'GCLB'], null],
  ['not without =, although the next has one', ['cookie', 'GCLB; =x'], null],
  ['not in another field', ['x-cookie', 'GCLB=x'], null],
  ['not without cookies', [], null],
])('%s', (_case, headers, value) => {
  expect(cookieValue(headers, 'GCLB')).toBe(value);
});

test('any bytes: what is found is there, between its name and the next semicolon', () => {
  const bytes = fc.string({
    unit: fc.constantFrom('G', 'C', 'L', 'B', '=', ';', ' ', '\t', '"', ',', '\u0000', '\u00ff'),
  });
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 4 }), (fields) => {
      const value = cookieValue(
        fields.flatMap((field) => ['cookie', field]),
        'GCLB',
      );
      const pairs = fields.flatMap((field) => field.split(';').map((pair) => pair.replace(/^[ \t]+/, '')));
      const first = pairs.find((pair) => pair.startsWith('GCLB='));
      expect(value).toBe(first === undefined ? null : first.slice('GCLB='.length).trim());
    }),
    { numRuns: 5000 },
  );
});
