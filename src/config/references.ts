import type { Findings } from './findings.ts';
import { collectionOf, lastSegment, type Resource, type ResourceGraph, shownField } from './resource.ts';
import { LATER_KINDS } from './schema/google-fields.ts';
import { isKind, KINDS, type Kind, TARGET_KINDS } from './schema/kinds.ts';
import { isSecretText, shownText } from './shown.ts';
import { nearestWord } from './suggestion.ts';
import { nodeAt, type Path } from './written.ts';

/**
 * Reports every reference that leads nowhere, to another kind or to a kind of later work, also in resources whose shape is wrong
 * otherwise. Without any error it warns of resources that nothing refers to.
 */
export function checkReferences(graph: ResourceGraph, findings: Findings): void {
  const used = new Set<Resource>();
  for (const kind of KINDS) {
    for (const resource of graph.all(kind)) {
      for (const { field, to: wanted } of REFERENCES[kind]) {
        const to: readonly Kind[] = typeof wanted === 'string' ? [wanted] : wanted;
        for (const { path, value } of valuesAt(resource.value, field)) {
          if (typeof value !== 'string' || value === '') continue; // the shape check has reported it
          const target = graph.resolveAmong(to, value);
          if (target === null) reportMissing({ graph, findings, resource, path, value, to });
          else used.add(target);
          if (target !== null) reportAmbiguous({ graph, findings, resource, path, value, to });
        }
      }
    }
  }
  if (findings.errors > 0) return; // what is misspelt would make its target look unused
  for (const kind of KINDS) {
    if (kind === 'forwardingRules' || kind === 'certificateMapEntries') continue; // they refer, nothing refers to them
    for (const resource of graph.all(kind)) {
      if (resource.name === null || used.has(resource)) continue;
      findings.warning(resource, ['name'], 'Nothing refers to this resource: it has no effect; use it or remove it');
    }
  }
}

interface ReportedReference {
  readonly graph: ResourceGraph;
  readonly findings: Findings;
  readonly resource: Resource;
  readonly path: Path;
  readonly value: string;
  /** The kinds that it may be of. */
  readonly to: readonly Kind[];
}

function reportMissing({ graph, findings, resource, path, value, to }: ReportedReference): void {
  const shown = shownField(resource, path);
  // Neither its parts nor what is near them may be told either.
  const isPrivate = nodeAt(resource.node, path).node?.unexpanded != null || isSecretText(value);
  const listed = to.join(' or ');
  const collection = isPrivate ? null : collectionOf(value);
  if (collection !== null && !to.some((kind) => kind === collection)) {
    if (LATER_KINDS.includes(collection)) {
      findings.error(
        resource,
        path,
        `Cannot resolve ${shown}: ${collection} are not supported yet; refer to one of ${listed}`,
      );
      return;
    }
    const near = isKind(collection) ? null : nearestWord(collection, KINDS);
    const isNear = to.some((kind) => kind === near);
    const hint = isNear ? `; did you mean '${near}/${shownText(lastSegment(value))}'?` : `; refer to one of ${listed}`;
    findings.error(
      resource,
      path,
      `Cannot resolve ${shown}: found collection '${shownText(collection)}', expected ${listed}${hint}`,
    );
    return;
  }
  const kinds = to.filter((kind) => collection === null || kind === collection);
  const names = kinds.flatMap((kind) => graph.names(kind));
  const near = isPrivate ? null : nearestWord(lastSegment(value), names);
  const hint =
    near !== null
      ? `did you mean '${near}'?`
      : names.length === 0
        ? `there are none; define it under ${kinds.join(' or ')}`
        : `define it under ${kinds.join(' or ')}`;
  findings.error(resource, path, `Cannot resolve ${shown}: found no such resource in ${kinds.join(' or ')}; ${hint}`);
}

/** A bare name that resources of several kinds have: what is meant must not depend on the order of the kinds. */
function reportAmbiguous({ graph, findings, resource, path, value, to }: ReportedReference): void {
  if (collectionOf(value) !== null) return;
  const having = to.filter((kind) => graph.find(kind, value) !== null);
  if (having.length < 2) return;
  const shown = shownField(resource, path);
  findings.error(
    resource,
    path,
    `Cannot resolve ${shown}: ${having.join(' and ')} each have one of that name; write collection/name`,
  );
}

interface FieldValue {
  readonly path: Path;
  readonly value: unknown;
}

/** Every value at a field path in which `*` stands for each item of a list. */
function valuesAt(value: unknown, field: readonly string[], path: Path = []): readonly FieldValue[] {
  const [step, ...rest] = field;
  if (step === undefined) return [{ path, value }];
  if (typeof value !== 'object' || value === null) return [];
  if (step === '*') {
    return Array.isArray(value) ? value.flatMap((item, index) => valuesAt(item, rest, [...path, index])) : [];
  }
  return valuesAt((value as Record<string, unknown>)[step], rest, [...path, step]);
}

function defaultsOf(at: readonly string[]): readonly Reference[] {
  return [{ field: [...at, 'defaultService'], to: 'backendServices' }, ...actionOf([...at, 'defaultRouteAction'])];
}

function destinationOf(at: readonly string[]): readonly Reference[] {
  return [{ field: [...at, 'service'], to: 'backendServices' }, ...actionOf([...at, 'routeAction'])];
}

function actionOf(at: readonly string[]): readonly Reference[] {
  return [
    { field: [...at, 'weightedBackendServices', '*', 'backendService'], to: 'backendServices' },
    { field: [...at, 'requestMirrorPolicy', 'backendService'], to: 'backendServices' },
  ];
}

interface Reference {
  readonly field: readonly string[];
  readonly to: Kind | readonly Kind[];
}

/** Which fields refer to which kind. Those that a value of another field forbids are refused in rules/. */
const REFERENCES: { readonly [K in Kind]: readonly Reference[] } = {
  forwardingRules: [{ field: ['target'], to: TARGET_KINDS }],
  targetHttpsProxies: [
    { field: ['urlMap'], to: 'urlMaps' },
    { field: ['sslCertificates', '*'], to: 'sslCertificates' },
    { field: ['certificateMap'], to: 'certificateMaps' },
    { field: ['sslPolicy'], to: 'sslPolicies' },
    { field: ['shadowSslPolicies', '*'], to: 'sslPolicies' },
    { field: ['serverTlsPolicy'], to: 'serverTlsPolicies' },
  ],
  targetHttpProxies: [{ field: ['urlMap'], to: 'urlMaps' }],
  targetSslProxies: [
    { field: ['service'], to: 'backendServices' },
    { field: ['sslCertificates', '*'], to: 'sslCertificates' },
    { field: ['certificateMap'], to: 'certificateMaps' },
    { field: ['sslPolicy'], to: 'sslPolicies' },
    { field: ['shadowSslPolicies', '*'], to: 'sslPolicies' },
  ],
  targetTcpProxies: [{ field: ['service'], to: 'backendServices' }],
  sslPolicies: [],
  sslCertificates: [],
  serverTlsPolicies: [{ field: ['mtlsPolicy', 'clientValidationTrustConfig'], to: 'trustConfigs' }],
  urlMaps: [
    ...defaultsOf([]),
    ...defaultsOf(['pathMatchers', '*']),
    ...destinationOf(['pathMatchers', '*', 'pathRules', '*']),
    ...destinationOf(['pathMatchers', '*', 'routeRules', '*']),
    { field: ['tests', '*', 'service'], to: 'backendServices' },
  ],
  backendServices: [
    { field: ['backends', '*', 'group'], to: 'networkEndpointGroups' },
    { field: ['healthChecks', '*'], to: 'healthChecks' },
    { field: ['tlsSettings', 'authenticationConfig'], to: 'backendAuthenticationConfigs' },
  ],
  networkEndpointGroups: [],
  healthChecks: [],
  backendAuthenticationConfigs: [
    { field: ['trustConfig'], to: 'trustConfigs' },
    { field: ['clientCertificate'], to: 'certificates' },
  ],
  trustConfigs: [],
  certificates: [],
  certificateMaps: [],
  certificateMapEntries: [
    { field: ['map'], to: 'certificateMaps' },
    { field: ['certificates', '*'], to: 'certificates' },
  ],
};
