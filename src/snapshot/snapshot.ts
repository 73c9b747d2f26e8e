import { BlockList } from 'node:net';
import type { BackendService } from '../backend/contract.ts';
import { nameTerms } from '../backend/name-terms.ts';
import { digestOf } from '../base/digest.ts';
import { hostPort } from '../base/host-port.ts';
import type { CidrBlock } from '../config/cidr.ts';
import { requestHeadersOf } from '../config/link-url-map.ts';
import type { LinkedConfiguration, LinkedProxy, LinkedTrustConfig } from '../config/linked.ts';
import { ServiceFieldRules } from '../forward/field-rules.ts';
import type { FrontendProxy } from '../frontend/contract.ts';
import { provisionFrontend } from './provision-frontend.ts';
import { provisionServices } from './provision-services.ts';
import { RouteSlot, type Routes } from './route-slot.ts';
import type { SnapshotParts } from './snapshot-parts.ts';
import { StreamSlot } from './stream-slot.ts';

/** The running objects of one configuration. Built whole before anything uses it. */
export interface Snapshot {
  readonly configuration: LinkedConfiguration;
  /** By name. */
  readonly services: ReadonlyMap<string, RunningService>;
  readonly fields: ServiceFieldRules;
  /** By `address:port`. */
  readonly listeners: ReadonlyMap<string, RunningListener>;
}

export interface RunningService {
  readonly digest: string;
  readonly service: BackendService;
}

export interface RunningListener {
  readonly address: string;
  readonly port: number;
  readonly forwardingRule: string;
  readonly digest: string;
  readonly proxy: FrontendProxy;
  /** Who must begin with a PROXY protocol header; null: nobody. */
  readonly trustedSources: BlockList | null;
  /** Where exchanges or streams of this listener go, swapped with the snapshot: connections outlive configurations. */
  readonly routes: RouteSlot | StreamSlot;
}

/**
 * Builds the running objects, taking over from `previous` what has the same digest: its pools stay warm, its engines and tickets
 * stay valid. Nothing of `previous` changes; `activate` makes the new one current.
 */
export function provision(
  configuration: LinkedConfiguration,
  previous: Snapshot | null,
  parts: SnapshotParts,
): Snapshot {
  const services = provisionServices(configuration, previous?.services ?? new Map(), parts);
  const mapHeaders = configuration.urlMaps.flatMap(requestHeadersOf);
  const writesForwarded = configuration.settings.forwardedHeader === 'replace';
  const fields = new ServiceFieldRules(configuration.backendServices, mapHeaders, writesForwarded);
  const { limits, tracing } = configuration.settings;
  const webSockets = configuration.backendServices.some(({ protocol }) => protocol === 'HTTP' || protocol === 'HTTPS');
  const listeners = new Map<string, RunningListener>();
  for (const linked of configuration.listeners) {
    const key = hostPort(linked.address, linked.port);
    const before = previous?.listeners.get(key);
    // a CRL is nobody's identity, but its clients are judged again (security rule 22)
    const crls = trustOfClients(linked.proxy)?.revocation?.digest;
    const digest = digestOf([
      linked.forwardingRule,
      linked.proxy.digest,
      limits,
      webSockets,
      crls,
      configuration.geoip?.identity,
    ]);
    const routes = slotFor(linked.proxy, before?.routes ?? null, { services, fields, limits, tracing }, parts);
    const proxy =
      before?.digest === digest
        ? before.proxy
        : provisionFrontend(linked.proxy, configuration, routes, parts, webSockets);
    const { address, port, forwardingRule } = linked;
    const trustedSources = linked.trustedSources === null ? null : blockList(linked.trustedSources);
    listeners.set(key, { address, port, forwardingRule, digest, proxy, trustedSources, routes });
  }
  return { configuration, services, fields, listeners };
}

function trustOfClients(proxy: LinkedProxy): LinkedTrustConfig | null {
  return 'serverTlsPolicy' in proxy ? (proxy.serverTlsPolicy?.trustConfig ?? null) : null;
}

/** The one that the listener has, unless it carried something else. */
function slotFor(
  proxy: LinkedProxy,
  before: RouteSlot | StreamSlot | null,
  routes: Omit<Routes, 'urlMap'>,
  parts: SnapshotParts,
): RouteSlot | StreamSlot {
  if ('urlMap' in proxy)
    return before instanceof RouteSlot ? before : new RouteSlot({ ...routes, urlMap: proxy.urlMap }, parts);
  return before instanceof StreamSlot ? before : new StreamSlot({ proxy, services: routes.services }, parts);
}

function blockList(blocks: readonly CidrBlock[]): BlockList {
  const list = new BlockList();
  for (const { address, prefixLength, family } of blocks) list.addSubnet(address, prefixLength, family);
  return list;
}

/** Makes `next` current: from now on every request, on old connections too, uses its routes and backends. */
export function activate(next: Snapshot, parts: SnapshotParts): void {
  const { ticketSecrets, settings } = next.configuration;
  const { rotationSec, dangerTls12Tickets: dangerTls12 } = settings.sessionTickets;
  parts.ticketKeys.use({ secrets: ticketSecrets.secrets, rotationSec, dangerTls12 });
  parts.names.use(nameTerms(next.configuration));
  for (const linked of next.configuration.listeners) {
    const listener = next.listeners.get(hostPort(linked.address, linked.port));
    const { services, fields } = next;
    const { limits, tracing } = settings;
    const { proxy } = linked;
    const slot = listener?.routes;
    if (slot instanceof StreamSlot) {
      if (!('urlMap' in proxy)) slot.route({ proxy, services }, parts);
    } else if ('urlMap' in proxy) {
      slot?.route({ urlMap: proxy.urlMap, services, fields, limits, tracing }, parts);
    }
  }
  for (const { name, tls } of next.configuration.backendServices)
    next.services.get(name)?.service.useRevocation(tls?.authentication?.trustConfig?.revocation ?? null);
  for (const { service } of next.services.values()) service.start();
}
