import { ProxyError } from '../base/errors.ts';
import type {
  LinkedHeaderMatch,
  LinkedMatchRule,
  LinkedPathMatch,
  LinkedQueryParameterMatch,
} from '../config/linked-url-map.ts';
import { type PathTemplate, parsePathTemplate } from '../http/path-template.ts';
import { parseRegularExpression, type RegularExpression } from '../http/regular-expression.ts';
import { MatchRule, type PathPredicate, type TextTest } from './match-rule.ts';
import type { MatchedPart } from './path-splice.ts';

/** Throws `internal_error` for a pattern that src/config must have refused. */
export function compileMatchRule({ path, headers, queryParameters }: LinkedMatchRule): MatchRule {
  return new MatchRule(
    compilePath(path),
    headers.map(({ name, test, invert }) => ({ name, test: compileTest(test), invert })),
    queryParameters.map(({ name, test }) => ({ name, test: compileTest(test) })),
  );
}

/** What a rewrite or redirect of the prefix replaces. */
export function matchedPart(path: LinkedPathMatch): MatchedPart {
  return path.kind === 'prefix' ? path.value.length : 'whole';
}

export function templateOf({ path }: MatchRule): PathTemplate | null {
  return path.kind === 'template' ? path.template : null;
}

function compilePath(path: LinkedPathMatch): PathPredicate {
  if (path.kind === 'regex') return { kind: 'regex', pattern: expression(path.value) };
  if (path.kind === 'prefix' || path.kind === 'full') {
    return { ...path, value: path.ignoreCase ? path.value.toLowerCase() : path.value };
  }
  const template = parsePathTemplate(path.value);
  if (typeof template === 'string') throw defect(path.value, template);
  return { kind: 'template', template };
}

function compileTest(test: LinkedHeaderMatch['test'] | LinkedQueryParameterMatch['test']): TextTest {
  return test.kind === 'regex' ? { kind: 'regex', pattern: expression(test.value) } : (test as TextTest);
}

function expression(text: string): RegularExpression {
  const pattern = parseRegularExpression(text);
  if (typeof pattern === 'string') throw defect(text, pattern);
  return pattern;
}

function defect(pattern: string, problem: string): ProxyError {
  return new ProxyError('internal_error', { detail: `Cannot compile the pattern ${pattern}, ${problem}` });
}
