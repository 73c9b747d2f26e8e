import fc from 'fast-check';
import { editDistance, nearestWord } from '#src/config/suggestion.ts';

describe('nearestWord()', () => {
  test.each([
    ['MODREN', ['COMPATIBLE', 'MODERN'], 'MODERN'],
    ['sslPolcy', ['urlMap', 'sslPolicy', 'sslCertificates'], 'sslPolicy'],
    ['https', ['HTTP', 'HTTPS'], 'HTTPS'],
    ['wep', ['web'], 'web'],
    ['frobnicate', ['name', 'urlMap'], null],
    ['', ['web'], null],
    ['x', [], null],
  ] as const)('for %j among %j is %j', (word, candidates, nearest) => {
    expect(nearestWord(word, candidates)).toBe(nearest);
  });

  test('a very long word costs no more than a short one', () => {
    expect(nearestWord('a'.repeat(1_000_000), ['web'])).toBeNull();
  });
});

describe('editDistance()', () => {
  test.each([
    ['', '', 0],
    ['abc', 'abc', 0],
    ['abc', 'acb', 1],
    ['abc', 'ab', 1],
    ['abc', 'xbc', 1],
    ['kitten', 'sitting', 3],
    ['', 'abc', 3],
  ] as const)('of %j and %j is %i', (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
  });

  test('is symmetric, and 0 only for equal words', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 8 });
    fc.assert(
      fc.property(word, word, (a, b) => {
        expect(editDistance(a, b)).toBe(editDistance(b, a));
        expect(editDistance(a, b) === 0).toBe(a === b);
      }),
    );
  });
});
