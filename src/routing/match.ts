// hot path: match() runs once per request; with path rules every lookup is a hash of a slice, no allocation but the slices.
import type { Destination } from './destination.ts';
import type { MatchedRequest, MatchRule, RoutableRequest } from './match-rule.ts';
import type { Route } from './route.ts';

/** One path matcher: what a request goes to by its path, and by its whole head where there are route rules. */
export type PathMatcher<Service> = PathTable<Service> | RouteTable<Service>;

/** Path rules: exact paths, then the longest `/*` prefix, then the default (spec 3.4). */
export class PathTable<Service> {
  readonly exact: ReadonlyMap<string, Destination<Service>>;
  /** Keys end in `/`: `/video/*` is stored as `/video/`, so that it cannot match `/video`. */
  readonly prefixes: ReadonlyMap<string, Destination<Service>>;
  readonly prefixLengths: readonly number[];
  readonly fallback: Destination<Service>;

  constructor(
    exact: ReadonlyMap<string, Destination<Service>>,
    prefixes: ReadonlyMap<string, Destination<Service>>,
    fallback: Destination<Service>,
  ) {
    this.exact = exact;
    this.prefixes = prefixes;
    this.prefixLengths = lengthsDescending(prefixes);
    this.fallback = fallback;
  }

  match(request: RoutableRequest): Destination<Service> {
    const { target } = request;
    const queryAt = target.indexOf('?');
    const path = queryAt === -1 ? target : target.slice(0, queryAt);
    const exact = this.exact.get(path);
    if (exact !== undefined) return exact;
    const lengths = this.prefixLengths;
    for (let i = 0; i < lengths.length; i++) {
      const length = lengths[i]!;
      if (path.length < length || path.charCodeAt(length - 1) !== SLASH) continue;
      const destination = this.prefixes.get(path.slice(0, length));
      if (destination !== undefined) return destination;
    }
    return this.fallback;
  }
}

/** Route rules: the first that matches wins, then the default. */
export class RouteTable<Service> {
  /** By priority. */
  readonly rules: readonly RouteRule<Service>[];
  readonly fallback: Destination<Service>;

  constructor(rules: readonly RouteRule<Service>[], fallback: Destination<Service>) {
    this.rules = rules;
    this.fallback = fallback;
  }

  match(request: RoutableRequest): Destination<Service> {
    const { target } = request;
    const queryAt = target.indexOf('?');
    const matched: MatchedRequest = {
      request,
      path: queryAt === -1 ? target : target.slice(0, queryAt),
      query: queryAt === -1 ? '' : target.slice(queryAt + 1),
    };
    const { rules } = this;
    for (let i = 0; i < rules.length; i++) {
      const ways = rules[i]!.ways;
      for (let k = 0; k < ways.length; k++) if (ways[k]!.rule.matches(matched)) return ways[k]!.destination;
    }
    return this.fallback;
  }
}

/** One route rule. Its match rules lead to one destination each: what a rewrite replaces depends on how the path was matched. */
export interface RouteRule<Service> {
  readonly priority: number;
  readonly ways: readonly { readonly rule: MatchRule; readonly destination: Destination<Service> }[];
}

export interface HostTables<Service> {
  /** Keys `host` or `host:port`, lower-cased. */
  readonly exact: ReadonlyMap<string, PathMatcher<Service>>;
  /** What follows the `*`, without its port: `.example.com`, or '' for `*`. Values: the rules of that suffix by port, '' for none. */
  readonly wildcards: ReadonlyMap<string, ReadonlyMap<string, PathMatcher<Service>>>;
}

/**
 * A compiled URL map. Hosts: exact with port, exact, then the longest wildcard (one with the port before one without), then the
 * map's default. A wildcard stands for one character or more, over any number of labels. Paths are compared byte for byte,
 * without the query and without decoding: what is matched is what is forwarded (spec 10.24).
 */
export class UrlMatcher<Service> {
  readonly name: string;
  readonly fallback: Destination<Service>;
  readonly #hosts: HostTables<Service>;
  readonly #wildcardLengths: readonly number[];

  constructor(name: string, hosts: HostTables<Service>, fallback: Destination<Service>) {
    this.name = name;
    this.fallback = fallback;
    this.#hosts = hosts;
    this.#wildcardLengths = lengthsDescending(hosts.wildcards);
  }

  match(request: RoutableRequest): Route<Service> {
    return this.find(request).choose();
  }

  /** What wins, before one of several services is chosen. */
  find(request: RoutableRequest): Destination<Service> {
    const { exact, wildcards } = this.#hosts;
    if (exact.size === 0 && wildcards.size === 0) return this.fallback;
    const matcher = this.#matcherFor(request.authority.toLowerCase());
    return matcher === null ? this.fallback : matcher.match(request);
  }

  #matcherFor(authority: string): PathMatcher<Service> | null {
    const { exact, wildcards } = this.#hosts;
    const colonAt = portColon(authority);
    const host = colonAt === -1 ? authority : authority.slice(0, colonAt);
    const port = colonAt === -1 ? '' : authority.slice(colonAt + 1);
    const matcher = exact.get(authority) ?? exact.get(host);
    if (matcher !== undefined) return matcher;
    const lengths = this.#wildcardLengths;
    for (let i = 0; i < lengths.length; i++) {
      const length = lengths[i]!;
      if (host.length <= length) continue;
      const byPort = wildcards.get(host.slice(host.length - length));
      const found = byPort?.get(port) ?? byPort?.get('');
      if (found !== undefined) return found;
    }
    return null;
  }
}

/** Index of the colon before the port, or -1; the colons of an IPv6 literal are inside brackets. */
export function portColon(authority: string): number {
  for (let i = authority.length - 1; i >= 0; i--) {
    const byte = authority.charCodeAt(i);
    if (byte === COLON) return i;
    if (byte === BRACKET) break;
  }
  return -1;
}

function lengthsDescending(keys: ReadonlyMap<string, unknown>): readonly number[] {
  const lengths = new Set<number>();
  for (const key of keys.keys()) lengths.add(key.length);
  return [...lengths].sort((a, b) => b - a);
}

const SLASH = 0x2f;
const COLON = 0x3a;
const BRACKET = 0x5d; // ]
