// hot path: match() runs once per request; every lookup is a hash of a slice, no regex, no allocation but the slices.

/** Where a request goes, made once per rule when the map is compiled; the patterns are null where a default won. */
export interface Route<Service> {
  readonly service: Service;
  readonly hostRule: string | null;
  readonly pathMatcher: string | null;
  readonly pathRule: string | null;
}

/** One path matcher: exact paths, then the longest `/*` prefix, then its default (spec 3.4). */
export class PathTable<Service> {
  readonly exact: ReadonlyMap<string, Route<Service>>;
  /** Keys end in `/`: `/video/*` is stored as `/video/`, so that it cannot match `/video`. */
  readonly prefixes: ReadonlyMap<string, Route<Service>>;
  readonly prefixLengths: readonly number[];
  readonly fallback: Route<Service>;

  constructor(
    exact: ReadonlyMap<string, Route<Service>>,
    prefixes: ReadonlyMap<string, Route<Service>>,
    fallback: Route<Service>,
  ) {
    this.exact = exact;
    this.prefixes = prefixes;
    this.prefixLengths = lengthsDescending(prefixes);
    this.fallback = fallback;
  }

  match(path: string): Route<Service> {
    const exact = this.exact.get(path);
    if (exact !== undefined) return exact;
    const lengths = this.prefixLengths;
    for (let i = 0; i < lengths.length; i++) {
      const length = lengths[i]!;
      if (path.length < length || path.charCodeAt(length - 1) !== SLASH) continue;
      const route = this.prefixes.get(path.slice(0, length));
      if (route !== undefined) return route;
    }
    return this.fallback;
  }
}

export interface HostTables<Service> {
  /** Keys `host` or `host:port`, lower-cased. */
  readonly exact: ReadonlyMap<string, PathTable<Service>>;
  /** What follows the `*`, without its port: `.example.com`, or '' for `*`. Values: the rules of that suffix by port, '' for none. */
  readonly wildcards: ReadonlyMap<string, ReadonlyMap<string, PathTable<Service>>>;
}

/**
 * A compiled URL map. Hosts: exact with port, exact, then the longest wildcard (one with the port before one without), then the
 * map's default. A wildcard stands for one character or more, over any number of labels. Paths are compared byte for byte,
 * without the query and without decoding: what is matched is what is forwarded (spec 10.24).
 */
export class UrlMatcher<Service> {
  readonly name: string;
  readonly fallback: Route<Service>;
  readonly #hosts: HostTables<Service>;
  readonly #wildcardLengths: readonly number[];

  constructor(name: string, hosts: HostTables<Service>, fallback: Route<Service>) {
    this.name = name;
    this.fallback = fallback;
    this.#hosts = hosts;
    this.#wildcardLengths = lengthsDescending(hosts.wildcards);
  }

  /** `authority`: validated host[:port]; `target`: origin form. */
  match(authority: string, target: string): Route<Service> {
    const table = this.#tableFor(authority.toLowerCase());
    if (table === null) return this.fallback;
    const queryAt = target.indexOf('?');
    return table.match(queryAt === -1 ? target : target.slice(0, queryAt));
  }

  #tableFor(authority: string): PathTable<Service> | null {
    const { exact, wildcards } = this.#hosts;
    const colonAt = portColon(authority);
    const host = colonAt === -1 ? authority : authority.slice(0, colonAt);
    const port = colonAt === -1 ? '' : authority.slice(colonAt + 1);
    const table = exact.get(authority) ?? exact.get(host);
    if (table !== undefined) return table;
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
  const colonAt = authority.lastIndexOf(':');
  return colonAt > authority.lastIndexOf(']') ? colonAt : -1;
}

function lengthsDescending(keys: ReadonlyMap<string, unknown>): readonly number[] {
  const lengths = new Set<number>();
  for (const key of keys.keys()) lengths.add(key.length);
  return [...lengths].sort((a, b) => b - a);
}

const SLASH = 0x2f;
