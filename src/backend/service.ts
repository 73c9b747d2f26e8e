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
import type { EndpointPool, PoolLimits, RetireOrder } from './endpoint-pool.ts';
import type { BackendEvents } from './events.ts';
import { HealthCheck } from './health-check.ts';
import { Http1Pool } from './http1-pool.ts';
import { Http2Pool } from './http2-pool.ts';
import { createBackendIdentity } from './identity.ts';
import type { SessionStore } from './session-store.ts';

export interface BackendDependencies {
  readonly clock: Clock;
  readonly events: BackendEvents;
  /** One for the process: sessions outlive a reload that leaves an identity as it was. */
  readonly sessions: SessionStore;
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
  readonly endpoints: readonly PooledEndpoint[];
  readonly affinityCookies = null;
  readonly retrySlots = null;
  readonly #linked: LinkedBackendService;
  readonly #identity: BackendIdentity | null;
  #next = 0;
  /** Those that no successor took over. */
  #leaving: readonly PooledEndpoint[] = [];
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
    const limits: PoolLimits = {
      maxConnections: linked.maxConnectionsPerEndpoint,
      maxPending: linked.maxPendingPerEndpoint,
    };
    const Pool = this.httpVersion === 'http2' ? Http2Pool : Http1Pool;
    const isSameIdentity = previous !== null && hasSameConnections(previous.#linked, linked);
    this.endpoints = linked.endpoints.map(({ host, port }) => {
      const name = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
      const endpoint: Endpoint = { name, address: host, port };
      const before = previous?.endpoints.find((candidate) => candidate.name === name) ?? null;
      const pool =
        before !== null && isSameIdentity
          ? before.pool
          : new Pool(connectTerms(linked, identity, dependencies), endpoint, limits);
      const known = before?.health?.digest === linked.healthCheck?.digest ? (before?.health ?? null) : null;
      const health =
        isSameIdentity && known !== null ? known : healthCheck(linked, endpoint, identity, dependencies, known);
      return { ...endpoint, pool, health };
    });
  }

  /** Endpoints whose last connection failed come last: a request that reaches one waits for its next attempt. */
  pick(tried: readonly Endpoint[], _requester: Requester): Endpoint | null {
    const { endpoints } = this;
    let failing: PooledEndpoint | null = null;
    for (let i = 0; i < endpoints.length; i++) {
      const endpoint = endpoints[this.#next]!;
      this.#next = (this.#next + 1) % endpoints.length;
      if (tried.includes(endpoint) || endpoint.health?.isHealthy === false) continue;
      if (!endpoint.pool.isFailing) return endpoint;
      failing ??= endpoint;
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
    this.#reviewFrom(0);
  }

  /** One endpoint a turn, as each may have a chain of its own to verify; what is used before its turn comes is judged then. */
  #reviewFrom(at: number): void {
    this.endpoints[at]?.pool.review();
    if (at + 1 < this.endpoints.length) setImmediate(() => this.#reviewFrom(at + 1));
  }

  start(): void {
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
    if (isFirst) this.#leave(successor instanceof PooledBackendService ? successor.endpoints : []);
    const order: RetireOrder = { cause, spreadMs, onEmpty: () => this.#onPoolEmpty() };
    for (const { pool } of this.#leaving) pool.retire(order);
    this.#onPoolEmpty();
    return this.#retired;
  }

  #leave(next: readonly PooledEndpoint[]): void {
    this.#leaving = this.endpoints.filter(({ pool }) => !next.some((endpoint) => endpoint.pool === pool));
    for (const { name, health } of this.endpoints) {
      const after = next.find((endpoint) => endpoint.name === name)?.health ?? null;
      if (after !== health) health?.stop(after === null);
    }
  }

  #onPoolEmpty(): void {
    if (this.#leaving.every(({ pool }) => pool.size === 0)) this.#onEmpty();
  }
}

/** What `pick` hands out; `send` takes no other. */
interface PooledEndpoint extends Endpoint {
  readonly pool: EndpointPool;
  /** null: no health check. */
  readonly health: HealthCheck | null;
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
