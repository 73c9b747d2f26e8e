import { type CustomHeader, parseHeaderValue } from '../../http/header-template.ts';
import type { Resource } from '../resource.ts';
import { type Spec, TARGET_KINDS, type TargetKind } from '../schema/kinds.ts';
import { headerActionPlaces, serviceReferences } from '../url-map-places.ts';
import { forEachSpec, type RuleContext } from './context.ts';
import { customHeadersOf } from './custom-headers.ts';

type Mode = Spec<'serverTlsPolicies'>['mtlsPolicy']['clientValidationMode'];

/** A target proxy through which a service is reached; mode null: it does not ask for certificates. */
interface Access {
  readonly proxy: Resource<TargetKind>;
  readonly mode: Mode | null;
}

/** Warns where a backend could take a client for somebody that nobody verified (security rule 18). */
export function checkIdentityHeaders({ graph, findings }: RuleContext): void {
  const accesses = accessesByService(graph);
  forEachSpec(graph, 'backendServices', (service, spec) => {
    const ways = accesses.get(service) ?? [];
    const headers = customHeadersOf(spec.customRequestHeaders);
    const claims = headers.findIndex(claimsIdentity);
    const rejecting = ways.find(({ mode }) => mode === 'REJECT_INVALID');
    const allowing = ways.find(({ mode }) => mode === 'ALLOW_INVALID_OR_MISSING_CLIENT_CERT');
    const open = ways.find(({ mode }) => mode === null);
    if (
      claims !== -1 &&
      allowing !== undefined &&
      !headers.some((header) => uses(header, 'client_cert_chain_verified'))
    ) {
      findings.warning(
        service,
        ['customRequestHeaders'],
        `This backend is told who a client claims to be, and not whether that was verified: ${allowing.proxy.label} lets unverified clients through; add a header with {client_cert_chain_verified}`,
      );
    }
    if (claims !== -1 && rejecting === undefined && allowing === undefined && ways.length > 0) {
      findings.warning(
        service,
        ['customRequestHeaders', claims],
        'This header is always empty: no target proxy that leads here has a serverTlsPolicy; set one or remove it',
      );
    }
    const bypass = open ?? allowing;
    if (rejecting !== undefined && bypass !== undefined) {
      findings.warning(
        service,
        [],
        `This backend service stands behind REJECT_INVALID (${rejecting.proxy.label}) and can also be reached without a verified certificate through ${bypass.proxy.label}; give it a backend service of its own, or that proxy the same serverTlsPolicy`,
      );
    }
  });
}

/** The same for what headerActions of URL maps tell backends. */
export function checkIdentityOfMaps({ graph, findings }: RuleContext): void {
  forEachSpec(graph, 'targetHttpsProxies', (proxy, { serverTlsPolicy, urlMap }) => {
    const mode = graph.resolve('serverTlsPolicies', serverTlsPolicy)?.spec?.mtlsPolicy.clientValidationMode;
    const map = graph.resolve('urlMaps', urlMap);
    if (mode !== 'ALLOW_INVALID_OR_MISSING_CLIENT_CERT' || !map?.spec) return;
    const added = headerActionPlaces(map.spec).map(({ at, action }) => {
      const headers = action.requestHeadersToAdd.map((each) => parseHeaderValue(each.headerName, each.headerValue));
      return { at, headers: headers.filter((header) => typeof header !== 'string') };
    });
    if (added.some(({ headers }) => headers.some((header) => uses(header, 'client_cert_chain_verified')))) return;
    for (const { at, headers } of added) {
      if (!headers.some(claimsIdentity)) continue;
      findings.warning(
        map,
        [...at, 'requestHeadersToAdd'],
        `Backends are told who a client claims to be, and not whether that was verified: ${proxy.label} lets unverified clients through; add a header with {client_cert_chain_verified}`,
      );
    }
  });
}

function accessesByService(graph: RuleContext['graph']): ReadonlyMap<Resource, readonly Access[]> {
  const accesses = new Map<Resource, Access[]>();
  const served = new Set(
    graph.all('forwardingRules').map(({ spec }) => graph.resolveAmong(TARGET_KINDS, spec?.target ?? '')),
  );
  for (const proxy of served) {
    const spec = proxy?.spec ?? null;
    if (proxy === null || spec === null) continue;
    const policy = graph.resolve('serverTlsPolicies', serverTlsPolicyOf(proxy))?.spec ?? null;
    const map = 'urlMap' in spec ? graph.resolve('urlMaps', spec.urlMap)?.spec : null;
    if (!map) continue;
    for (const reference of serviceReferences(map)) {
      const service = graph.resolve('backendServices', reference);
      if (service === null) continue;
      const list = accesses.get(service) ?? [];
      list.push({ proxy, mode: policy?.mtlsPolicy.clientValidationMode ?? null });
      accesses.set(service, list);
    }
  }
  return accesses;
}

/** Plaintext asks nobody. */
function serverTlsPolicyOf(proxy: Resource<TargetKind>): string | undefined {
  return proxy.kind === 'targetHttpsProxies'
    ? (proxy as Resource<'targetHttpsProxies'>).spec?.serverTlsPolicy
    : undefined;
}

/** Says something about who the client is; client_cert_leaf and client_cert_chain are empty unless verified. */
function claimsIdentity(header: CustomHeader): boolean {
  return header.parts.some(
    (part) => 'variable' in part && part.variable.startsWith('client_cert_') && !SAFE.has(part.variable),
  );
}

function uses(header: CustomHeader, variable: string): boolean {
  return header.parts.some((part) => 'variable' in part && part.variable === variable);
}

const SAFE: ReadonlySet<string> = new Set([
  'client_cert_present',
  'client_cert_chain_verified',
  'client_cert_error',
  'client_cert_leaf',
  'client_cert_chain',
]);
