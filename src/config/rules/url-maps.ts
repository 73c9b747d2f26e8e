import { isHostName } from '../host-name.ts';
import { isWritten, type Resource, shownField } from '../resource.ts';
import type { Spec } from '../schema/kinds.ts';
import { nearestWord } from '../suggestion.ts';
import { serviceReferences } from '../url-map-places.ts';
import { forEachSpec, type RuleContext } from './context.ts';

/** Hosts, paths and limits of URL maps (spec 3.4). */
export function checkUrlMaps(context: RuleContext): void {
  forEachSpec(context.graph, 'urlMaps', (map, spec) => {
    checkSize(map, spec, context);
    checkHostRules(map, spec, context);
    checkPathMatchers(map, spec, context);
  });
}

function checkSize(map: Resource, spec: Spec<'urlMaps'>, { findings }: RuleContext): void {
  const bytes = Buffer.byteLength(JSON.stringify(map.value));
  if (bytes > MAX_MAP_BYTES) {
    findings.error(
      map,
      [],
      `Cannot accept the URL map: found ${bytes} bytes (as JSON), expected at most ${MAX_MAP_BYTES}; split it over several proxies`,
    );
  }
  const services = serviceReferences(spec).size;
  if (services > MAX_SERVICES) {
    findings.error(
      map,
      [],
      `Cannot accept the URL map: found ${services} backend services, expected at most ${MAX_SERVICES}; split it over several proxies`,
    );
  }
}

function checkHostRules(map: Resource, spec: Spec<'urlMaps'>, { findings }: RuleContext): void {
  const matchers = spec.pathMatchers.map(({ name }) => name);
  const suggested = matchers.filter((_, index) => isWritten(map, ['pathMatchers', index, 'name']));
  const firsts = new Map<string, string>();
  for (const [ruleIndex, rule] of spec.hostRules.entries()) {
    if (!matchers.includes(rule.pathMatcher)) {
      const near = nearestWord(
        rule.pathMatcher,
        isWritten(map, ['hostRules', ruleIndex, 'pathMatcher']) ? suggested : [],
      );
      const hint = near === null ? 'define it under pathMatchers' : `did you mean '${near}'?`;
      const path = ['hostRules', ruleIndex, 'pathMatcher'];
      findings.error(
        map,
        path,
        `Cannot resolve ${shownField(map, path)}: found no such path matcher in this URL map; ${hint}`,
      );
    }
    for (const [hostIndex, host] of rule.hosts.entries()) {
      const path = ['hostRules', ruleIndex, 'hosts', hostIndex];
      if (!isHostPattern(host)) {
        findings.error(
          map,
          path,
          `Cannot accept hostRules[${ruleIndex}].hosts[${hostIndex}]: found ${shownField(map, path)}, expected a host name, *.domain or *, each with :port or without; correct it`,
        );
        continue;
      }
      const place = `hostRules[${ruleIndex}].hosts[${hostIndex}]`;
      const first = firsts.get(host.toLowerCase());
      if (first === undefined) firsts.set(host.toLowerCase(), place);
      else
        findings.error(
          map,
          path,
          `Cannot accept ${place}: found ${shownField(map, path)}, which is ${first} already; a host belongs to one host rule`,
        );
    }
  }
}

function checkPathMatchers(map: Resource, spec: Spec<'urlMaps'>, { findings }: RuleContext): void {
  const used = new Set(spec.hostRules.map(({ pathMatcher }) => pathMatcher));
  const names = new Map<string, number>();
  for (const [index, matcher] of spec.pathMatchers.entries()) {
    const at = ['pathMatchers', index];
    const first = names.get(matcher.name);
    if (first === undefined) names.set(matcher.name, index);
    else
      findings.error(
        map,
        [...at, 'name'],
        `Cannot accept pathMatchers[${index}].name: found ${shownField(map, [...at, 'name'])}, which is pathMatchers[${first}] already; rename one`,
      );
    if (!used.has(matcher.name))
      findings.warning(
        map,
        [...at, 'name'],
        `No host rule names path matcher ${shownField(map, [...at, 'name'])}: it has no effect; use it or remove it`,
      );
    const firsts = new Map<string, string>();
    for (const [ruleIndex, rule] of matcher.pathRules.entries()) {
      for (const [pathIndex, pattern] of rule.paths.entries()) {
        const path = [...at, 'pathRules', ruleIndex, 'paths', pathIndex];
        const place = `pathRules[${ruleIndex}].paths[${pathIndex}]`;
        const problem = pathPatternProblem(pattern);
        if (problem !== null) {
          findings.error(
            map,
            path,
            `Cannot accept pathMatchers[${index}].${place}: found ${shownField(map, path)}, ${problem}`,
          );
          continue;
        }
        const earlier = firsts.get(pattern);
        if (earlier === undefined) firsts.set(pattern, place);
        else
          findings.error(
            map,
            path,
            `Cannot accept pathMatchers[${index}].${place}: found ${shownField(map, path)}, which is ${earlier} already; remove one`,
          );
      }
    }
  }
}

/** Exact, `*` or `*.domain` (spec 3.4), each with `:port` or without. */
function isHostPattern(host: string): boolean {
  const match = /^(.*?)(?::(\d{1,5}))?$/.exec(host);
  const name = match?.[1] ?? '';
  if (match?.[2] !== undefined && (Number(match[2]) === 0 || Number(match[2]) > 65_535)) return false;
  if (name === '*' || IPV4.test(name)) return true;
  return isHostName(name.startsWith('*.') ? name.slice(2) : name);
}

function pathPatternProblem(pattern: string): string | null {
  const star = pattern.indexOf('*');
  if (pattern.startsWith('/') && star !== -1 && !(star === pattern.length - 1 && pattern.endsWith('/*')))
    return "expected * only at the end, after '/'; write for instance /static/*";
  return literalPathProblem(pattern);
}

/** Why no request that is routed has a path, or null; as the second half of a diagnostic. */
export function literalPathProblem(pattern: string): string | null {
  if (!pattern.startsWith('/')) return "expected a path that begins with '/'; add it";
  if (/[?#]/.test(pattern)) return 'expected a path without query or fragment; remove them';
  if (!/^[\x21-\x7e]*$/.test(pattern)) return 'expected printable ASCII without spaces; percent-encode the rest';
  const hasDots = pattern.split('/').some((segment) => /^(?:\.|%2e){1,2}$/i.test(segment));
  // Spec 10.24: such requests are redirected before routing.
  return hasDots ? 'expected no dot segments, as no request that is routed has any; write the normalised path' : null;
}

const MAX_MAP_BYTES = 64 * 1024; // spec 3.4
const MAX_SERVICES = 2500; // spec 3.4
const IPV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/;
