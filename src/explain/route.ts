import { servicesOf } from '../config/link-url-map.ts';
import type { LinkedPathMatcher, LinkedUrlMap } from '../config/linked-url-map.ts';
import { judgeHead } from '../forward/judge-head.ts';
import { removeDotSegments } from '../http/normalize-path.ts';
import { readHttp1Head } from '../http/request-head.ts';
import { compileUrlMap } from '../routing/compile-url-map.ts';
import type { Destination } from '../routing/destination.ts';
import type { RoutableRequest } from '../routing/match-rule.ts';
import type { Route } from '../routing/route.ts';
import { type ExplainedAction, explainAction } from './route-action.ts';
import { routeRuleSteps } from './route-rule-steps.ts';

export interface RouteQuestion {
  readonly method: string;
  /** `https://host[:port][/path][?query]`, or `http://` for a plain proxy; nothing in it is normalised before the proxy's own rules see it. */
  readonly url: string;
  /** `name: value` each. */
  readonly headers: readonly string[];
}

export interface RouteExplanation {
  /** A backend service gets the request (or the one that a normalising redirect leads to), or the URL map answers it itself. */
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
  /** The path of a path rule, or the path predicate of a route rule. */
  readonly pathRule: string | null;
  readonly priority: number | null;
  /** Every service that can be chosen, with its share in percent. */
  readonly shares: readonly { readonly service: string; readonly percent: number }[];
  /** The answer of a urlRedirect. */
  readonly answer: { readonly status: number; readonly location: string } | null;
  readonly action: ExplainedAction | null;
  readonly refusal: { readonly status: number; readonly statusDetails: string; readonly detail: string } | null;
}

/** Where the URL map sends a request, and which rules lose to the one that wins. A string says why the question cannot be read. */
export function explainRoute(
  map: LinkedUrlMap,
  question: RouteQuestion,
  scheme: 'http' | 'https' = 'https',
): RouteExplanation | string {
  const url = (scheme === 'https' ? /^https:\/\/([^/?#]+)([^#]*)$/ : /^http:\/\/([^/?#]+)([^#]*)$/).exec(question.url);
  if (url === null)
    return `Cannot read --url '${question.url}': expected ${scheme}://host[:port][/path][?query], without a fragment`;
  const [, host = '', rest = ''] = url;
  const headers = readHeaders(question.headers);
  if (typeof headers === 'string') return headers;
  const target = rest.startsWith('/') ? rest : `/${rest}`;
  const hasHost = headers.some((item, index) => index % 2 === 0 && item.toLowerCase() === 'host');
  const head = readHttp1Head(
    question.method,
    target,
    1,
    1,
    hasHost ? headers : ['host', host, ...headers],
    scheme === 'https',
  );
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
  const redirect = verdict === 'redirect' ? `${scheme}://${authority}${clean}` : null;
  if (redirect !== null) {
    steps.push(
      `the path has dot segments: answered with 302 to ${redirect} before any rule is looked at; that request goes on:`,
    );
  }
  const request = { method: question.method, authority, target: clean, headers: head.headers };
  const destination = compileUrlMap(map, namesOf(map)).find(request);
  const route = destination.routes[0]!;
  explainHost(map, route, authority, steps);
  const matcher = map.pathMatchers.find(({ name }) => name === route.pathMatcher);
  if (matcher !== undefined && matcher.routeRules.length > 0) {
    steps.push(...routeRuleSteps(matcher, route.priority, request));
  } else {
    explainPath(map, route, authority, clean, steps);
  }
  const { service, hostRule, pathMatcher, pathRule, priority } = route;
  const found = { ...NO_ROUTE, ...asked, target: clean, steps, redirect, hostRule, pathMatcher, pathRule, priority };
  if (route.redirect !== null) {
    const location = route.redirect.location(scheme, authority, clean) ?? '';
    return { ...found, ok: true, answer: { status: route.redirect.status, location } };
  }
  const action = explainAction(map, route, request);
  return { ...found, ok: action.upstream !== null, service, shares: sharesOf(destination), action };
}

export function routeText(explanation: RouteExplanation): string {
  let text = `urlMaps/${explanation.urlMap}: ${explanation.authority}${explanation.target}\n\n`;
  text += explanation.steps.map((step, index) => `${String(index + 1).padStart(3)}. ${step}\n`).join('');
  const { refusal } = explanation;
  if (refusal !== null) {
    return `${text}\nanswered ${refusal.status} (${refusal.statusDetails})${refusal.detail === '' ? '' : `: ${refusal.detail}`}\n`;
  }
  const { answer, action, shares, service } = explanation;
  if (answer !== null) return `${text}\nanswered ${answer.status} to ${answer.location}\n`;
  if (action === null) return text;
  if (action.preflight) return `${text}\nanswered 200: a preflight of an origin that corsPolicy allows\n`;
  if (action.upstream === null) {
    return `${text}\nanswered 400 (invalid_request_headers): the path has dot segments once it is rewritten\n`;
  }
  const one = `goes to backendServices/${service}`;
  const many = `goes to one of ${shares.map((share) => `backendServices/${share.service} (${share.percent} %)`).join(', ')}`;
  text += `\n${shares.length === 1 ? one : many}\n`;
  if (action.upstream !== `${explanation.authority}${explanation.target}`) text += `  as ${action.upstream}\n`;
  if (action.timeoutMs !== null) text += `  within ${action.timeoutMs} ms\n`;
  for (const edit of action.requestHeaders) text += `  request ${edit}\n`;
  for (const edit of action.responseHeaders) text += `  response ${edit}\n`;
  return text;
}

function sharesOf({ routes, shares }: Destination<string>): RouteExplanation['shares'] {
  return routes.map(({ service }, index) => ({
    service: service ?? '',
    percent: Math.round((shares[index] ?? 0) * 1000) / 10,
  }));
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
  priority: null,
  shares: [],
  answer: null,
  action: null,
  refusal: null,
} as const satisfies Partial<RouteExplanation>;
