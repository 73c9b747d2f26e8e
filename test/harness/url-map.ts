import type {
  LinkedDestination,
  LinkedForward,
  LinkedMatchRule,
  LinkedPathMatch,
  LinkedPathMatcher,
  LinkedRedirect,
  LinkedRouteAction,
  LinkedRouteRule,
  LinkedUrlMap,
} from '#src/config/linked-url-map.ts';
import type { RoutableRequest } from '#src/routing/match-rule.ts';

/** Linked URL maps with everything left out that a test does not say. */

export function urlMap(shape: Partial<LinkedUrlMap>): LinkedUrlMap {
  return {
    name: 'web',
    digest: '' as LinkedUrlMap['digest'],
    fallback: to('default'),
    headerAction: null,
    hostRules: [],
    pathMatchers: [],
    tests: [],
    ...shape,
  };
}

export function pathMatcher(shape: Partial<LinkedPathMatcher>): LinkedPathMatcher {
  return { name: 'all', fallback: to('default'), headerAction: null, pathRules: [], routeRules: [], ...shape };
}

/** All requests go to one service, with an action. */
export function to(service: string, action: Partial<LinkedRouteAction> | null = null): LinkedForward {
  return shared([[service, 1]], action);
}

export function shared(
  weights: readonly (readonly [string, number])[],
  action: Partial<LinkedRouteAction> | null = null,
): LinkedForward {
  const services = weights.map(([service, weight]) => ({ service, weight, headerAction: null }));
  return { kind: 'forward', services, action: action && { ...NO_ACTION, ...action } };
}

export function redirect(shape: Partial<LinkedRedirect>): LinkedRedirect {
  const nothing = { host: null, path: null, prefix: null, https: false, stripQuery: false } as const;
  return { kind: 'redirect', status: 301, ...nothing, ...shape };
}

export function routeRule(
  priority: number,
  matchRules: readonly LinkedMatchRule[],
  destination: LinkedDestination,
): LinkedRouteRule {
  return { priority, matchRules, destination, headerAction: null };
}

export function matchRule(path: LinkedPathMatch, rest: Partial<LinkedMatchRule> = {}): LinkedMatchRule {
  return { path, headers: [], queryParameters: [], ...rest };
}

export function prefix(value: string, ignoreCase = false): LinkedPathMatch {
  return { kind: 'prefix', value, ignoreCase };
}

/** A map in which one path matcher serves every host. */
export function everyHost(matcher: Partial<LinkedPathMatcher>, shape: Partial<LinkedUrlMap> = {}): LinkedUrlMap {
  const hostRules = [{ hosts: ['*'], pathMatcher: 'all' }];
  return urlMap({ hostRules, pathMatchers: [pathMatcher(matcher)], ...shape });
}

/** Every name is its own service, so that a test reads as "this URL goes to that service". */
export function named(...names: readonly string[]): ReadonlyMap<string, string> {
  return new Map(names.map((name) => [name, name]));
}

export function request(authority: string, target: string, shape: Partial<RoutableRequest> = {}): RoutableRequest {
  return { method: 'GET', authority, target, headers: [], ...shape };
}

const NO_ACTION: LinkedRouteAction = {
  urlRewrite: null,
  timeoutMs: null,
  maxStreamDurationMs: null,
  retryPolicy: null,
  mirror: null,
  cors: null,
  fault: null,
};
