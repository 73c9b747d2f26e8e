// hot path: newTarget() runs once per request of a route with a rewrite or a redirect of its path.
import type { PathTemplate, PathTemplateRewrite } from '../http/path-template.ts';

/** Which part of a path a rule matched: its first bytes, or all of it. */
export type MatchedPart = number | 'whole';

/** How the path of a request becomes another one; the query stays. */
export type PathSplice =
  | { readonly kind: 'prefix'; readonly matched: MatchedPart; readonly replacement: string }
  | { readonly kind: 'template'; readonly template: PathTemplate; readonly rewrite: PathTemplateRewrite };

/** `target`: origin form, one that the rule matched. */
export function newTarget(splice: PathSplice, target: string): string {
  const queryAt = target.indexOf('?');
  const path = queryAt === -1 ? target : target.slice(0, queryAt);
  const query = queryAt === -1 ? '' : target.slice(queryAt);
  return newPath(splice, path) + query;
}

function newPath(splice: PathSplice, path: string): string {
  if (splice.kind === 'template') return splice.rewrite.expand(splice.template.capture(path) ?? []);
  return splice.matched === 'whole' ? splice.replacement : splice.replacement + path.slice(splice.matched);
}
