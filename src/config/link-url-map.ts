import { digestOf } from '../base/digest.ts';
import { type CustomHeader, parseHeaderValue } from '../http/header-template.ts';
import type {
  LinkedCorsPolicy,
  LinkedDestination,
  LinkedHeaderAction,
  LinkedHeaderMatch,
  LinkedMatchRule,
  LinkedPathMatch,
  LinkedPathMatcher,
  LinkedQueryParameterMatch,
  LinkedRouteAction,
  LinkedUrlMap,
} from './linked-url-map.ts';
import { lastSegment } from './resource.ts';
import { type Duration, durationMs } from './schema/duration.ts';
import type { Spec } from './schema/kinds.ts';
import type { HeaderActionSpec, RouteActionSpec, UrlRedirectSpec } from './schema/route-action.ts';

/**
 * A URL map in which the rules found no error. Hosts and names of headers in lower case, route rules by priority. The digest is over
 * names of services, not over what they are: a request looks them up.
 */
export function linkUrlMap(name: string, spec: Spec<'urlMaps'>): LinkedUrlMap {
  const contents = {
    name,
    fallback: linkDefault(spec),
    headerAction: linkHeaderAction(spec.headerAction),
    hostRules: spec.hostRules.map(({ hosts, pathMatcher }) => ({
      hosts: hosts.map((host) => host.toLowerCase()),
      pathMatcher,
    })),
    pathMatchers: spec.pathMatchers.map(linkPathMatcher),
    tests: spec.tests.map(({ host, path, headers, service, expectedOutputUrl, expectedRedirectResponseCode }) => ({
      host,
      path,
      headers: headers.flatMap((header) => [header.name.toLowerCase(), header.value]),
      service: service === undefined ? null : lastSegment(service),
      expectedOutputUrl: expectedOutputUrl ?? null,
      expectedRedirectResponseCode: expectedRedirectResponseCode ?? null,
    })),
  };
  return { ...contents, digest: digestOf(contents) };
}

/** Every backend service that a map can send a request or a copy of one to, as it is referred to. */
export function servicesOf(map: LinkedUrlMap): ReadonlySet<string> {
  const services = new Set<string>();
  for (const destination of destinationsOf(map)) {
    if (destination.kind === 'redirect') continue;
    for (const { service } of destination.services) services.add(service);
    if (destination.action?.mirror) services.add(destination.action.mirror.service);
  }
  return services;
}

/** What the headerActions of all levels add to requests. */
export function requestHeadersOf(map: LinkedUrlMap): readonly CustomHeader[] {
  const actions = [
    map.headerAction,
    ...map.pathMatchers.flatMap((matcher) => [
      matcher.headerAction,
      ...matcher.routeRules.map(({ headerAction }) => headerAction),
    ]),
    ...destinationsOf(map).flatMap((destination) =>
      destination.kind === 'forward' ? destination.services.map(({ headerAction }) => headerAction) : [],
    ),
  ];
  return actions.flatMap((action) => action?.requestHeadersToAdd.map(({ header }) => header) ?? []);
}

function destinationsOf({ fallback, pathMatchers }: LinkedUrlMap): readonly LinkedDestination[] {
  return [
    fallback,
    ...pathMatchers.flatMap((matcher) => [
      matcher.fallback,
      ...matcher.pathRules.map(({ destination }) => destination),
      ...matcher.routeRules.map(({ destination }) => destination),
    ]),
  ];
}

function linkPathMatcher(matcher: PathMatcherSpec): LinkedPathMatcher {
  return {
    name: matcher.name,
    fallback: linkDefault(matcher),
    headerAction: linkHeaderAction(matcher.headerAction),
    pathRules: matcher.pathRules.map((rule) => ({ paths: rule.paths, destination: linkDestination(rule) })),
    routeRules: matcher.routeRules
      .map((rule) => ({
        priority: rule.priority,
        matchRules: rule.matchRules.map(linkMatchRule),
        destination: linkDestination(rule),
        headerAction: linkHeaderAction(rule.headerAction),
      }))
      .sort((a, b) => a.priority - b.priority),
  };
}

function linkMatchRule(rule: RouteRuleSpec['matchRules'][number]): LinkedMatchRule {
  return {
    path: linkPathMatch(rule),
    headers: rule.headerMatches.map((match) => ({
      name: match.headerName.toLowerCase(),
      test: headerTest(match),
      invert: match.invertMatch,
    })),
    queryParameters: rule.queryParameterMatches.map((match) => ({ name: match.name, test: queryTest(match) })),
  };
}

function linkPathMatch(rule: RouteRuleSpec['matchRules'][number]): LinkedPathMatch {
  const { prefixMatch, fullPathMatch, regexMatch, pathTemplateMatch, ignoreCase } = rule;
  if (prefixMatch !== undefined) return { kind: 'prefix', value: prefixMatch, ignoreCase };
  if (fullPathMatch !== undefined) return { kind: 'full', value: fullPathMatch, ignoreCase };
  if (regexMatch !== undefined) return { kind: 'regex', value: regexMatch };
  return { kind: 'template', value: pathTemplateMatch ?? '' };
}

function headerTest(match: RouteRuleSpec['matchRules'][number]['headerMatches'][number]): LinkedHeaderMatch['test'] {
  if (match.exactMatch !== undefined) return { kind: 'exact', value: match.exactMatch };
  if (match.prefixMatch !== undefined) return { kind: 'prefix', value: match.prefixMatch };
  if (match.suffixMatch !== undefined) return { kind: 'suffix', value: match.suffixMatch };
  if (match.regexMatch !== undefined) return { kind: 'regex', value: match.regexMatch };
  if (match.rangeMatch !== undefined) {
    const { rangeStart, rangeEnd } = match.rangeMatch;
    return { kind: 'range', start: Number(rangeStart), end: Number(rangeEnd) };
  }
  return { kind: 'present', value: match.presentMatch ?? true };
}

function queryTest(
  match: RouteRuleSpec['matchRules'][number]['queryParameterMatches'][number],
): LinkedQueryParameterMatch['test'] {
  if (match.exactMatch !== undefined) return { kind: 'exact', value: match.exactMatch };
  if (match.regexMatch !== undefined) return { kind: 'regex', value: match.regexMatch };
  return { kind: 'present', value: match.presentMatch ?? true };
}

function linkDefault(of: DefaultsSpec): LinkedDestination {
  return linkDestination({
    service: of.defaultService,
    routeAction: of.defaultRouteAction,
    urlRedirect: of.defaultUrlRedirect,
  });
}

function linkDestination({ service, routeAction, urlRedirect }: DestinationSpec): LinkedDestination {
  if (urlRedirect !== undefined) return linkRedirect(urlRedirect);
  const weighted = routeAction?.weightedBackendServices ?? [];
  const services =
    service === undefined
      ? weighted.map(({ backendService, weight, headerAction }) => ({
          service: lastSegment(backendService),
          weight,
          headerAction: linkHeaderAction(headerAction),
        }))
      : [{ service: lastSegment(service), weight: 1, headerAction: null }];
  return { kind: 'forward', services, action: linkRouteAction(routeAction) };
}

function linkRedirect(spec: UrlRedirectSpec): LinkedDestination {
  return {
    kind: 'redirect',
    status: STATUSES[spec.redirectResponseCode],
    host: spec.hostRedirect ?? null,
    path: spec.pathRedirect ?? null,
    prefix: spec.prefixRedirect ?? null,
    https: spec.httpsRedirect,
    stripQuery: spec.stripQuery,
  };
}

function linkRouteAction(spec: RouteActionSpec | undefined): LinkedRouteAction | null {
  if (spec === undefined) return null;
  const { urlRewrite, retryPolicy, requestMirrorPolicy, corsPolicy, faultInjectionPolicy } = spec;
  const action: LinkedRouteAction = {
    urlRewrite: urlRewrite
      ? {
          pathPrefix: urlRewrite.pathPrefixRewrite ?? null,
          pathTemplate: urlRewrite.pathTemplateRewrite ?? null,
          host: urlRewrite.hostRewrite ?? null,
        }
      : null,
    timeoutMs: milliseconds(spec.timeout),
    maxStreamDurationMs: milliseconds(spec.maxStreamDuration),
    retryPolicy: retryPolicy
      ? {
          numRetries: retryPolicy.numRetries,
          perTryTimeoutMs: milliseconds(retryPolicy.perTryTimeout),
          retryConditions: retryPolicy.retryConditions,
        }
      : null,
    mirror: requestMirrorPolicy
      ? {
          service: lastSegment(requestMirrorPolicy.backendService),
          percent: requestMirrorPolicy.mirrorPercent,
          dangerKeepCredentials: requestMirrorPolicy.dangerKeepCredentials,
        }
      : null,
    cors: corsPolicy && !corsPolicy.disabled ? linkCors(corsPolicy) : null,
    fault: faultInjectionPolicy ? linkFault(faultInjectionPolicy) : null,
  };
  return Object.values(action).every((value) => value === null) ? null : action;
}

function linkCors(spec: NonNullable<RouteActionSpec['corsPolicy']>): LinkedCorsPolicy {
  const { allowOrigins, allowOriginRegexes, allowMethods, allowHeaders, exposeHeaders, allowCredentials } = spec;
  const lists = { allowOrigins, allowOriginRegexes, allowMethods, allowHeaders, exposeHeaders };
  return { ...lists, allowCredentials, maxAgeSec: spec.maxAge ?? null };
}

function linkFault({ delay, abort }: NonNullable<RouteActionSpec['faultInjectionPolicy']>) {
  return {
    delay: delay ? { delayMs: durationMs(delay.fixedDelay), percentage: delay.percentage } : null,
    abort: abort ? { httpStatus: abort.httpStatus, percentage: abort.percentage } : null,
  };
}

function linkHeaderAction(spec: HeaderActionSpec | undefined): LinkedHeaderAction | null {
  if (spec === undefined) return null;
  const action: LinkedHeaderAction = {
    requestHeadersToAdd: spec.requestHeadersToAdd.map(linkHeaderToAdd),
    requestHeadersToRemove: spec.requestHeadersToRemove.map((name) => name.toLowerCase()),
    responseHeadersToAdd: spec.responseHeadersToAdd.map(linkHeaderToAdd),
    responseHeadersToRemove: spec.responseHeadersToRemove.map((name) => name.toLowerCase()),
  };
  return Object.values(action).every((list) => list.length === 0) ? null : action;
}

function linkHeaderToAdd({ headerName, headerValue, replace }: HeaderActionSpec['requestHeadersToAdd'][number]) {
  const header = parseHeaderValue(headerName, headerValue);
  if (typeof header === 'string') throw new Error(`Cannot link the header ${headerName}: ${header}`);
  return { header, replace: replace ?? !header.parts.some((part) => 'variable' in part) };
}

function milliseconds(duration: Duration | undefined): number | null {
  return duration === undefined ? null : durationMs(duration);
}

type PathMatcherSpec = Spec<'urlMaps'>['pathMatchers'][number];
type RouteRuleSpec = PathMatcherSpec['routeRules'][number];
type DefaultsSpec = Pick<Spec<'urlMaps'>, 'defaultService' | 'defaultRouteAction' | 'defaultUrlRedirect'>;
type DestinationSpec = Pick<RouteRuleSpec, 'service' | 'routeAction' | 'urlRedirect'>;

const STATUSES = {
  MOVED_PERMANENTLY_DEFAULT: 301,
  FOUND: 302,
  SEE_OTHER: 303,
  TEMPORARY_REDIRECT: 307,
  PERMANENT_REDIRECT: 308,
} as const satisfies Record<UrlRedirectSpec['redirectResponseCode'], number>;
