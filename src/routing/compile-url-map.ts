import { ProxyError } from '../base/errors.ts';
import type {
  LinkedDestination,
  LinkedHeaderAction,
  LinkedPathMatcher,
  LinkedUrlMap,
} from '../config/linked-url-map.ts';
import { ActionCompiler, type PathPart } from './compile-action.ts';
import { compileMatchRule, matchedPart, templateOf } from './compile-match-rule.ts';
import { Destination, type RandomSource } from './destination.ts';
import { type PathMatcher, PathTable, portColon, type RouteRule, RouteTable, UrlMatcher } from './match.ts';
import type { MatchRule } from './match-rule.ts';
import type { WinningRule } from './route.ts';

/**
 * Compiles a validated URL map against the running services (by name). Throws `internal_error` for what src/config must have
 * refused: an unknown service or path matcher, a host or path that appears twice, a pattern that cannot be read.
 *
 * @param random chooses between weighted services
 */
export function compileUrlMap<Service>(
  map: LinkedUrlMap,
  services: ReadonlyMap<string, Service>,
  random: RandomSource = Math.random,
): UrlMatcher<Service> {
  return new UrlMapCompiler(map, services, random).compile();
}

class UrlMapCompiler<Service> {
  readonly #map: LinkedUrlMap;
  readonly #random: RandomSource;
  readonly #actions: ActionCompiler<Service>;
  /** A path matcher is compiled for each host that names it, its patterns once. */
  readonly #matchRules = new Map<object, MatchRule>();

  constructor(map: LinkedUrlMap, services: ReadonlyMap<string, Service>, random: RandomSource) {
    this.#map = map;
    this.#random = random;
    this.#actions = new ActionCompiler(map, services);
  }

  compile(): UrlMatcher<Service> {
    const map = this.#map;
    const matchers = new Map(map.pathMatchers.map((matcher) => [matcher.name, matcher]));
    const exact = new Map<string, PathMatcher<Service>>();
    const wildcards = new Map<string, Map<string, PathMatcher<Service>>>();
    for (const rule of map.hostRules) {
      const matcher = matchers.get(rule.pathMatcher);
      if (matcher === undefined)
        throw defect(map, `no path matcher ${rule.pathMatcher}, expected a linked configuration`);
      for (const host of rule.hosts) {
        const compiled = this.#pathMatcher(matcher, host);
        const key = host.toLowerCase();
        if (!key.startsWith('*')) {
          putOnce(exact, key, compiled, map);
          continue;
        }
        const colonAt = portColon(key);
        const suffix = key.slice(1, colonAt === -1 ? key.length : colonAt);
        const byPort = wildcards.get(suffix) ?? new Map<string, PathMatcher<Service>>();
        wildcards.set(suffix, byPort);
        putOnce(byPort, colonAt === -1 ? '' : key.slice(colonAt + 1), compiled, map);
      }
    }
    const fallback = this.#destination(map.fallback, NOTHING_WON, DEFAULT_PART, [map.headerAction]);
    return new UrlMatcher(map.name, { exact, wildcards }, fallback);
  }

  #pathMatcher(matcher: LinkedPathMatcher, hostRule: string): PathMatcher<Service> {
    const levels = [matcher.headerAction, this.#map.headerAction];
    const winning = { ...NOTHING_WON, hostRule, pathMatcher: matcher.name };
    const fallback = this.#destination(matcher.fallback, winning, DEFAULT_PART, levels);
    if (matcher.routeRules.length > 0) return new RouteTable(this.#routeRules(matcher, winning), fallback);
    const exact = new Map<string, Destination<Service>>();
    const prefixes = new Map<string, Destination<Service>>();
    for (const { paths, destination } of matcher.pathRules) {
      for (const path of paths) {
        const isPrefix = path.endsWith('/*');
        const part = { matched: isPrefix ? path.length - 1 : ('whole' as const), template: null };
        const compiled = this.#destination(destination, { ...winning, pathRule: path }, part, levels);
        if (isPrefix) putOnce(prefixes, path.slice(0, -1), compiled, this.#map);
        else putOnce(exact, path, compiled, this.#map);
      }
    }
    return new PathTable(exact, prefixes, fallback);
  }

  #routeRules(matcher: LinkedPathMatcher, winning: WinningRule): readonly RouteRule<Service>[] {
    return matcher.routeRules.map(({ priority, matchRules, destination, headerAction }) => ({
      priority,
      ways: matchRules.map((matchRule) => {
        const rule = this.#matchRules.get(matchRule) ?? compileMatchRule(matchRule);
        this.#matchRules.set(matchRule, rule);
        const won = { ...winning, pathRule: matchRule.path.value, priority };
        const part = { matched: matchedPart(matchRule.path), template: templateOf(rule) };
        const levels = [headerAction, matcher.headerAction, this.#map.headerAction];
        return { rule, destination: this.#destination(destination, won, part, levels) };
      }),
    }));
  }

  #destination(
    destination: LinkedDestination,
    winning: WinningRule,
    part: PathPart,
    levels: readonly (LinkedHeaderAction | null)[],
  ): Destination<Service> {
    if (destination.kind === 'redirect') {
      const redirect = this.#actions.redirect(destination, part);
      return new Destination<Service>([{ ...winning, redirect, service: null, action: null }], [1], this.#random);
    }
    const routes = destination.services.map(({ service, headerAction }) => ({
      ...winning,
      redirect: null,
      service: this.#actions.service(service),
      action: this.#actions.action(destination.action, part, [headerAction, ...levels]),
    }));
    const weights = destination.services.map(({ weight }) => weight);
    if (!weights.some((weight) => weight > 0)) throw defect(this.#map, 'weights that add up to nothing');
    return new Destination(routes, weights, this.#random);
  }
}

function putOnce<Value>(values: Map<string, Value>, key: string, value: Value, map: LinkedUrlMap): void {
  if (values.has(key)) throw defect(map, `${key} appears twice, expected a validated configuration`);
  values.set(key, value);
}

/** What a rule of src/config should have reported. */
function defect(map: LinkedUrlMap, what: string): ProxyError {
  return new ProxyError('internal_error', { detail: `Cannot compile URL map ${map.name}: ${what}` });
}

const NOTHING_WON: WinningRule = { hostRule: null, pathMatcher: null, pathRule: null, priority: null };
/** A default matches every path by its first slash. */
const DEFAULT_PART: PathPart = { matched: 1, template: null };
