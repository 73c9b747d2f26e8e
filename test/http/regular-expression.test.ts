import fc from 'fast-check';
import { RE2JS } from 're2js';
import { parseRegularExpression, type RegularExpression } from '#src/http/regular-expression.ts';

function expression(pattern: string): RegularExpression {
  const parsed = parseRegularExpression(pattern);
  if (typeof parsed === 'string') throw new Error(parsed);
  return parsed;
}

describe('matches()', () => {
  test.each([
    ['a|b', 'a', true],
    ['a|b', 'ab', false],
    ['a', 'ba', false],
    ['^a$', 'a', true],
    ['', '', true],
    ['', 'a', false],
    ['(?i)abc', 'ABC', true],
    ['a.c', 'a\nc', false],
    ['[^/]+', 'a/b', false],
  ])('%s and %j: %s', (pattern, text, expected) => {
    expect(expression(pattern).matches(text)).toBe(expected);
  });

  test('agrees with a backtracking engine where both have the syntax', () => {
    const atom = fc.constantFrom('a', 'b', '.', '[ab]', '(a|ab)', '(?:b|)', 'a*', 'b+', 'a?', '(a*b)*', 'a{1,2}');
    const pattern = fc.array(atom, { maxLength: 5 }).map((atoms) => atoms.join(''));
    const text = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 8 }).map((letters) => letters.join(''));
    fc.assert(
      fc.property(pattern, text, (source, subject) => {
        expect(expression(source).matches(subject)).toBe(new RegExp(`^(?:${source})$`).test(subject));
      }),
      { numRuns: 500 },
    );
  });
});

describe('work is linear in the text', () => {
  // each of them takes a backtracking engine 2^n or n^3 steps
  const adversarial = ['(a+)+', '(a|aa)+b', '(a*)*b', '(a|a)*b', '.*.*.*b', '(?:a?){30}a{30}b', '(.*a){12}b'];

  test.each(adversarial)('%s: twice the text is at most twice the reads', (pattern) => {
    const compiled = RE2JS.compile(pattern);
    const reads = (length: number) => {
      let count = 0;
      const bytes = new Proxy(
        Array.from({ length }, () => 0x61),
        {
          get(target, key, receiver) {
            if (typeof key === 'string' && /^\d+$/.test(key)) count++;
            return Reflect.get(target, key, receiver) as unknown;
          },
        },
      );
      compiled.testExact(bytes);
      return count;
    };
    expect(reads(2000)).toBeLessThanOrEqual(2 * reads(1000) + 16);
  });

  test.each(adversarial)('%s comes to an end on the longest path there is', (pattern) => {
    expect(expression(pattern).matches('a'.repeat(60 * 1024))).toBe(pattern === '(a+)+');
  });
});

describe('parseRegularExpression()', () => {
  test.each([
    ['(', 'which is no RE2 expression (missing closing ))'],
    ['(?=a)', 'which is no RE2 expression (invalid or unsupported Perl syntax)'],
    ['(a)\\1', 'which is no RE2 expression (invalid escape sequence)'],
    ['a{1001}', 'which is no RE2 expression (invalid repeat count)'],
  ])('refuses %s', (pattern, problem) => {
    expect(parseRegularExpression(pattern)).toBe(problem);
  });

  test('refuses a program that would make every byte dear', () => {
    expect(parseRegularExpression('(?:[a-z]{30}){33}[0-9]{30}x{1000}')).toMatch(/^which /);
  });

  test('never throws, and what it takes can be asked', () => {
    const byte = fc.constantFrom(...Array.from('ab()[]{}|*+?^$.\\-0123,:<>!=iPpx'));
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 30 }), (letters) => {
        const parsed = parseRegularExpression(letters.join(''));
        if (typeof parsed !== 'string') expect(typeof parsed.matches('ab')).toBe('boolean');
      }),
      { numRuns: 1000 },
    );
  });
});
