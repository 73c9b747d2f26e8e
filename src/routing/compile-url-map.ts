import { ProxyError } from '../base/errors.ts';
import type { LinkedPathMatcher, LinkedUrlMap } from '../config/linked.ts';
import { PathTable, portColon, type Route, UrlMatcher } from './match.ts';

/**
 * Compiles a validated URL map against the running services (by name). Throws `internal_error` for what src/config must have
 * refused: an unknown service or path matcher, a host or path that appears twice.
 */
export function compileUrlMap<Service>(map: LinkedUrlMap, services: ReadonlyMap<string, Service>): UrlMatcher<Service> {
  const matchers = new Map(map.pathMatchers.map((matcher) => [matcher.name, matcher]));
  const exact = new Map<string, PathTable<Service>>();
  const wildcards = new Map<string, Map<string, PathTable<Service>>>();
  for (const rule of map.hostRules) {
    const matcher = existing(matchers, rule.pathMatcher, 'path matcher', map);
    for (const host of rule.hosts) {
      const table = compilePathMatcher(matcher, host, map, services);
      const key = host.toLowerCase();
      if (!key.startsWith('*')) {
        putOnce(exact, key, table, map);
        continue;
      }
      const colonAt = portColon(key);
      const suffix = key.slice(1, colonAt === -1 ? key.length : colonAt);
      const byPort = wildcards.get(suffix) ?? new Map<string, PathTable<Service>>();
      wildcards.set(suffix, byPort);
      putOnce(byPort, colonAt === -1 ? '' : key.slice(colonAt + 1), table, map);
    }
  }
  const fallback: Route<Service> = {
    service: existing(services, map.defaultService, 'backend service', map),
    hostRule: null,
    pathMatcher: null,
    pathRule: null,
  };
  return new UrlMatcher(map.name, { exact, wildcards }, fallback);
}

function compilePathMatcher<Service>(
  matcher: LinkedPathMatcher,
  hostRule: string,
  map: LinkedUrlMap,
  services: ReadonlyMap<string, Service>,
): PathTable<Service> {
  const exact = new Map<string, Route<Service>>();
  const prefixes = new Map<string, Route<Service>>();
  for (const rule of matcher.pathRules) {
    const service = existing(services, rule.service, 'backend service', map);
    for (const path of rule.paths) {
      const route: Route<Service> = { service, hostRule, pathMatcher: matcher.name, pathRule: path };
      if (path.endsWith('/*')) putOnce(prefixes, path.slice(0, -1), route, map);
      else putOnce(exact, path, route, map);
    }
  }
  const service = existing(services, matcher.defaultService, 'backend service', map);
  return new PathTable(exact, prefixes, { service, hostRule, pathMatcher: matcher.name, pathRule: null });
}

function existing<Value>(values: ReadonlyMap<string, Value>, name: string, kind: string, map: LinkedUrlMap): Value {
  const value = values.get(name);
  if (value !== undefined) return value;
  throw new ProxyError('internal_error', {
    detail: `Cannot compile URL map ${map.name}: no ${kind} ${name}, expected a linked configuration`,
  });
}

function putOnce<Value>(values: Map<string, Value>, key: string, value: Value, map: LinkedUrlMap): void {
  if (values.has(key)) {
    throw new ProxyError('internal_error', {
      detail: `Cannot compile URL map ${map.name}: ${key} appears twice, expected a validated configuration`,
    });
  }
  values.set(key, value);
}
