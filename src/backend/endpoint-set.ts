import { isIP } from 'node:net';
import { ProxyError } from '../base/errors.ts';
import { hostPort } from '../base/host-port.ts';
import type { LinkedBackendService, LinkedEndpoint } from '../config/linked.ts';
import type { Endpoint } from './contract.ts';
import { prohibition } from './destination-rules.ts';
import type { Families } from './name-lookup.ts';
import type { NameResolver, NameState } from './name-resolver.ts';
import { PooledEndpoint } from './pooled-endpoint.ts';
import { UnresolvedPool } from './unresolved-pool.ts';

export interface EndpointSetOptions {
  readonly linked: LinkedBackendService;
  readonly names: NameResolver;
  readonly connectTimeoutMs: number;
  /** Makes one with connections and probes of its own, or takes it over from the service before. */
  readonly make: (endpoint: Endpoint, linked: LinkedEndpoint) => PooledEndpoint;
  /** The endpoints are others now. `gone`: those among the former that stay no longer. Not before the constructor has returned. */
  readonly onChange: (gone: readonly PooledEndpoint[]) => void;
  readonly onProhibited: (name: string, address: string, reason: string) => void;
}

/**
 * The endpoints of a service: its addresses, and one for each address of its names, as long as the name has it. Those that stay from
 * one answer to the next are the same objects. A name without an address is an endpoint that stands for it (UnresolvedPool).
 */
export class EndpointSet {
  /** Replaced as a whole, never written to. */
  all: readonly PooledEndpoint[] = [];
  /** The same in order of preference: IPv6 before IPv4 of names under PREFER_IPV6, otherwise one tier. */
  tiers: readonly (readonly PooledEndpoint[])[] = [];
  readonly #options: EndpointSetOptions;
  readonly #families: Families;
  readonly #named: readonly NamedEndpoint[];
  #isClosing = false;
  /** Those that were reported, `name address`. */
  #prohibited: ReadonlySet<string> = new Set();

  constructor(options: EndpointSetOptions) {
    this.#options = options;
    this.#families = FAMILIES[options.linked.ipAddressSelectionPolicy];
    const { connectTimeoutMs: timeoutMs } = options;
    this.#named = options.linked.endpoints.flatMap((linked) => {
      if (!linked.isFqdn) return [];
      const endpoint: Endpoint = { name: `${linked.host}:${linked.port}`, address: linked.host, port: linked.port };
      const unresolved = new UnresolvedPool({ endpoint: endpoint.name, timeoutMs, onWanted: () => this.watch() });
      const standIn = new PooledEndpoint(endpoint, linked.weight, unresolved, null, null);
      return [{ linked, unresolved, standIn, unwatch: null }];
    });
    this.#build();
  }

  /** Looks the names up from now on. Again has no effect. */
  watch(): void {
    const { names } = this.#options;
    for (const named of this.#named) {
      named.unwatch ??= names.watch(named.linked.host, this.#families, () => this.#update());
    }
    if (this.#named.length > 0) this.#update(); // others may have looked them up already
  }

  /** Names are looked up no more, those for which somebody waits after that. */
  unwatch(): void {
    this.#isClosing = true;
    for (const named of this.#named) {
      if (named.unresolved.size > 0) continue;
      named.unwatch?.();
      named.unwatch = null;
    }
  }

  #update(): void {
    const before = this.all;
    const now = this.#build();
    const gone = before.filter((endpoint) => !now.includes(endpoint));
    if (gone.length > 0 || now.length > before.length) this.#options.onChange(gone);
    for (const { unresolved, addresses } of this.#resolved()) unresolved.handOver(addresses.map(({ pool }) => pool));
    if (this.#isClosing) this.unwatch();
  }

  #build(): readonly PooledEndpoint[] {
    const { linked: service } = this.#options;
    const known = new Map(this.all.map((endpoint) => [endpoint.name, endpoint]));
    const next = new Map<string, PooledEndpoint>();
    const fallback: PooledEndpoint[] = [];
    const prohibited = new Set<string>();
    for (const linked of service.endpoints) {
      const named = this.#named.find((one) => one.linked === linked);
      if (named === undefined) {
        const name = hostPort(linked.host, linked.port);
        next.set(name, known.get(name) ?? this.#make(linked.host, linked));
        continue;
      }
      const addresses = this.#addressesOf(named, prohibited);
      if (addresses.length === 0) next.set(named.standIn.name, named.standIn);
      for (const address of addresses) {
        const name = hostPort(address, linked.port);
        if (next.has(name)) continue;
        const endpoint = known.get(name) ?? this.#make(address, linked);
        next.set(name, endpoint);
        if (service.ipAddressSelectionPolicy === 'PREFER_IPV6' && isIP(address) === 4) fallback.push(endpoint);
      }
    }
    this.#prohibited = prohibited;
    this.all = [...next.values()];
    const preferred = this.all.filter((endpoint) => !fallback.includes(endpoint));
    this.tiers = fallback.length === 0 || preferred.length === 0 ? [this.all] : [preferred, fallback];
    return this.all;
  }

  /** Those that may be dialled; where there are none, the stand-in knows why. */
  #addressesOf({ linked, unresolved }: NamedEndpoint, prohibited: Set<string>): readonly string[] {
    const { names, onProhibited } = this.#options;
    const state = names.stateOf(linked.host, this.#families);
    if (state === null || !state.isAsked) return [];
    let reason = '';
    const allowed = state.addresses.filter((address) => {
      const found = prohibition(linked.host, address, linked.port, names.destinations);
      if (found === null) return true;
      reason = `${linked.host} leads to ${address}: ${found}`;
      prohibited.add(`${linked.host} ${address}`);
      if (!this.#prohibited.has(`${linked.host} ${address}`)) onProhibited(linked.host, address, found);
      return false;
    });
    if (allowed.length === 0) unresolved.fail(noAddressError(hostPort(linked.host, linked.port), state, reason));
    return allowed;
  }

  *#resolved(): Iterable<{ readonly unresolved: UnresolvedPool; readonly addresses: readonly PooledEndpoint[] }> {
    for (const { linked, unresolved, standIn } of this.#named) {
      if (this.all.includes(standIn)) continue;
      const addresses = this.all.filter(({ host, port }) => host === linked.host && port === linked.port);
      yield { unresolved, addresses: addresses.length > 0 ? addresses : this.all };
    }
  }

  #make(address: string, linked: LinkedEndpoint): PooledEndpoint {
    const { port, host, isFqdn } = linked;
    const endpoint: Endpoint = { name: hostPort(address, port), address, port };
    return this.#options.make(isFqdn ? { ...endpoint, host } : endpoint, linked);
  }
}

interface NamedEndpoint {
  readonly linked: LinkedEndpoint;
  readonly unresolved: UnresolvedPool;
  readonly standIn: PooledEndpoint;
  unwatch: (() => void) | null;
}

function noAddressError(endpoint: string, { error }: NameState, prohibited: string): ProxyError {
  if (prohibited !== '') return new ProxyError('backend_address_prohibited', { phase: 'connect', detail: prohibited });
  return new ProxyError('backend_dns_failed', { phase: 'connect', detail: `${endpoint}: ${error}` });
}

export const FAMILIES: Readonly<Record<LinkedBackendService['ipAddressSelectionPolicy'], Families>> = {
  IPV4_ONLY: 'IPv4',
  PREFER_IPV6: 'both',
  IPV6_ONLY: 'IPv6',
};
