import fc from 'fast-check';
import { type PathTemplate, parsePathTemplate, parsePathTemplateRewrite } from '#src/http/path-template.ts';

function template(text: string): PathTemplate {
  const parsed = parsePathTemplate(text);
  if (typeof parsed === 'string') throw new Error(parsed);
  return parsed;
}

test.each([
  ['/a/*', '/a/b', []],
  ['/a/*', '/a/', null],
  ['/a/*', '/a', null],
  ['/a/*', '/a/b/c', null],
  ['/a/*', '/a/b%2fc', []],
  ['/a/*/c', '/a/b/c', []],
  ['/a/**', '/a/', []],
  ['/a/**', '/a', null],
  ['/a/**', '/a/b/c', []],
  ['/{a}', '/x', ['x']],
  ['/{a=*}/{b=**}', '/x/y/z', ['x', 'y/z']],
  ['/{a}/{b=**}', '/x/', ['x', '']],
  ['/{file}.mpd', '/a.mpd', ['a']],
  ['/{file}.mpd', '/.mpd', null],
  ['/**.mpd', '/a/b.mpd', []],
  ['/**.mpd', '/a/b.mp4', null],
  ['/*/x', '//x', null],
])('%s and %s: %j', (text, path, values) => {
  expect(template(text).capture(path)).toEqual(values);
  expect(template(text).matches(path)).toBe(values !== null);
});

test('matches as the regular expression of the same template does', () => {
  const segment = fc.constantFrom('a', 'b.c', '*', '{x}', '*.c', '{y=*}.c');
  const text = fc
    .tuple(fc.uniqueArray(segment, { maxLength: 4 }), fc.constantFrom('**', '{z=**}', '**.c', '{w}'))
    .map(([segments, last]) => `/${[...segments, last].join('/')}`);
  const path = fc
    .array(fc.constantFrom('a', 'b.c', '', '.c', 'x', '%2f'), { maxLength: 6 })
    .map((parts) => `/${parts.join('/')}`);
  fc.assert(
    fc.property(text, path, (pattern, subject) => {
      const source = pattern
        .replaceAll('.', '\\.')
        .replaceAll(/\{\w+=\*\*\}|\*\*/g, '@')
        .replaceAll(/\{\w+(?:=\*)?\}|\*/g, '[^/]+')
        .replaceAll('@', '.*');
      expect(template(pattern).matches(subject)).toBe(new RegExp(`^${source}$`).test(subject));
    }),
    { numRuns: 1000 },
  );
});

test('a rewrite with every variable in its place gives the path back', () => {
  const name = fc.constantFrom('a', 'bc', 'd_1');
  fc.assert(
    fc.property(
      fc.uniqueArray(name, { minLength: 1 }),
      fc.array(fc.constantFrom('x', '%41', 'y.z'), { minLength: 3 }),
      (names, values) => {
        const text = `/${names.map((each) => `{${each}}`).join('/')}`;
        const path = `/${names.map((_, index) => values[index]).join('/')}`;
        const rewrite = parsePathTemplateRewrite(text, names);
        if (typeof rewrite === 'string') throw new Error(rewrite);
        expect(rewrite.expand(template(text).capture(path) ?? [])).toBe(path);
      },
    ),
  );
});

test('parsing never throws', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...Array.from('/*{}=ab.%#? ')), { maxLength: 20 }), (letters) => {
      const text = `/${letters.join('')}`;
      const parsed = parsePathTemplate(text);
      if (typeof parsed !== 'string') expect(typeof parsed.matches(text)).toBe('boolean');
      const rewrite = parsePathTemplateRewrite(text, ['a']);
      if (typeof rewrite !== 'string') expect(rewrite.expand(['x'])).toMatch(/^\//);
    }),
    { numRuns: 1000 },
  );
});
