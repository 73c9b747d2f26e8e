// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${…} is the configuration's own syntax
import fc from 'fast-check';
import { expandVariables } from '#src/config/expand.ts';

const env = { NAME: 'value', EMPTY: '', NESTED: '${NAME}', _x1: 'u' };

describe('expandVariables()', () => {
  test.each([
    ['plain', 'plain', false],
    ['${NAME}', 'value', true],
    ['a-${NAME}-${_x1}', 'a-value-u', true],
    ['${UNSET:-default}', 'default', true],
    ['${EMPTY:-default}', 'default', true],
    ['${EMPTY}', '', true],
    ['${NAME:-default}', 'value', true],
    ['${UNSET:-}', '', true],
    ['$${NAME}', '${NAME}', false],
    ['$${NAME} ${NAME}', '${NAME} value', true],
    ['$NAME $', '$NAME $', false],
    ['${NESTED}', '${NAME}', true],
  ])('turns %j into %j', (text, expanded, isExpanded) => {
    expect(expandVariables(text, env)).toEqual({ text: expanded, isExpanded, problems: [] });
  });

  test('an unset variable without default is a problem that names it', () => {
    const { problems } = expandVariables('${UNSET}${OTHER}', env);
    expect(problems).toHaveLength(2);
    expect(problems[0]).toMatch(/^Cannot expand \$\{UNSET\}: the environment variable is not set/);
  });

  test.each(['${', '${NAME', '${}', '${1A}', '${a b}', '${NAME:default}', '${A${B}}'])('%j is refused', (text) => {
    expect(expandVariables(text, env).problems).toHaveLength(1);
  });

  test('names of the prototype are not variables', () => {
    expect(expandVariables('${constructor}', env).problems).toHaveLength(1);
    expect(expandVariables('${__proto__}', env).problems).toHaveLength(1);
  });

  test('no value of a variable is ever in a problem, and nothing is expanded twice', () => {
    const piece = fc.constantFrom('${', '}', '$', 'SECRET', ':-', 'x', '${SECRET}', '$${');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('');
        const { problems } = expandVariables(text, { SECRET: 'hidden ${SECRET}' });
        for (const problem of problems) expect(problem).not.toContain('hidden');
      }),
    );
  });
});
