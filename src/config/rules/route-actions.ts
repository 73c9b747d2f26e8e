import { isToken } from '../../http/field-value.ts';
import { inspectPath } from '../../http/normalize-path.ts';
import { parsePathTemplate, parsePathTemplateRewrite } from '../../http/path-template.ts';
import { parseRegularExpression } from '../../http/regular-expression.ts';
import { isAuthority } from '../../http/request-head.ts';
import { isWritten, type Resource, shownField } from '../resource.ts';
import { shownPath } from '../shown.ts';
import { type DestinationPlace, destinationPlaces } from '../url-map-places.ts';
import type { Path } from '../written.ts';
import { forEachSpec, type RuleContext } from './context.ts';

/** Where rules and defaults of URL maps lead, and what is done on the way (spec 3.4): which fields go together, and what they may hold. */
export function checkRouteActions(context: RuleContext): void {
  forEachSpec(context.graph, 'urlMaps', (map, spec) => {
    for (const place of destinationPlaces(spec)) {
      checkOneDestination(map, place, context);
      checkWeights(map, place, context);
      checkRewrite(map, place, context);
      checkCors(map, place, context);
      checkMirror(map, place, context);
    }
  });
}

/** Security rule 37. */
function checkMirror(map: Resource, { at, fields, routeAction }: DestinationPlace, { findings }: RuleContext): void {
  if (routeAction?.requestMirrorPolicy?.dangerKeepCredentials !== true) return;
  findings.warning(
    map,
    [...at, fields.routeAction, 'requestMirrorPolicy', 'dangerKeepCredentials'],
    'Copies of requests carry the credentials of clients to another service; remove dangerKeepCredentials unless it may have them',
  );
}

/** One of service, weightedBackendServices and urlRedirect. */
function checkOneDestination(map: Resource, place: DestinationPlace, { findings }: RuleContext): void {
  const { at, fields, service, routeAction, urlRedirect } = place;
  const weighted = (routeAction?.weightedBackendServices ?? []).length > 0;
  const where = at.length === 0 ? 'the URL map' : shownPath(at);
  if (urlRedirect !== undefined && routeAction !== undefined) {
    const message = `Cannot accept ${where}: found ${fields.urlRedirect} and ${fields.routeAction}, expected one of them, as what is redirected is not forwarded; remove one`;
    findings.errorAtKey(map, [...at, fields.urlRedirect], message);
    return;
  }
  const found = [
    ...(service === undefined ? [] : [fields.service]),
    ...(weighted ? [`${fields.routeAction}.weightedBackendServices`] : []),
    ...(urlRedirect === undefined ? [] : [fields.urlRedirect]),
  ];
  if (found.length === 1) return;
  const options = `${fields.service}, ${fields.routeAction}.weightedBackendServices or ${fields.urlRedirect}`;
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
  const problem = 'found weights that add up to 0, expected one of 1 to 1000 at least; add it';
  findings.error(map, path, `Cannot accept ${shownPath(path)}: ${problem}`);
}

function checkRewrite(map: Resource, place: DestinationPlace, { findings }: RuleContext): void {
  const rewrite = place.routeAction?.urlRewrite;
  if (rewrite === undefined) return;
  const at = [...place.at, place.fields.routeAction, 'urlRewrite'];
  const fail = (field: string, problem: string) => {
    const path = [...at, field];
    findings.error(map, path, `Cannot accept ${shownPath(path)}: found ${shownField(map, path)}, ${problem}`);
  };
  const { hostRewrite, pathPrefixRewrite, pathTemplateRewrite } = rewrite;
  if (hostRewrite !== undefined && !isAuthority(hostRewrite)) {
    fail('hostRewrite', 'expected host or host:port; correct it');
  }
  if (pathPrefixRewrite !== undefined && pathTemplateRewrite !== undefined) {
    fail('pathTemplateRewrite', 'beside pathPrefixRewrite, expected one of them; remove one');
    return;
  }
  if (pathPrefixRewrite !== undefined) {
    if (isPlainPath(pathPrefixRewrite)) checkReplacement(map, place, [...at, 'pathPrefixRewrite'], { findings });
    else fail('pathPrefixRewrite', PLAIN_PATH);
  }
  if (pathTemplateRewrite !== undefined) {
    const problem = templateRewriteProblem(pathTemplateRewrite, place);
    const isShown = isWritten(map, place.at);
    if (problem !== null)
      fail('pathTemplateRewrite', isShown ? problem : 'which is none once variables are expanded; correct it');
  }
}

function templateRewriteProblem(rewrite: string, { routeRule }: DestinationPlace): string | null {
  const templates = routeRule?.matchRules.map(({ pathTemplateMatch }) => pathTemplateMatch) ?? [undefined];
  for (const text of templates) {
    if (text === undefined)
      return 'expected it only where every match rule has pathTemplateMatch; write pathPrefixRewrite';
    const template = parsePathTemplate(text);
    if (typeof template === 'string') return null; // reported with the rule
    const parsed = parsePathTemplateRewrite(rewrite, template.variables);
    if (typeof parsed === 'string') return `${parsed}; correct it`;
    // a variable may hold anything, so only what is written is looked at
    if (inspectPath(parsed.expand(template.variables.map(() => 'x'))) !== 'clean') return PLAIN_PATH;
  }
  return null;
}

/** A rule of which the matched part is replaced by the value at `path`, which is a plain path. */
function checkReplacement(
  map: Resource,
  { at, pathRule, routeRule }: DestinationPlace,
  path: Path,
  { findings }: Pick<RuleContext, 'findings'>,
): void {
  const pattern = routeRule?.matchRules.find(
    (rule) => rule.regexMatch !== undefined || rule.pathTemplateMatch !== undefined,
  );
  if (pattern !== undefined) {
    const kind = pattern.regexMatch === undefined ? 'pathTemplateMatch' : 'regexMatch';
    const problem = `found ${shownField(map, path)} beside ${kind}, which has no prefix that could be replaced; write ${kind === 'regexMatch' ? 'prefixMatch' : 'pathTemplateRewrite'}`;
    findings.error(map, path, `Cannot accept ${shownPath(path)}: ${problem}`);
    return;
  }
  const replacement = valueAt(map, path);
  const prefixes = [
    ...(pathRule?.paths ?? []).filter((text) => text.endsWith('/*')).map((text) => text.slice(0, -1)),
    ...(routeRule?.matchRules ?? []).flatMap(({ prefixMatch }) => (prefixMatch === undefined ? [] : [prefixMatch])),
  ];
  const uneven = prefixes.find((prefix) => prefix !== '/' && prefix.endsWith('/') && !replacement.endsWith('/'));
  if (uneven === undefined) return;
  findings.warning(
    map,
    path,
    `The matched part ends in '/' and what replaces it does not: ${isWritten(map, at) ? `${uneven}x becomes ${replacement}x` : 'two segments become one'}; end it in '/'`,
  );
}

function checkCors(map: Resource, { at, fields, routeAction }: DestinationPlace, { findings }: RuleContext): void {
  const cors = routeAction?.corsPolicy;
  if (cors === undefined || cors.disabled) return;
  const place = [...at, fields.routeAction, 'corsPolicy'];
  const fail = (path: Path, problem: string) => {
    findings.error(map, path, `Cannot accept ${shownPath(path)}: found ${shownField(map, path)}, ${problem}`);
  };
  if (cors.allowOrigins.length + cors.allowOriginRegexes.length === 0) {
    const problem =
      'found no origin that it allows, expected allowOrigins or allowOriginRegexes; add one, or disabled: true';
    findings.error(map, place, `Cannot accept ${shownPath(place)}: ${problem}`);
  }
  for (const [index, origin] of cors.allowOrigins.entries()) {
    if (ORIGIN.test(origin)) continue;
    fail([...place, 'allowOrigins', index], 'expected scheme://host[:port] without a path, or *; correct it');
  }
  for (const [index, pattern] of cors.allowOriginRegexes.entries()) {
    const parsed = parseRegularExpression(pattern);
    if (typeof parsed === 'string') fail([...place, 'allowOriginRegexes', index], `${parsed}; correct it`);
  }
  for (const field of ['allowMethods', 'allowHeaders', 'exposeHeaders'] as const) {
    for (const [index, name] of cors[field].entries()) {
      if (!isToken(name)) fail([...place, field, index], 'expected one name, or *; write a list of names');
    }
  }
  if (cors.allowCredentials && cors.allowOrigins.includes('*')) {
    findings.warning(
      map,
      [...place, 'allowCredentials'],
      'Every web site may read answers to requests with the credentials of its visitors: allowCredentials with the origin *; name the origins',
    );
  }
}

function isPlainPath(text: string): boolean {
  return !text.includes('?') && inspectPath(text) === 'clean';
}

function valueAt(map: Resource, path: Path): string {
  let value = map.value;
  for (const step of path) value = (value as Record<string | number, unknown> | undefined)?.[step];
  return String(value);
}

const PLAIN_PATH = "expected a path that begins with '/', without query, dot segments and backslash; correct it";
/** RFC 6454 section 6.1; `null` is what sandboxed pages and redirects send. */
const ORIGIN = /^(?:\*|null|[A-Za-z][A-Za-z0-9+.-]*:\/\/[A-Za-z0-9._~:[\]-]+)$/;
