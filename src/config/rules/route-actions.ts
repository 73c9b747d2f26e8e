import type { Resource } from '../resource.ts';
import type { Spec } from '../schema/kinds.ts';
import { shownPath } from '../shown.ts';
import { type DestinationPlace, destinationPlaces, headerActionPlaces } from '../url-map-places.ts';
import { forEachSpec, type RuleContext } from './context.ts';

/** Where rules and defaults of URL maps lead, and what is done on the way (spec 3.4): which fields go together. */
export function checkRouteActions(context: RuleContext): void {
  forEachSpec(context.graph, 'urlMaps', (map, spec) => {
    refuseUnfinished(map, spec, context);
    for (const place of destinationPlaces(spec)) {
      checkOneDestination(map, place, context);
      checkWeights(map, place, context);
    }
  });
}

/** One of service, weightedBackendServices and urlRedirect. */
function checkOneDestination(map: Resource, place: DestinationPlace, { findings }: RuleContext): void {
  const { at, fields, service, routeAction, urlRedirect } = place;
  const weighted = (routeAction?.weightedBackendServices ?? []).length > 0;
  const where = at.length === 0 ? 'the URL map' : shownPath(at);
  const options = `${fields.service}, ${fields.routeAction}.weightedBackendServices or ${fields.urlRedirect}`;
  if (urlRedirect !== undefined && routeAction !== undefined) {
    const message = `Cannot accept ${where}: found ${fields.urlRedirect} and ${fields.routeAction}, expected one of them: what is redirected is not forwarded; remove one`;
    findings.errorAtKey(map, [...at, fields.urlRedirect], message);
    return;
  }
  const found = [
    ...(service === undefined ? [] : [fields.service]),
    ...(weighted ? [`${fields.routeAction}.weightedBackendServices`] : []),
    ...(urlRedirect === undefined ? [] : [fields.urlRedirect]),
  ];
  if (found.length === 1) return;
  const problem =
    found.length === 0
      ? `found nothing that it leads to, expected ${options}; add one`
      : `found ${found.join(' and ')}, expected one of ${options}; remove the others`;
  findings.error(map, at, `Cannot accept ${where}: ${problem}`);
}

function checkWeights(map: Resource, { at, fields, routeAction }: DestinationPlace, { findings }: RuleContext): void {
  const services = routeAction?.weightedBackendServices ?? [];
  if (services.length === 0 || services.some(({ weight }) => weight > 0)) return;
  const path = [...at, fields.routeAction, 'weightedBackendServices'];
  findings.error(
    map,
    path,
    `Cannot accept ${shownPath(path)}: found weights that add up to 0, expected one of 1 to 1000 at least; add it`,
  );
}

function refuseUnfinished(map: Resource, spec: Spec<'urlMaps'>, { findings }: RuleContext): void {
  const places = headerActionPlaces(spec).map(({ at }) => at);
  if (spec.tests.length > 0) places.push(['tests']);
  for (const [index, { routeRules }] of spec.pathMatchers.entries()) {
    if (routeRules.length > 0) places.push(['pathMatchers', index, 'routeRules']);
  }
  for (const { at, fields, routeAction } of destinationPlaces(spec)) {
    if (routeAction?.urlRewrite) places.push([...at, fields.routeAction, 'urlRewrite']);
    if (routeAction?.corsPolicy) places.push([...at, fields.routeAction, 'corsPolicy']);
  }
  for (const path of places) {
    findings.errorAtKey(map, path, `Cannot accept '${shownPath(path)}': this field is not supported yet; remove it`);
  }
}
