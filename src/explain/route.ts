import { servicesOf } from '../config/link-url-map.ts';
import type { LinkedPathMatcher, LinkedUrlMap } from '../config/linked-url-map.ts';
import { judgeHead } from '../forward/judge-head.ts';
import { removeDotSegments } from '../http/normalize-path.ts';
import { readHttp1Head } from '../http/request-head.ts';
import { compileUrlMap } from '../routing/compile-url-map.ts';
import type { RoutableRequest } from '../routing/match-rule.ts';
import type { Route } from '../routing/route.ts';

export interface RouteQuestion {
  readonly method: string;
  /** `https://host[:port][/path][?query]`; nothing in it is normalised before the proxy's own rules see it. */
  readonly url: string;
  /** `name: value` each. */
  readonly headers: readonly string[];
}

export interface RouteExplanation {
  /** A backend service gets the request, or the one that the redirect leads to. */
  readonly ok: boolean;
  readonly urlMap: string;
  readonly authority: string;
  /** What is matched and forwarded: after a redirect the new one. */
  readonly target: string;
  readonly steps: readonly string[];
  /** A 302 comes first, to this URL. */
  readonly redirect: string | null;
  readonly service: string | null;
  /** The patterns that won; null where a default did. */
  readonly hostRule: string | null;
  readonly pathMatcher: string | null;
  readonly pathRule: string | null;
  readonly refusal: { readonly status: number; readonly statusDetails: string; readonly detail: string } | null;
}

/** Where the URL map sends a request, and which rules lose to the one that wins. A string says why the question cannot be read. */
export function explainRoute(map: LinkedUrlMap, question: RouteQuestion): RouteExplanation | string {
  const url = /^https:\/\/([^/?#]+)([^#]*)$/.exec(question.url);
  if (url === null)
    return `Cannot read --url '${question.url}': expected https://host[:port][/path][?query], without a fragment`;
  const [, host = '', rest = ''] = url;
  const headers = readHeaders(question.headers);
  if (typeof headers === 'string') return headers;
  const target = rest.startsWith('/') ? rest : `/${rest}`;
  const hasHost = headers.some((item, index) => index % 2 === 0 && item.toLowerCase() === 'host');
  const head = readHttp1Head(question.method, target, 1, 1, hasHost ? headers : ['host', host, ...headers], true);
  const { authority, rejection, isWebSocket } = head;
  const judged = {
    rejection,
    isWebSocket,
    authority,
    target: head.target,
    headers: head.headers,
    protocol: 'HTTP/1.1',
  } as const;
  const verdict = judgeHead(judged);
  const asked = { urlMap: map.name, authority, target: head.target };
  if (verdict !== null && verdict !== 'redirect') {
    const { status, statusDetails } = verdict.spec;
    const steps = [`the head is refused before any rule is looked at: ${statusDetails}`];
    return { ...NO_ROUTE, ...asked, steps, refusal: { status, statusDetails, detail: verdict.detail } };
  }
  const steps: string[] = [];
  const clean = verdict === 'redirect' ? removeDotSegments(head.target) : head.target;
  const redirect = verdict === 'redirect' ? `https://${authority}${clean}` : null;
  if (redirect !== null) {
    steps.push(
      `the path has dot segments: answered with 302 to ${redirect} before any rule is looked at; that request goes on:`,
    );
  }
  const route = compileUrlMap(map, namesOf(map)).match({
    method: question.method,
    authority,
    target: clean,
    headers: head.headers,
  });
  explainHost(map, route, authority, steps);
  explainPath(map, route, authority, clean, steps);
  const { service, hostRule, pathMatcher, pathRule } = route;
  return { ...NO_ROUTE, ...asked, target: clean, ok: true, steps, redirect, service, hostRule, pathMatcher, pathRule };
}

export function routeText(explanation: RouteExplanation): string {
  let text = `urlMaps/${explanation.urlMap}: ${explanation.authority}${explanation.target}\n\n`;
  text += explanation.steps.map((step, index) => `${String(index + 1).padStart(3)}. ${step}\n`).join('');
  const { refusal } = explanation;
  if (refusal !== null) {
    return `${text}\nanswered ${refusal.status} (${refusal.statusDetails})${refusal.detail === '' ? '' : `: ${refusal.detail}`}\n`;
  }
  return `${text}\ngoes to backendServices/${explanation.service}\n`;
}

function explainHost(map: LinkedUrlMap, route: Route<string>, authority: string, steps: string[]): void {
  if (map.hostRules.length === 0) {
    steps.push(`${map.name} has no host rules`);
    return;
  }
  for (const rule of map.hostRules) {
    for (const host of rule.hosts) {
      if (host === route.hostRule || !hostMatches(map, rule.pathMatcher, host, authority)) continue;
      steps.push(
        `host ${host} matches ${authority} too, but ${route.hostRule} ${whyHostWins(route.hostRule ?? '', host)}`,
      );
    }
  }
  if (route.hostRule === null)
    steps.push(`no host rule matches ${authority}: the default service of ${map.name} gets it`);
  else steps.push(`host ${route.hostRule} wins: path matcher ${route.pathMatcher}`);
}

function explainPath(
  map: LinkedUrlMap,
  route: Route<string>,
  authority: string,
  target: string,
  steps: string[],
): void {
  if (route.pathMatcher === null || route.hostRule === null) return;
  const matcher = map.pathMatchers.find(({ name }) => name === route.pathMatcher);
  const query = target.indexOf('?');
  const path = query === -1 ? target : target.slice(0, query);
  if (query !== -1) steps.push(`the query is not looked at: ${path} is matched, byte for byte`);
  for (const rule of matcher?.pathRules ?? []) {
    for (const pattern of rule.paths) {
      if (pattern === route.pathRule || !pathMatches(map, route, pattern, authority, path)) continue;
      const why = route.pathRule?.endsWith('/*') === true ? 'is longer' : 'is exact';
      steps.push(`path ${pattern} matches too, but ${route.pathRule} ${why}`);
    }
  }
  if (route.pathRule === null)
    steps.push(`no path rule of ${route.pathMatcher} matches ${path}: its default service gets it`);
  else steps.push(`path ${route.pathRule} wins`);
}

/** The routing code itself, asked about a map of one rule. */
function hostMatches(map: LinkedUrlMap, pathMatcher: string, host: string, authority: string): boolean {
  const single = { ...map, hostRules: [{ hosts: [host], pathMatcher }] };
  return compileUrlMap(single, namesOf(map)).match(plain(authority, '/')).hostRule !== null;
}

function pathMatches(
  map: LinkedUrlMap,
  route: Route<string>,
  pattern: string,
  authority: string,
  path: string,
): boolean {
  const { pathMatcher: name, hostRule } = route;
  if (name === null || hostRule === null) return false;
  const matcher: LinkedPathMatcher = {
    name,
    fallback: map.fallback,
    headerAction: null,
    pathRules: [{ paths: [pattern], destination: map.fallback }],
    routeRules: [],
  };
  const single = { ...map, hostRules: [{ hosts: [hostRule], pathMatcher: name }], pathMatchers: [matcher] };
  return compileUrlMap(single, namesOf(map)).match(plain(authority, path)).pathRule !== null;
}

function whyHostWins(winner: string, loser: string): string {
  if (!winner.startsWith('*')) return loser.startsWith('*') ? 'is exact' : 'names the port';
  return withoutPort(winner).length === withoutPort(loser).length ? 'names the port' : 'is longer';
}

function withoutPort(pattern: string): string {
  return pattern.replace(/:\d+$/, '');
}

/** Every service that the map names, as its own name. */
function namesOf(map: LinkedUrlMap): ReadonlyMap<string, string> {
  return new Map([...servicesOf(map)].map((name) => [name, name]));
}

function plain(authority: string, target: string): RoutableRequest {
  return { method: 'GET', authority, target, headers: [] };
}

/** Flat names and values, or why they cannot be read. */
function readHeaders(lines: readonly string[]): readonly string[] | string {
  const headers: string[] = [];
  for (const line of lines) {
    const field = /^([^\s:]+):[ \t]*(.*?)[ \t]*$/.exec(line);
    if (field === null) return `Cannot read --header '${line}': expected 'name: value'`;
    headers.push(field[1] ?? '', field[2] ?? '');
  }
  return headers;
}

const NO_ROUTE = {
  ok: false,
  redirect: null,
  service: null,
  hostRule: null,
  pathMatcher: null,
  pathRule: null,
  refusal: null,
} as const satisfies Partial<RouteExplanation>;
