import type {
  LinkedHeaderAction,
  LinkedHeaderToAdd,
  LinkedPathMatcher,
  LinkedUrlMap,
} from '../config/linked-url-map.ts';
import { isPreflight } from '../routing/cors-policy.ts';
import type { RoutableRequest } from '../routing/match-rule.ts';
import type { Route } from '../routing/route.ts';

/** What is done to a request that is routed. Null: nothing, or that it goes nowhere else. */
export interface ExplainedAction {
  /** host[:port] and target as the backend gets them; null: the rewritten path has dot segments, which is answered with 400. */
  readonly upstream: string | null;
  /** `- name`, `+ name: value` (beside others), `= name: value` (instead of others), in the order in which they are applied. */
  readonly requestHeaders: readonly string[];
  readonly responseHeaders: readonly string[];
  /** The answer that the route's corsPolicy gives itself: a preflight of an allowed origin. */
  readonly preflight: boolean;
  readonly timeoutMs: number | null;
}

/** `map` is the one that the route is of, `route` what it chose. */
export function explainAction(
  map: LinkedUrlMap,
  route: Route<string>,
  { method, authority, target, headers }: RoutableRequest,
): ExplainedAction {
  const { action } = route;
  const rewrite = action?.rewrite ?? null;
  const newTarget = rewrite === null ? target : rewrite.target(target);
  const levels = headerLevels(map, route);
  const cors = action?.cors ?? null;
  return {
    upstream: newTarget === null ? null : `${rewrite?.authority ?? authority}${newTarget}`,
    requestHeaders: levels.flatMap((level) => edits(level.requestHeadersToRemove, level.requestHeadersToAdd)),
    responseHeaders: levels.flatMap((level) => edits(level.responseHeadersToRemove, level.responseHeadersToAdd)),
    preflight: cors !== null && cors.allowedOrigin(headers) !== null && isPreflight(method, headers),
    timeoutMs: action?.timeoutMs ?? null,
  };
}

/** In the order of Google's: weighted service, route rule, path matcher, URL map. */
function headerLevels(map: LinkedUrlMap, route: Route<string>): readonly LinkedHeaderAction[] {
  const matcher = map.pathMatchers.find(({ name }) => name === route.pathMatcher) ?? null;
  const rule = matcher?.routeRules.find(({ priority }) => priority === route.priority) ?? null;
  const destination = rule?.destination ?? pathDestination(matcher, route) ?? matcher?.fallback ?? map.fallback;
  const weighted =
    destination.kind === 'forward' ? destination.services.find(({ service }) => service === route.service) : undefined;
  const levels = [weighted?.headerAction, rule?.headerAction, matcher?.headerAction, map.headerAction];
  return levels.filter((level) => level !== null && level !== undefined);
}

function pathDestination(matcher: LinkedPathMatcher | null, { pathRule }: Route<string>) {
  if (pathRule === null) return null;
  return matcher?.pathRules.find(({ paths }) => paths.includes(pathRule))?.destination ?? null;
}

function edits(remove: readonly string[], add: readonly LinkedHeaderToAdd[]): readonly string[] {
  return [...remove.map((name) => `- ${name}`), ...add.map(additionText)];
}

function additionText({ header, replace }: LinkedHeaderToAdd): string {
  const value = header.parts.map((part) => ('text' in part ? part.text : `{${part.variable}}`)).join('');
  return `${replace ? '=' : '+'} ${header.name}: ${value}`;
}
