// hot path
import type { Clock } from '../base/clock.ts';
import type { LinkedBackendService } from '../config/linked.ts';
import type { Revocation } from '../pki/revocation.ts';
import { type BackendIdentity, CONNECT_TIMEOUT_MS, type ConnectTerms } from './connect.ts';
import type {
  BackendCall,
  BackendHandler,
  BackendProtocol,
  BackendRequest,
  BackendService,
  Endpoint,
  EndpointHealth,
  Requester,
  RetireOptions,
} from './contract.ts';
import type { PoolLimits, RetireOrder } from './endpoint-pool.ts';
import { EndpointSet, type PooledEndpoint } from './endpoint-set.ts';
import type { BackendEvents } from './events.ts';
import { HealthCheck } from './health-check.ts';
import { Http1Pool } from './http1-pool.ts';
import { Http2Pool } from './http2-pool.ts';
import { createBackendIdentity } from './identity.ts';
import type { NameResolver } from './name-resolver.ts';
import type { SessionStore } from './session-store.ts';

export interface BackendDependencies {
  readonly clock: Clock;
  readonly events: BackendEvents;
  /** One for the process: sessions outlive a reload that leaves an identity as it was. */
  readonly sessions: SessionStore;
  /** One for the process: a name is looked up once for all services, and stays known over a reload. */
  readonly names: NameResolver;
  /** For tests; 5 s otherwise (spec 10.23). */
  readonly connectTimeoutMs?: number;
}

/**
 * A backend service as it runs: its endpoints, their connections, one identity towards all of them. What `previous` has of the same
 * endpoints under the same identity is shared with it, connections and health, until it retires with this one as its successor.
 * @throws Error when OpenSSL does not take the client certificate or key, which src/config has checked
 */
export function createBackendService(
  linked: LinkedBackendService,
  dependencies: BackendDependencies,
  previous: BackendService | null = null,
): BackendService {
  const shared = previous instanceof PooledBackendService ? previous : null;
  const identity =
    linked.tls === null
      ? null
      : (shared?.identityOf(linked.tls.digest) ?? createBackendIdentity(linked.tls, dependencies.clock));
  return new PooledBackendService(linked, identity, dependencies, shared);
}

class PooledBackendService implements BackendService {
  readonly name: string;
  readonly protocol: BackendProtocol;
  readonly httpVersion: 'http1' | 'http2';
  readonly timeoutMs: number;
  readonly maxStreamDurationMs: number | null;
  readonly affinityCookies = null;
  readonly retrySlots = null;
  readonly #linked: LinkedBackendService;
  readonly #set: EndpointSet;
  readonly #identity: BackendIdentity | null;
  #next = 0;
  /** Gone from the set, or left by its successor, and not empty yet. */
  readonly #leaving = new Set<PooledEndpoint>();
  #started = false;
  #retireOrder: RetireOrder | null = null;
  #retired: Promise<void> | null = null;
  #onEmpty: () => void = () => {};

  constructor(
    linked: LinkedBackendService,
    identity: BackendIdentity | null,
    dependencies: BackendDependencies,
    previous: PooledBackendService | null,
  ) {
    this.#linked = linked;
    this.#identity = identity;
    this.name = linked.name;
    this.protocol = linked.protocol;
    this.httpVersion = httpVersionOf(linked.protocol);
    this.timeoutMs = linked.timeoutSec * 1000;
    this.maxStreamDurationMs = linked.maxStreamDurationMs;
    const limits: PoolLimits = {
      maxConnections: linked.maxConnectionsPerEndpoint,
      maxPending: linked.maxPendingPerEndpoint,
    };
    const Pool = this.httpVersion === 'http2' ? Http2Pool : Http1Pool;
    const isSameIdentity = previous !== null && hasSameConnections(previous.#linked, linked);
    let taken = previous;
    const make = (endpoint: Endpoint): PooledEndpoint => {
      const before = taken?.endpoints.find((candidate) => candidate.name === endpoint.name) ?? null;
      const pool =
        before !== null && isSameIdentity
          ? before.pool
          : new Pool(connectTerms(linked, identity, dependencies), endpoint, limits);
      const known = before?.health?.digest === linked.healthCheck?.digest ? (before?.health ?? null) : null;
      const health =
        isSameIdentity && known !== null ? known : healthCheck(linked, endpoint, identity, dependencies, known);
      return { ...endpoint, pool, health };
    };
    const { names, events, connectTimeoutMs = CONNECT_TIMEOUT_MS } = dependencies;
    this.#set = new EndpointSet({
      linked,
      names,
      connectTimeoutMs,
      make,
      onChange: (gone) => this.#onEndpoints(gone),
      onProhibited: (name, address, reason) => events.onProhibitedAddress(linked.name, name, address, reason),
    });
    taken = null; // addresses that a name gets later are new ones
  }

  get endpoints(): readonly PooledEndpoint[] {
    return this.#set.all;
  }

  /** Endpoints whose last connection failed come last: a request that reaches one waits for its next attempt. */
  pick(tried: readonly Endpoint[], _requester: Requester): Endpoint | null {
    const { tiers } = this.#set;
    let failing: PooledEndpoint | null = null;
    for (let tier = 0; tier < tiers.length; tier++) {
      const endpoints = tiers[tier]!;
      for (let i = 0; i < endpoints.length; i++) {
        const endpoint = endpoints[this.#next % endpoints.length]!;
        this.#next = (this.#next + 1) % endpoints.length;
        if (tried.includes(endpoint) || endpoint.health?.isHealthy === false) continue;
        if (!endpoint.pool.isFailing) return endpoint;
        failing ??= endpoint;
      }
    }
    return failing;
  }

  send(endpoint: Endpoint, request: BackendRequest, handler: BackendHandler): BackendCall {
    return (endpoint as PooledEndpoint).pool.send(request, handler);
  }

  /** With this digest; null: it has another. Shared, so that CRLs reach all that was made under it. */
  identityOf(digest: string): BackendIdentity | null {
    return this.#identity?.digest === digest ? this.#identity : null;
  }

  useRevocation(revocation: Revocation | null): void {
    if (this.#identity?.useRevocation(revocation) !== true) return;
    this.#review(this.endpoints, 0);
  }

  /** One endpoint a turn, as each may have a chain of its own to verify; what is used before its turn comes is judged then. */
  #review(endpoints: readonly PooledEndpoint[], at: number): void {
    endpoints[at]?.pool.review();
    if (at + 1 < endpoints.length) setImmediate(() => this.#review(endpoints, at + 1));
  }

  start(): void {
    this.#started = true;
    this.#set.watch();
    for (const { health } of this.endpoints) health?.start();
  }

  health(): readonly EndpointHealth[] {
    return this.endpoints.flatMap(({ name, health }) =>
      health === null
        ? []
        : [{ endpoint: name, isHealthy: health.isHealthy, isProbed: health.isProbed, reason: health.reason }],
    );
  }

  retire({ cause = 'retired', spreadMs = 0, successor = null }: RetireOptions = {}): Promise<void> {
    const isFirst = this.#retired === null;
    this.#retired ??= new Promise((resolve) => {
      this.#onEmpty = resolve;
    });
    if (isFirst) this.#leave(successor instanceof PooledBackendService ? successor : null);
    this.#retireOrder = { cause, spreadMs, onEmpty: () => this.#onPoolEmpty() };
    for (const { pool } of this.#leaving) pool.retire(this.#retireOrder);
    this.#onPoolEmpty();
    return this.#retired;
  }

  #leave(next: PooledBackendService | null): void {
    this.#set.unwatch();
    // What left before may have been shared with the successor, and then has left it too: that one waits for it.
    for (const endpoint of this.#leaving) if (next?.holds(endpoint) === true) this.#leaving.delete(endpoint);
    for (const endpoint of this.endpoints) if (next?.holds(endpoint) !== true) this.#leaving.add(endpoint);
    for (const { name, health } of this.endpoints) {
      const after = next?.endpoints.find((endpoint) => endpoint.name === name)?.health ?? null;
      if (after !== health) health?.stop(after === null);
    }
  }

  holds({ pool }: PooledEndpoint): boolean {
    for (const endpoint of this.#leaving) if (endpoint.pool === pool) return true;
    return this.endpoints.some((endpoint) => endpoint.pool === pool);
  }

  /** Names have other addresses: those that are gone take no new exchange and leave as at a reload, new ones are probed. */
  #onEndpoints(gone: readonly PooledEndpoint[]): void {
    const order: RetireOrder = { cause: 'retired', spreadMs: SPREAD_MS, onEmpty: () => this.#onPoolEmpty() };
    for (const endpoint of gone) {
      endpoint.health?.stop(true);
      if (endpoint.pool.size === 0) continue;
      this.#leaving.add(endpoint);
      endpoint.pool.retire(order);
    }
    if (this.#retireOrder === null) {
      if (this.#started) for (const { health } of this.endpoints) health?.start();
      return;
    }
    // Retired while requests waited for a name: they are served, and what serves them leaves after them.
    queueMicrotask(() => {
      for (const endpoint of this.endpoints) {
        this.#leaving.add(endpoint);
        endpoint.pool.retire(this.#retireOrder!);
      }
    });
  }

  #onPoolEmpty(): void {
    for (const endpoint of this.#leaving) if (endpoint.pool.size === 0) this.#leaving.delete(endpoint);
    if (this.#retired !== null && this.#leaving.size === 0) this.#onEmpty();
  }
}

function httpVersionOf(protocol: BackendProtocol): 'http1' | 'http2' {
  return protocol === 'HTTP2' || protocol === 'H2C' ? 'http2' : 'http1';
}

/** A connection made for one does for the other. */
function hasSameConnections(a: LinkedBackendService, b: LinkedBackendService): boolean {
  return (
    a.protocol === b.protocol &&
    a.tls?.digest === b.tls?.digest &&
    a.maxConnectionsPerEndpoint === b.maxConnectionsPerEndpoint &&
    a.maxPendingPerEndpoint === b.maxPendingPerEndpoint
  );
}

/** A pool has its own: it stops using sessions when it retires. */
function connectTerms(
  linked: LinkedBackendService,
  identity: BackendIdentity | null,
  { connectTimeoutMs, clock, sessions, events }: BackendDependencies,
): ConnectTerms {
  return {
    service: linked.name,
    identity,
    alpn: httpVersionOf(linked.protocol) === 'http2' ? 'h2' : 'http/1.1',
    timeoutMs: connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    clock,
    sessions,
    events,
  };
}

function healthCheck(
  { name, protocol, healthCheck: check }: LinkedBackendService,
  endpoint: Endpoint,
  identity: BackendIdentity | null,
  { clock, events }: BackendDependencies,
  known: HealthCheck | null,
): HealthCheck | null {
  if (check === null) return null;
  const onHealth = (isHealthy: boolean | null, reason: string) => {
    events.onHealth(name, endpoint.name, isHealthy, reason);
  };
  return new HealthCheck({ check, endpoint, protocol, identity, clock, onHealth, known });
}

/** As long as a reload takes (snapshot/retire-replaced.ts): an answer must not close every connection in one moment. */
const SPREAD_MS = 1000;
