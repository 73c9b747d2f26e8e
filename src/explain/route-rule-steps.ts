import type {
  LinkedHeaderMatch,
  LinkedMatchRule,
  LinkedPathMatcher,
  LinkedQueryParameterMatch,
} from '../config/linked-url-map.ts';
import { compileMatchRule } from '../routing/compile-match-rule.ts';
import {
  headerMatches,
  type MatchedRequest,
  pathMatches,
  queryParameterMatches,
  type RoutableRequest,
} from '../routing/match-rule.ts';

/** Each route rule that was looked at, in the order of priority: why it does not match, or that it wins. Asks the routing code itself. */
export function routeRuleSteps(
  matcher: LinkedPathMatcher,
  priority: number | null,
  request: RoutableRequest,
): readonly string[] {
  const queryAt = request.target.indexOf('?');
  const path = queryAt === -1 ? request.target : request.target.slice(0, queryAt);
  const matched: MatchedRequest = { request, path, query: queryAt === -1 ? '' : request.target.slice(queryAt + 1) };
  const steps: string[] = [];
  for (const rule of matcher.routeRules) {
    const failures: string[] = [];
    for (const matchRule of rule.matchRules) {
      const failure = failureOf(matchRule, matched);
      if (failure === null) {
        steps.push(`route rule ${rule.priority} wins: ${predicates(matchRule).join(', ')}`);
        return steps;
      }
      failures.push(failure);
    }
    steps.push(`route rule ${rule.priority} does not match: ${failures.join('; nor ')}`);
  }
  if (priority === null) steps.push(`no route rule of ${matcher.name} matches ${path}: its default gets it`);
  return steps;
}

/** The first predicate that does not hold; null: the rule matches. */
function failureOf(rule: LinkedMatchRule, matched: MatchedRequest): string | null {
  const compiled = compileMatchRule(rule);
  if (!pathMatches(compiled.path, matched.path)) return pathText(rule);
  for (const [index, header] of rule.headers.entries()) {
    if (!headerMatches(compiled.headers[index]!, matched.request)) return headerText(header);
  }
  for (const [index, parameter] of rule.queryParameters.entries()) {
    if (!queryParameterMatches(compiled.queryParameters[index]!, matched.query)) return queryText(parameter);
  }
  return null;
}

function predicates(rule: LinkedMatchRule): readonly string[] {
  return [pathText(rule), ...rule.headers.map(headerText), ...rule.queryParameters.map(queryText)];
}

function pathText({ path }: LinkedMatchRule): string {
  const ignoresCase = (path.kind === 'prefix' || path.kind === 'full') && path.ignoreCase;
  return `${PATH_FIELDS[path.kind]} ${path.value}${ignoresCase ? ' without case' : ''}`;
}

function headerText({ name, test, invert }: LinkedHeaderMatch): string {
  return `header ${name} ${invert ? 'not ' : ''}${testText(test)}`;
}

function queryText({ name, test }: LinkedQueryParameterMatch): string {
  return `query parameter ${name} ${testText(test)}`;
}

function testText(test: LinkedHeaderMatch['test']): string {
  if (test.kind === 'range') return `from ${test.start} to below ${test.end}`;
  if (test.kind === 'present') return test.value ? 'present' : 'absent';
  return `${test.kind} '${test.value}'`;
}

const PATH_FIELDS = {
  prefix: 'prefixMatch',
  full: 'fullPathMatch',
  regex: 'regexMatch',
  template: 'pathTemplateMatch',
} as const;
