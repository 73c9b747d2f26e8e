import { inspectPath } from '../../http/normalize-path.ts';
import { isAuthority } from '../../http/request-head.ts';
import { type Resource, shownField } from '../resource.ts';
import type { UrlRedirectSpec } from '../schema/route-action.ts';
import { shownPath } from '../shown.ts';
import { type DestinationPlace, destinationPlaces } from '../url-map-places.ts';
import type { Path } from '../written.ts';
import { forEachSpec, type RuleContext } from './context.ts';

/** urlRedirect and defaultUrlRedirect of URL maps (spec 3.4): what they may hold, and that they lead somewhere else. */
export function checkUrlRedirects(context: RuleContext): void {
  const secure = new Map<Resource, string>();
  forEachSpec(context.graph, 'targetHttpsProxies', (proxy, { urlMap }) => {
    const map = context.graph.resolve('urlMaps', urlMap);
    if (map !== null && !secure.has(map)) secure.set(map, proxy.label);
  });
  forEachSpec(context.graph, 'urlMaps', (map, spec) => {
    for (const place of destinationPlaces(spec)) {
      const { urlRedirect } = place;
      if (urlRedirect === undefined) continue;
      const at = [...place.at, place.fields.urlRedirect];
      checkParts(map, at, urlRedirect, context);
      checkPrefix(map, at, place, context);
      const proxy = secure.get(map);
      if (urlRedirect.httpsRedirect && proxy !== undefined) {
        const path = [...at, 'httpsRedirect'];
        const problem = `found true in a URL map of ${proxy}, where every request has come by https: it would be redirected to itself; remove it, or use a URL map of its own for targetHttpProxies`;
        context.findings.error(map, path, `Cannot accept ${shownPath(path)}: ${problem}`);
      }
    }
  });
}

function checkParts(map: Resource, at: Path, redirect: UrlRedirectSpec, { findings }: RuleContext): void {
  const fail = (field: string, problem: string) => {
    const path = [...at, field];
    findings.error(map, path, `Cannot accept ${shownPath(path)}: found ${shownField(map, path)}, ${problem}`);
  };
  const { hostRedirect, pathRedirect, prefixRedirect, httpsRedirect } = redirect;
  if (hostRedirect !== undefined && !isAuthority(hostRedirect)) {
    fail('hostRedirect', 'expected host or host:port; correct it');
  }
  if (pathRedirect !== undefined && inspectPath(pathRedirect) !== 'clean') fail('pathRedirect', PATH);
  if (prefixRedirect !== undefined && (prefixRedirect.includes('?') || inspectPath(prefixRedirect) !== 'clean')) {
    fail('prefixRedirect', PATH);
  }
  if (pathRedirect !== undefined && prefixRedirect !== undefined) {
    fail('prefixRedirect', 'beside pathRedirect, expected one of them; remove one');
  }
  if (hostRedirect === undefined && pathRedirect === undefined && prefixRedirect === undefined && !httpsRedirect) {
    const problem =
      'found nothing that would change, expected hostRedirect, pathRedirect, prefixRedirect or httpsRedirect; add one, or the request is redirected to itself';
    findings.error(map, at, `Cannot accept ${shownPath(at)}: ${problem}`);
  }
}

function checkPrefix(
  map: Resource,
  at: Path,
  { urlRedirect, routeRule }: DestinationPlace,
  context: RuleContext,
): void {
  if (urlRedirect?.prefixRedirect === undefined) return;
  const pattern = routeRule?.matchRules.find(
    (rule) => rule.regexMatch !== undefined || rule.pathTemplateMatch !== undefined,
  );
  if (pattern === undefined) return;
  const kind = pattern.regexMatch === undefined ? 'pathTemplateMatch' : 'regexMatch';
  const path = [...at, 'prefixRedirect'];
  const problem = `found ${shownField(map, path)} beside ${kind}, which has no prefix that could be replaced; write pathRedirect`;
  context.findings.error(map, path, `Cannot accept ${shownPath(path)}: ${problem}`);
}

const PATH = "expected a path that begins with '/', without fragment, dot segments and backslash; correct it";
