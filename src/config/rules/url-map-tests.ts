import { inspectPath } from '../../http/normalize-path.ts';
import { isAuthority } from '../../http/request-head.ts';
import { compileUrlMap } from '../../routing/compile-url-map.ts';
import type { Route, WinningRule } from '../../routing/route.ts';
import type { Findings } from '../findings.ts';
import { servicesOf } from '../link-url-map.ts';
import type { LinkedUrlMap, LinkedUrlMapTest } from '../linked-url-map.ts';
import { isWritten, type ResourceGraph } from '../resource.ts';
import { shownText } from '../shown.ts';

/**
 * Runs `tests[]` of every URL map against the map itself, compiled as it will run. One that fails says what matched instead. Of
 * weighted services any that can be chosen will do.
 */
export function checkUrlMapTests(graph: ResourceGraph, maps: readonly LinkedUrlMap[], findings: Findings): void {
  for (const map of maps) {
    const resource = graph.find('urlMaps', map.name);
    if (resource === null || map.tests.length === 0) continue;
    const names = new Map([...servicesOf(map)].map((name) => [name, name]));
    const matcher = compileUrlMap(map, names);
    for (const [index, test] of map.tests.entries()) {
      const problem = inputProblem(test) ?? failureOf(test, matcher.find(requestOf(test)).routes);
      if (problem === null) continue;
      const what = isWritten(resource, []) ? ` of ${shownText(test.host + test.path)} fails: ${problem}` : UNSHOWN;
      findings.error(resource, ['tests', index], `The test tests[${index}]${what}`);
    }
  }
}

/** What no request that is routed can be, or no test can ask for. */
function inputProblem(test: LinkedUrlMapTest): string | null {
  if (!isAuthority(test.host)) return 'its host is not host[:port]; correct it';
  const path = inspectPath(test.path);
  if (path === 'malformed') return 'such a path is answered with 400 before any rule is looked at; correct it';
  if (path === 'dot-segments')
    return 'a path with dot segments is redirected before any rule is looked at; write it without';
  const { service, expectedOutputUrl, expectedRedirectResponseCode } = test;
  if (service === null && expectedOutputUrl === null && expectedRedirectResponseCode === null) {
    return 'it expects nothing; write service, expectedOutputUrl or expectedRedirectResponseCode';
  }
  if (service !== null && expectedRedirectResponseCode !== null) {
    return 'it expects a service and a redirect; remove service or expectedRedirectResponseCode';
  }
  return null;
}

function requestOf({ host, path, headers }: LinkedUrlMapTest) {
  return { method: 'GET', authority: host, target: path, headers };
}

/** Null: all that it expects is so. */
function failureOf(test: LinkedUrlMapTest, routes: readonly Route<string>[]): string | null {
  const [first] = routes;
  if (first === undefined) return 'it leads nowhere';
  const by = ruleText(first);
  if (first.redirect !== null) {
    const { status } = first.redirect;
    if (test.service !== null) return `expected service ${test.service}, but ${by} redirects it with ${status}`;
    const code = test.expectedRedirectResponseCode;
    if (code !== null && code !== status) return `expected the status ${code}, but ${by} redirects it with ${status}`;
    const expected = test.expectedOutputUrl;
    if (expected === null) return null;
    const scheme = expected.startsWith('http://') ? 'http' : 'https';
    const location = first.redirect.location(scheme, test.host, test.path);
    return location === expected
      ? null
      : `expected ${shownText(expected)}, but ${by} redirects it to ${shownText(location ?? '')}`;
  }
  const services = routes.map(({ service }) => service ?? '');
  if (test.expectedRedirectResponseCode !== null) {
    return `expected a redirect with ${test.expectedRedirectResponseCode}, but ${by} sends it to ${services.join(' or ')}`;
  }
  if (test.service !== null && !services.includes(test.service)) {
    return `expected service ${test.service}, but ${by} sends it to ${services.join(' or ')}`;
  }
  if (test.expectedOutputUrl === null) return null;
  const rewrite = first.action?.rewrite ?? null;
  const target = rewrite === null ? test.path : rewrite.target(test.path);
  if (target === null)
    return `its path would have dot segments once ${by} has rewritten it, which is answered with 400`;
  const output = `${rewrite?.authority ?? test.host}${target}`;
  const expected = test.expectedOutputUrl.replace(/^https?:\/\//, ''); // the scheme is that of the backend service
  return output === expected ? null : `expected ${shownText(expected)}, but ${by} forwards ${shownText(output)}`;
}

function ruleText({ hostRule, pathMatcher, pathRule, priority }: WinningRule): string {
  if (hostRule === null) return 'the default of the URL map';
  if (pathRule === null) return `the default of path matcher ${pathMatcher} (host ${hostRule})`;
  const rule = priority === null ? `path ${pathRule}` : `route rule ${priority} (${pathRule})`;
  return `${rule} of path matcher ${pathMatcher} (host ${hostRule})`;
}

const UNSHOWN = ' fails; what it comes to is not shown, as the URL map has variables of the environment in it';
