import type { Spec } from './schema/kinds.ts';
import type { HeaderActionSpec, RouteActionSpec, UrlRedirectSpec } from './schema/route-action.ts';
import type { Path } from './written.ts';

/** What a rule or a default of a URL map leads to, and where it stands. */
export interface DestinationPlace {
  /** The path of the rule, or of the object whose default it is. */
  readonly at: Path;
  /** 'service' and so on, or 'defaultService' and so on. */
  readonly fields: typeof RULE_FIELDS | typeof DEFAULT_FIELDS;
  readonly service: string | undefined;
  readonly routeAction: RouteActionSpec | undefined;
  readonly urlRedirect: UrlRedirectSpec | undefined;
  /** null: a default. */
  readonly pathRule: PathRuleSpec | null;
  readonly routeRule: RouteRuleSpec | null;
}

/** Every destination of a URL map, in the order of the file. */
export function destinationPlaces(map: UrlMapSpec): readonly DestinationPlace[] {
  const places = [defaultPlace([], map)];
  for (const [index, matcher] of map.pathMatchers.entries()) {
    const at = ['pathMatchers', index];
    places.push(defaultPlace(at, matcher));
    for (const [ruleIndex, rule] of matcher.pathRules.entries()) {
      const { service, routeAction, urlRedirect } = rule;
      const place = { at: [...at, 'pathRules', ruleIndex], fields: RULE_FIELDS, service, routeAction, urlRedirect };
      places.push({ ...place, pathRule: rule, routeRule: null });
    }
    for (const [ruleIndex, rule] of matcher.routeRules.entries()) {
      const { service, routeAction, urlRedirect } = rule;
      const place = { at: [...at, 'routeRules', ruleIndex], fields: RULE_FIELDS, service, routeAction, urlRedirect };
      places.push({ ...place, pathRule: null, routeRule: rule });
    }
  }
  return places;
}

export interface HeaderActionPlace {
  readonly at: Path;
  readonly action: HeaderActionSpec;
}

/** Every headerAction of a URL map. */
export function headerActionPlaces(map: UrlMapSpec): readonly HeaderActionPlace[] {
  const places: HeaderActionPlace[] = [];
  const add = (at: Path, action: HeaderActionSpec | undefined) => {
    if (action !== undefined) places.push({ at: [...at, 'headerAction'], action });
  };
  add([], map.headerAction);
  for (const [index, matcher] of map.pathMatchers.entries()) add(['pathMatchers', index], matcher.headerAction);
  for (const { at, fields, routeAction, routeRule } of destinationPlaces(map)) {
    add(at, routeRule?.headerAction);
    for (const [index, service] of (routeAction?.weightedBackendServices ?? []).entries()) {
      add([...at, fields.routeAction, 'weightedBackendServices', index], service.headerAction);
    }
  }
  return places;
}

/** The backend services that a map sends requests or copies of them to, as it refers to them. */
export function serviceReferences(map: UrlMapSpec): ReadonlySet<string> {
  const references = new Set<string>();
  for (const { service, routeAction } of destinationPlaces(map)) {
    if (service !== undefined) references.add(service);
    for (const { backendService } of routeAction?.weightedBackendServices ?? []) references.add(backendService);
    if (routeAction?.requestMirrorPolicy) references.add(routeAction.requestMirrorPolicy.backendService);
  }
  return references;
}

function defaultPlace(
  at: Path,
  of: Pick<UrlMapSpec, 'defaultService' | 'defaultRouteAction' | 'defaultUrlRedirect'>,
): DestinationPlace {
  return {
    at,
    fields: DEFAULT_FIELDS,
    service: of.defaultService,
    routeAction: of.defaultRouteAction,
    urlRedirect: of.defaultUrlRedirect,
    pathRule: null,
    routeRule: null,
  };
}

type UrlMapSpec = Spec<'urlMaps'>;
type PathRuleSpec = UrlMapSpec['pathMatchers'][number]['pathRules'][number];
type RouteRuleSpec = UrlMapSpec['pathMatchers'][number]['routeRules'][number];

const RULE_FIELDS = { service: 'service', routeAction: 'routeAction', urlRedirect: 'urlRedirect' } as const;
const DEFAULT_FIELDS = {
  service: 'defaultService',
  routeAction: 'defaultRouteAction',
  urlRedirect: 'defaultUrlRedirect',
} as const;
