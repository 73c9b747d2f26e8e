import { isToken } from '../../http/field-value.ts';
import { parsePathTemplate } from '../../http/path-template.ts';
import { parseRegularExpression } from '../../http/regular-expression.ts';
import { isWritten, type Resource, shownField } from '../resource.ts';
import type { Spec } from '../schema/kinds.ts';
import { shownPath } from '../shown.ts';
import type { Path } from '../written.ts';
import { forEachSpec, type RuleContext } from './context.ts';
import { literalPathProblem } from './url-maps.ts';

/** routeRules of URL maps (spec 3.4): priorities, predicates and their patterns. */
export function checkRouteRules(context: RuleContext): void {
  forEachSpec(context.graph, 'urlMaps', (map, spec) => {
    for (const [index, matcher] of spec.pathMatchers.entries()) {
      const at = ['pathMatchers', index];
      if (matcher.pathRules.length > 0 && matcher.routeRules.length > 0) {
        const problem =
          'found pathRules and routeRules, expected one of them; write the paths as prefixMatch and fullPathMatch';
        context.findings.errorAtKey(map, [...at, 'routeRules'], `Cannot accept ${shownPath(at)}: ${problem}`);
      }
      checkPriorities(map, at, matcher.routeRules, context);
      for (const [ruleIndex, rule] of matcher.routeRules.entries()) {
        for (const [matchIndex, matchRule] of rule.matchRules.entries()) {
          checkMatchRule(map, [...at, 'routeRules', ruleIndex, 'matchRules', matchIndex], matchRule, context);
        }
      }
      checkExpressionCount(map, at, matcher.routeRules, context);
    }
  });
}

function checkPriorities(map: Resource, at: Path, rules: readonly RouteRuleSpec[], { findings }: RuleContext): void {
  const firsts = new Map<number, number>();
  for (const [index, { priority }] of rules.entries()) {
    const first = firsts.get(priority);
    if (first === undefined) {
      firsts.set(priority, index);
      continue;
    }
    const path = [...at, 'routeRules', index, 'priority'];
    const problem = `found ${priority}, which is that of routeRules[${first}] already; give each rule its own`;
    findings.error(map, path, `Cannot accept ${shownPath(path)}: ${problem}`);
  }
}

function checkMatchRule(map: Resource, at: Path, rule: MatchRuleSpec, context: RuleContext): void {
  const { findings } = context;
  const fail = (path: Path, problem: string) => {
    findings.error(map, path, `Cannot accept ${shownPath(path)}: found ${shownField(map, path)}, ${problem}`);
  };
  const found = PATH_FIELDS.filter((field) => rule[field] !== undefined);
  if (found.length !== 1) {
    const what = found.length === 0 ? 'no path' : found.join(' and ');
    findings.error(
      map,
      at,
      `Cannot accept ${shownPath(at)}: found ${what}, expected one of ${PATH_FIELDS.join(', ')}; write one`,
    );
  }
  for (const field of ['prefixMatch', 'fullPathMatch'] as const) {
    const value = rule[field];
    const problem = value === undefined ? null : (literalPathProblem(value) ?? escapeProblem(value));
    if (problem !== null) fail([...at, field], problem);
  }
  if (rule.ignoreCase && (rule.regexMatch !== undefined || rule.pathTemplateMatch !== undefined)) {
    fail([...at, 'ignoreCase'], 'expected it only beside prefixMatch or fullPathMatch; write (?i) in a regexMatch');
  }
  checkExpression(map, [...at, 'regexMatch'], rule.regexMatch, context);
  if (rule.pathTemplateMatch !== undefined) {
    const template = parsePathTemplate(rule.pathTemplateMatch);
    const path = [...at, 'pathTemplateMatch'];
    if (typeof template === 'string') fail(path, `${isWritten(map, path) ? template : UNSHOWN}; correct it`);
  }
  for (const [index, match] of rule.headerMatches.entries()) {
    checkHeaderMatch(map, [...at, 'headerMatches', index], match, context);
  }
  for (const [index, match] of rule.queryParameterMatches.entries()) {
    const path = [...at, 'queryParameterMatches', index];
    checkOneTest(map, path, match, QUERY_TESTS, context);
    if (!QUERY_NAME.test(match.name)) {
      fail([...path, 'name'], 'expected it as it stands in a URL, percent-encoded, without & = #; correct it');
    }
    checkExpression(map, [...path, 'regexMatch'], match.regexMatch, context);
  }
}

function checkHeaderMatch(map: Resource, at: Path, match: HeaderMatchSpec, context: RuleContext): void {
  const fail = (field: string, problem: string) => {
    const path = [...at, field];
    const shown = `Cannot accept ${shownPath(path)}: found ${shownField(map, path)}, ${problem}`;
    context.findings.error(map, path, shown);
  };
  checkOneTest(map, at, match, HEADER_TESTS, context);
  if (!isToken(match.headerName) && match.headerName !== ':method' && match.headerName !== ':authority') {
    fail('headerName', 'expected the name of a header, :method or :authority; correct it');
  }
  checkExpression(map, [...at, 'regexMatch'], match.regexMatch, context);
  const range = match.rangeMatch;
  if (range !== undefined && Number(range.rangeStart) >= Number(range.rangeEnd)) {
    fail('rangeMatch', 'whose rangeStart is not below rangeEnd, expected a range that holds something; correct it');
  }
}

function checkOneTest(
  map: Resource,
  at: Path,
  match: Readonly<Record<string, unknown>>,
  tests: readonly string[],
  { findings }: RuleContext,
): void {
  const found = tests.filter((test) => match[test] !== undefined);
  if (found.length === 1) return;
  const what = found.length === 0 ? 'no test' : found.join(' and ');
  findings.error(
    map,
    at,
    `Cannot accept ${shownPath(at)}: found ${what}, expected one of ${tests.join(', ')}; write one`,
  );
}

function checkExpression(map: Resource, path: Path, pattern: string | undefined, { findings }: RuleContext): void {
  if (pattern === undefined) return;
  const parsed = parseRegularExpression(pattern);
  if (typeof parsed !== 'string') return;
  findings.error(map, path, `Cannot accept ${shownPath(path)}: found ${shownField(map, path)}, ${parsed}; correct it`);
}

function checkExpressionCount(
  map: Resource,
  at: Path,
  rules: readonly RouteRuleSpec[],
  { findings }: RuleContext,
): void {
  let count = 0;
  for (const { matchRules } of rules) {
    for (const { regexMatch, headerMatches, queryParameterMatches } of matchRules) {
      const all = [{ regexMatch }, ...headerMatches, ...queryParameterMatches];
      count += all.filter((match) => match.regexMatch !== undefined).length;
    }
  }
  if (count <= MOST_EXPRESSIONS) return;
  const problem = `found ${count} regular expressions, expected at most ${MOST_EXPRESSIONS} in a path matcher; write prefixMatch or pathTemplateMatch where they will do`;
  findings.error(map, [...at, 'routeRules'], `Cannot accept ${shownPath(at)}: ${problem}`);
}

/** An escape that is cut or bad is in no request that is routed (security rule 33). */
function escapeProblem(path: string): string | null {
  const isWhole = !/%(?![0-9A-Fa-f]{2})/.test(path) && !path.includes('%00') && !path.includes('\\');
  return isWhole
    ? null
    : 'expected whole percent-encodings, and neither %00 nor a backslash, which no request has; correct it';
}

type RouteRuleSpec = Spec<'urlMaps'>['pathMatchers'][number]['routeRules'][number];
type MatchRuleSpec = RouteRuleSpec['matchRules'][number];
type HeaderMatchSpec = MatchRuleSpec['headerMatches'][number];

const PATH_FIELDS = ['prefixMatch', 'fullPathMatch', 'regexMatch', 'pathTemplateMatch'] as const;
const HEADER_TESTS = ['exactMatch', 'prefixMatch', 'suffixMatch', 'presentMatch', 'regexMatch', 'rangeMatch'];
const QUERY_TESTS = ['exactMatch', 'presentMatch', 'regexMatch'];
const QUERY_NAME = /^(?:[!-~](?<![&=#?]))+$/;
const UNSHOWN = 'which is none once its variables are expanded';
const MOST_EXPRESSIONS = 5; // spec 3.4
