// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${…} is the configuration's own syntax
import fc from 'fast-check';
import { parseConfigurationDocument } from '#src/config/document.ts';
import { nodeAt } from '#src/config/written.ts';

const place = { file: 'a.yaml', folder: '/etc' };
const parse = (text: string, env: Record<string, string> = {}) => parseConfigurationDocument(text, place, env);

describe('parseConfigurationDocument()', () => {
  test('keeps the position of every value and of its key', () => {
    const { root, value } = parse('a:\n  - b: 1\n    c: [x, y]\n');
    expect(JSON.stringify(value)).toBe('{"a":[{"b":1,"c":["x","y"]}]}');
    expect(nodeAt(root, ['a', 0, 'c', 1]).node?.position).toEqual({ line: 3, column: 12 });
    expect(nodeAt(root, ['a', 0, 'c']).node?.keyPosition).toEqual({ line: 3, column: 5 });
  });

  test('finds the deepest node on the way to a path that does not exist', () => {
    const { root } = parse('a:\n  - b: 1\n');
    expect(nodeAt(root, ['a', 0, 'c', 'd'])).toEqual({ node: nodeAt(root, ['a', 0]).node, found: false });
  });

  test('reads JSON, tabs and a byte order mark included', () => {
    expect(parse('\uFEFF{\n\t"a": [\n\t\ttrue,\n\t\tnull, 1.5]\n}').value).toEqual(
      Object.assign(Object.create(null), { a: [true, null, 1.5] }),
    );
  });

  test('variables expand in values, never in structure, and never as YAML', () => {
    const document = parse('a: ${X}\nb: "${X}"\n${K}: 1\n', { X: '[1, 2]\nc: 3', K: 'd' });
    expect(document.problems).toEqual([]);
    expect(JSON.stringify(document.value)).toBe(JSON.stringify({ a: '[1, 2]\nc: 3', b: '[1, 2]\nc: 3', '${K}': 1 }));
    expect(nodeAt(document.root, ['a']).node?.unexpanded).toBe('${X}');
  });

  test('`__proto__` is a key like any other', () => {
    const { value } = parse('__proto__: { admin: true }\n');
    expect(Object.keys(value as object)).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
  });

  test('an alias refers to the anchor before it, and stands at its own place', () => {
    const { value, root } = parse('a: &x 1\nb: *x\nc: &x 2\nd: *x\n');
    expect(JSON.stringify(value)).toBe('{"a":1,"b":1,"c":2,"d":2}');
    expect(nodeAt(root, ['b']).node?.position).toEqual({ line: 2, column: 4 });
  });

  test('20,000 keys are read in linear time: no comparison of each with each', () => {
    const text = Array.from({ length: 20_000 }, (_, index) => `k${index}: v`).join('\n');
    expect(Object.keys(parse(text).value as object)).toHaveLength(20_000);
  });

  test.each([
    ['brackets nested 100,000 deep', '['.repeat(100_000)],
    ['closed brackets nested 20,000 deep', '['.repeat(20_000) + ']'.repeat(20_000)],
    ['braces nested 5,000 deep', `${'{a: '.repeat(5000)}1${'}'.repeat(5000)}`],
  ])('%s end in a diagnostic', (_, text) => {
    expect(parse(text).problems).toHaveLength(1);
  });

  test('no text of the file is in a syntax error', () => {
    const line = 'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgSECRETSECRETSECR';
    const breaks = [
      'a: |\n  x\n LINE\nLINE',
      'a: "LINE',
      'LINE: LINE: x',
      '? LINE\n: [',
      '%LINE',
      'a: !LINE x',
      '*LINE',
      'a: {LINE',
      '"\\q": LINE',
      `${'LINE'}: 1\n${'LINE'}: 2`,
    ];
    for (const text of breaks) {
      const { problems } = parse(text.replaceAll('LINE', line));
      expect(problems.length).toBeGreaterThan(0);
      for (const { message } of problems) expect(message).not.toContain('SECRET');
    }
  });

  test('never throws, whatever the text', () => {
    const token = fc.constantFrom(
      'a',
      ':',
      ' ',
      '\n',
      '  ',
      '- ',
      '[',
      ']',
      '{',
      '}',
      '&x',
      '*x',
      '|',
      '>',
      '"',
      "'",
      '#',
      '!t',
      '%',
      '---',
      '...',
      '? ',
      '<<',
      '${A}',
      '${',
      '\t',
      '\u0000',
      '\uFEFF',
      ',',
    );
    fc.assert(
      fc.property(fc.array(token, { maxLength: 60 }), (tokens) => {
        const { value, problems } = parse(tokens.join(''), { A: 'b' });
        expect(value !== undefined || problems.length > 0).toBe(true);
      }),
      { numRuns: 2000 },
    );
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => void parse(text)),
      { numRuns: 500 },
    );
  });
});
