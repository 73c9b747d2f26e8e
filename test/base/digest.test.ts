import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { digestOf } from '#src/base/digest.ts';

describe('digestOf()', () => {
  test('does not depend on the order in which members were written', () => {
    expect(digestOf({ a: 1, b: [true, null] })).toBe(digestOf({ b: [true, null], a: 1 }));
  });

  test('takes an undefined member for an absent one', () => {
    expect(digestOf({ a: 1, b: undefined })).toBe(digestOf({ a: 1 }));
  });

  test.each([
    ['neighbouring strings', ['ab', 'c'], ['a', 'bc']],
    ['a string and a number', ['1'], [1]],
    ['nesting', [['a'], 'b'], ['a', ['b']]],
    ['bytes and their text', [Buffer.from('a')], ['a']],
    ['null and its text', [null], ['null']],
    ['an empty list and an empty object', [], {}],
  ])('tells %s apart', (_name, left, right) => {
    expect(digestOf(left)).not.toBe(digestOf(right));
  });

  test('differs whenever the JSON text differs', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (left, right) => {
        if (canonical(left) !== canonical(right)) expect(digestOf(left)).not.toBe(digestOf(right));
      }),
    );
  });
});

function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}
