import fc from 'fast-check';
import type {
  LinkedHeaderMatch,
  LinkedMatchRule,
  LinkedPathMatch,
  LinkedQueryParameterMatch,
} from '#src/config/linked-url-map.ts';
import { compileUrlMap } from '#src/routing/compile-url-map.ts';
import type { RoutableRequest } from '#src/routing/match-rule.ts';
import { everyHost, matchRule, named, prefix, request, routeRule, to } from '../harness/url-map.ts';

/** Whether a map of this one rule sends a request to it. */
function wins(rule: LinkedMatchRule, asked: RoutableRequest): boolean {
  const map = everyHost({ routeRules: [routeRule(1, [rule], to('won'))] });
  return compileUrlMap(map, named('default', 'won')).match(asked).service === 'won';
}

describe('paths', () => {
  const cases: [LinkedPathMatch, string, boolean, string][] = [
    [prefix('/video'), '/videos/x', true, 'a prefix is of bytes, not of segments'],
    [prefix('/video'), '/Video', false, 'paths have case'],
    [prefix('/video', true), '/VIDEO/x', true, 'unless it is ignored'],
    [prefix('/video/'), '/video', false, 'shorter than the prefix'],
    [prefix('/a'), '/%61', false, 'nothing is decoded'],
    [prefix('/a/'), '/a%2fb', false, '%2f never matches a slash'],
    [{ kind: 'full', value: '/a', ignoreCase: false }, '/a?b', true, 'the query does not count'],
    [{ kind: 'full', value: '/a', ignoreCase: false }, '/a/', false, 'all of the path'],
    [{ kind: 'full', value: '/A', ignoreCase: true }, '/a', true, 'without case'],
    [{ kind: 'full', value: '/a', ignoreCase: true }, '/ab', false, 'all of it without case too'],
    [{ kind: 'regex', value: '/a[0-9]+' }, '/a12', true, 'an expression'],
    [{ kind: 'regex', value: '/a[0-9]+' }, '/a12/b', false, 'an expression matches the whole path'],
    [{ kind: 'regex', value: '/a|/b' }, '/ba', false, 'every alternative of it'],
    [{ kind: 'regex', value: '/a$' }, '/a?b=/c', true, 'and never the query'],
    [{ kind: 'template', value: '/{a}/x' }, '/1/x', true, 'a template'],
    [{ kind: 'template', value: '/{a}/x' }, '/1/2/x', false, 'a variable is one segment'],
  ];
  test.each(cases)('%j and %s: %s, %s', (path, target, expected) => {
    expect(wins(matchRule(path), request('a.example', target))).toBe(expected);
  });
});

describe('headers', () => {
  const headers = ['x-one', 'abc', 'x-two', 'a', 'x-two', 'b', 'x-number', '-5', 'x-empty', ''];
  const cases: [string, LinkedHeaderMatch['test'], boolean, string][] = [
    ['x-one', { kind: 'exact', value: 'abc' }, true, 'exact'],
    ['x-one', { kind: 'exact', value: 'ABC' }, false, 'values have case'],
    ['x-one', { kind: 'prefix', value: 'ab' }, true, 'prefix'],
    ['x-one', { kind: 'suffix', value: 'bc' }, true, 'suffix'],
    ['x-one', { kind: 'suffix', value: 'ab' }, false, 'no suffix'],
    ['x-one', { kind: 'regex', value: 'a.c' }, true, 'regex'],
    ['x-one', { kind: 'regex', value: 'b' }, false, 'regex of the whole value'],
    ['x-two', { kind: 'exact', value: 'a,b' }, true, 'two fields are one list'],
    ['x-empty', { kind: 'present', value: true }, true, 'present without a value'],
    ['x-none', { kind: 'present', value: true }, false, 'not there'],
    ['x-none', { kind: 'present', value: false }, true, 'asked not to be there'],
    ['x-none', { kind: 'exact', value: '' }, false, 'what is not there is not empty'],
    ['x-number', { kind: 'range', start: -5, end: 0 }, true, 'from start'],
    ['x-number', { kind: 'range', start: -9, end: -5 }, false, 'to below end'],
    ['x-one', { kind: 'range', start: -9, end: 9 }, false, 'no number'],
    ['x-empty', { kind: 'range', start: -9, end: 9 }, false, 'nothing is no number'],
    [':method', { kind: 'exact', value: 'GET' }, true, 'the method'],
    [':authority', { kind: 'exact', value: 'a.example' }, true, 'the authority'],
  ];
  test.each(cases)('%s %j: %s, %s; inverted the opposite', (name, matchTest, expected) => {
    const asked = request('a.example', '/', { headers });
    const rule = (invert: boolean) => matchRule(prefix('/'), { headers: [{ name, test: matchTest, invert }] });
    expect(wins(rule(false), asked)).toBe(expected);
    expect(wins(rule(true), asked)).toBe(!expected);
  });

  test.each(['+5', '5.0', '0x5', ' 5', '1e1', '5 ', '٥', '5'.repeat(400)])('%s is in no range', (value) => {
    const range: LinkedHeaderMatch['test'] = { kind: 'range', start: -1e15, end: 1e15 };
    const rule = matchRule(prefix('/'), { headers: [{ name: 'x', test: range, invert: false }] });
    expect(wins(rule, request('a.example', '/', { headers: ['x', value] }))).toBe(false);
  });
});

describe('query parameters', () => {
  const cases: [string, string, LinkedQueryParameterMatch['test'], boolean][] = [
    ['a=1', 'a', { kind: 'exact', value: '1' }, true],
    ['b=2&a=1', 'a', { kind: 'exact', value: '1' }, true],
    ['a=2&a=1', 'a', { kind: 'exact', value: '1' }, false],
    ['aa=1', 'a', { kind: 'present', value: true }, false],
    ['a', 'a', { kind: 'present', value: true }, true],
    ['a=', 'a', { kind: 'exact', value: '' }, true],
    ['', 'a', { kind: 'present', value: true }, false],
    ['', 'a', { kind: 'present', value: false }, true],
    ['a=1%32', 'a', { kind: 'exact', value: '12' }, false],
    ['a=12', 'a', { kind: 'regex', value: '[0-9]+' }, true],
    ['a=12x', 'a', { kind: 'regex', value: '[0-9]+' }, false],
    ['x?a=1', 'a', { kind: 'present', value: true }, false],
  ];
  test.each(cases)('?%s, %s %j: %s', (query, name, matchTest, expected) => {
    const rule = matchRule(prefix('/'), { queryParameters: [{ name, test: matchTest }] });
    expect(wins(rule, request('a.example', `/?${query}`))).toBe(expected);
  });
});

describe('rules', () => {
  const map = everyHost({
    routeRules: [
      routeRule(5, [matchRule({ kind: 'full', value: '/a', ignoreCase: false }), matchRule(prefix('/b'))], to('first')),
      routeRule(9, [matchRule(prefix('/'))], to('second')),
    ],
  });
  const matcher = compileUrlMap(map, named('default', 'first', 'second'));

  test.each([
    ['/a', 'first', 5, '/a'],
    ['/bcd', 'first', 5, '/b'],
    ['/c', 'second', 9, '/'],
  ])('%s goes to %s: the first that matches, by any of its match rules', (target, service, priority, pathRule) => {
    expect(matcher.match(request('a.example', target))).toEqual(
      expect.objectContaining({ service, priority, pathRule }),
    );
  });

  test('every predicate of a match rule must hold', () => {
    const header: LinkedHeaderMatch = { name: 'x', test: { kind: 'present', value: true }, invert: false };
    const rule = matchRule(prefix('/'), {
      headers: [header],
      queryParameters: [{ name: 'q', test: { kind: 'present', value: true } }],
    });
    expect(wins(rule, request('a.example', '/?q', { headers: ['x', ''] }))).toBe(true);
    expect(wins(rule, request('a.example', '/', { headers: ['x', ''] }))).toBe(false);
    expect(wins(rule, request('a.example', '/?q'))).toBe(false);
  });

  test('nothing that matches leaves the default of the path matcher', () => {
    const none = everyHost({ routeRules: [routeRule(1, [matchRule(prefix('/x'))], to('first'))] });
    const route = compileUrlMap(none, named('default', 'first')).match(request('a.example', '/y'));
    expect(route).toEqual(expect.objectContaining({ service: 'default', priority: null, pathRule: null }));
  });
});

test('matches as a plain reading of the rules does', () => {
  const text = fc.constantFrom('/', '/a', '/a/b', '/A', '/b', '/a/', '/a/b/c', '/x.y');
  const path: fc.Arbitrary<LinkedPathMatch> = fc.oneof(
    fc.record({ kind: fc.constantFrom('prefix' as const, 'full' as const), value: text, ignoreCase: fc.boolean() }),
    fc.record({ kind: fc.constant('regex' as const), value: fc.constantFrom('/a.*', '/[ab]', '(?i)/A', '/a/[^/]+') }),
    fc.record({ kind: fc.constant('template' as const), value: fc.constantFrom('/*', '/a/*', '/{x}/**', '/a/{y=**}') }),
  );
  const value = fc.constantFrom('', '1', '7', 'ab');
  const test: fc.Arbitrary<LinkedHeaderMatch['test']> = fc.oneof(
    fc.record({ kind: fc.constantFrom('exact' as const, 'prefix' as const, 'suffix' as const), value }),
    fc.record({ kind: fc.constant('present' as const), value: fc.boolean() }),
    fc.record({ kind: fc.constant('range' as const), start: fc.constant(0), end: fc.constant(5) }),
  );
  const name = fc.constantFrom('x', 'y', ':method');
  const queryTest: fc.Arbitrary<LinkedQueryParameterMatch['test']> = fc.oneof(
    fc.record({ kind: fc.constant('exact' as const), value }),
    fc.record({ kind: fc.constant('present' as const), value: fc.boolean() }),
  );
  const rule = fc.record({
    path,
    headers: fc.array(fc.record({ name, test, invert: fc.boolean() }), { maxLength: 2 }),
    queryParameters: fc.array(fc.record({ name: fc.constantFrom('q', 'p'), test: queryTest }), { maxLength: 1 }),
  });
  const rules = fc.array(fc.array(rule, { minLength: 1, maxLength: 2 }), { maxLength: 4 });
  const asked = fc.record({
    method: fc.constantFrom('GET', 'POST'),
    authority: fc.constant('a.example'),
    target: fc.tuple(text, fc.constantFrom('', '?q', '?q=1&p=7', '?p=&q=ab')).map((parts) => parts.join('')),
    headers: fc.array(fc.tuple(fc.constantFrom('x', 'y'), value), { maxLength: 3 }).map((list) => list.flat()),
  });
  fc.assert(
    fc.property(rules, asked, (matchRules, incoming) => {
      const names = matchRules.map((_, index) => `service${index}`);
      const map = everyHost({ routeRules: matchRules.map((each, index) => routeRule(index, each, to(names[index]!))) });
      const expected = matchRules.findIndex((each) => each.some((one) => plainly(one, incoming)));
      const { service } = compileUrlMap(map, named('default', ...names)).match(incoming);
      expect(service).toBe(names[expected] ?? 'default');
    }),
    { numRuns: 500 },
  );
});

/** The same rules without any of the code under test: URLSearchParams, RegExp and Map. */
function plainly({ path, headers, queryParameters }: LinkedMatchRule, incoming: RoutableRequest): boolean {
  const [requestPath = '', query = ''] = incoming.target.split('?');
  const ignoresCase = (path.kind === 'prefix' || path.kind === 'full') && path.ignoreCase;
  const fold = (text: string) => (ignoresCase ? text.toLowerCase() : text);
  const byPath = {
    prefix: () => fold(requestPath).startsWith(fold(path.value)),
    full: () => fold(requestPath) === fold(path.value),
    regex: () =>
      new RegExp(`^(?:${path.value.replace('(?i)', '')})$`, path.value.startsWith('(?i)') ? 'i' : '').test(requestPath),
    template: () =>
      new RegExp(
        `^${path.value
          .replaceAll(/\{\w+=\*\*\}|\*\*/g, '@')
          .replaceAll(/\{\w+\}|\*/g, '[^/]+')
          .replaceAll('@', '.*')}$`,
      ).test(requestPath),
  }[path.kind]();
  const fields = new Map<string, string>([[':method', incoming.method]]);
  for (let i = 0; i < incoming.headers.length; i += 2) {
    const field = incoming.headers[i] ?? '';
    const before = fields.get(field);
    fields.set(field, before === undefined ? (incoming.headers[i + 1] ?? '') : `${before},${incoming.headers[i + 1]}`);
  }
  const meets = (test: LinkedHeaderMatch['test'], value: string | null) => {
    if (test.kind === 'present') return (value !== null) === test.value;
    if (value === null) return false;
    if (test.kind === 'range') return /^-?\d+$/.test(value) && Number(value) >= test.start && Number(value) < test.end;
    if (test.kind === 'prefix') return value.startsWith(test.value);
    if (test.kind === 'suffix') return value.endsWith(test.value);
    return value === test.value;
  };
  const parameters = new URLSearchParams(query);
  return (
    byPath &&
    headers.every((match) => meets(match.test, fields.get(match.name) ?? null) !== match.invert) &&
    queryParameters.every((match) => meets(match.test, parameters.get(match.name)))
  );
}
