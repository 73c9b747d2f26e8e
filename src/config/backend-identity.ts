import { normalAddress } from './address.ts';
import { weightOfEach } from './backend-shares.ts';
import type { LinkedEndpoint } from './linked.ts';
import type { ResourceGraph } from './resource.ts';
import type { Spec } from './schema/kinds.ts';

type Service = Spec<'backendServices'>;

export function isTls({ protocol }: Service): boolean {
  return protocol !== 'HTTP' && protocol !== 'H2C' && protocol !== 'TCP';
}

/** It carries the bytes of target SSL and TCP proxies; the others carry requests. */
export function isStreamed({ protocol }: Service): boolean {
  return protocol === 'TCP' || protocol === 'SSL';
}

/** The endpoints of all backends in order; groups that are missing or wrong have none (that has been reported). */
export function endpointsOf(service: Service, graph: ResourceGraph): readonly LinkedEndpoint[] {
  return service.backends.flatMap((backend) => {
    const group = graph.resolve('networkEndpointGroups', backend.group)?.spec;
    const endpoints = group?.endpoints ?? [];
    const weight = weightOfEach(backend, endpoints.length);
    return endpoints.map((endpoint) => ({
      host: endpoint.fqdn?.toLowerCase() ?? normalAddress(endpoint.ipAddress ?? '') ?? '',
      port: endpoint.port ?? group?.defaultPort ?? 0,
      isFqdn: endpoint.fqdn !== undefined,
      weight,
    }));
  });
}

/**
 * What is sent as SNI and whether public roots count: `sni`, or the name of INTERNET_FQDN_PORT endpoints (spec 2.7), which are
 * verified against the public roots unless an authentication config says otherwise. PUBLIC_ROOTS counts only with a name (spec 10.13).
 */
export function authenticationOf(
  service: Service,
  config: Spec<'backendAuthenticationConfigs'> | null,
  endpoints: readonly LinkedEndpoint[],
): { readonly sni: string | null; readonly publicRoots: boolean } {
  const fqdn = endpoints.find(({ isFqdn }) => isFqdn)?.host ?? null;
  const sni = service.tlsSettings?.sni?.toLowerCase() ?? fqdn;
  if (config === null) return { sni, publicRoots: fqdn !== null };
  return { sni, publicRoots: config.wellKnownRoots === 'PUBLIC_ROOTS' && sni !== null };
}
