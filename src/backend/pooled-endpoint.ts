// hot path: the getters run for each endpoint that a policy looks at.
import type { Clock } from '../base/clock.ts';
import type { LinkedBackendService } from '../config/linked.ts';
import { type BackendIdentity, CONNECT_TIMEOUT_MS, type ConnectTerms } from './connect.ts';
import type { BackendProtocol, Endpoint } from './contract.ts';
import type { EndpointPool, PoolLimits, ServiceLimits } from './endpoint-pool.ts';
import type { BackendEvents } from './events.ts';
import { HealthCheck } from './health-check.ts';
import { Http1Pool } from './http1-pool.ts';
import { Http2Pool } from './http2-pool.ts';
import { Draining } from './lb/draining.ts';
import type { Member } from './lb/fleet.ts';
import { Conduct, type Suspect } from './lb/outlier-detection.ts';
import type { SessionStore } from './session-store.ts';
import { StreamPool } from './stream-pool.ts';

/** One endpoint of a service: its connections, and what is known of it. `pick` hands it out; `send` and `openStream` take no other. */
export class PooledEndpoint implements Member, Suspect {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly host?: string;
  readonly weight: number;
  readonly pool: EndpointPool;
  /** null: no health check, or no address. */
  readonly health: HealthCheck | null;
  readonly conduct: Conduct;
  /** null: it has a weight. */
  readonly draining: Draining | null;

  constructor(
    { name, address, port, host }: Endpoint,
    weight: number,
    pool: EndpointPool,
    health: HealthCheck | null,
    before: PooledEndpoint | null,
  ) {
    this.name = name;
    this.address = address;
    this.port = port;
    if (host !== undefined) this.host = host;
    this.weight = weight;
    this.pool = pool;
    this.health = health;
    this.conduct = before?.conduct ?? new Conduct();
    this.draining = weight > 0 ? null : (before?.draining ?? new Draining());
  }

  get isWell(): boolean {
    return !this.conduct.isEjected && (this.health === null || this.health.isHealthy);
  }

  get isFailing(): boolean {
    return this.pool.isFailing;
  }

  get isDrained(): boolean {
    return this.draining?.isOver === true;
  }

  get load(): number {
    return this.pool.inFlight;
  }
}

export interface EndpointDependencies {
  readonly clock: Clock;
  readonly events: BackendEvents;
  /** One for the process: sessions outlive a reload that leaves an identity as it was. */
  readonly sessions: SessionStore;
  /** For tests; 5 s otherwise (spec 10.23). */
  readonly connectTimeoutMs?: number;
}

/**
 * `before`: the same endpoint of the service that this one replaces. Its connections are taken over when `hasSameConnections`, its health when
 * the check is the same, how it has behaved in any case.
 */
export function pooledEndpoint(
  linked: LinkedBackendService,
  endpoint: Endpoint,
  weight: number,
  identity: BackendIdentity | null,
  dependencies: EndpointDependencies,
  before: PooledEndpoint | null,
  hasSameConnections: boolean,
): PooledEndpoint {
  const Pool = poolFor(linked.protocol);
  const pool =
    before !== null && hasSameConnections
      ? before.pool
      : new Pool(connectTerms(linked, identity, dependencies), endpoint, poolLimits(linked, null));
  const known = before?.health?.digest === linked.healthCheck?.digest ? (before?.health ?? null) : null;
  const health =
    hasSameConnections && known !== null ? known : healthCheck(linked, endpoint, identity, dependencies, known);
  return new PooledEndpoint(endpoint, weight, pool, health, before);
}

export function httpVersionOf(protocol: BackendProtocol): 'http1' | 'http2' {
  return protocol === 'HTTP2' || protocol === 'H2C' ? 'http2' : 'http1';
}

/** The protocol decides which of `send` and `openStream` a service is asked (config/rules hold it). */
function poolFor(protocol: BackendProtocol): typeof Http1Pool | typeof Http2Pool | typeof StreamPool {
  if (protocol === 'TCP' || protocol === 'SSL') return StreamPool;
  return httpVersionOf(protocol) === 'http2' ? Http2Pool : Http1Pool;
}

/** SSL services carry streams, and nobody here knows of what. */
export function alpnOf(protocol: BackendProtocol): ConnectTerms['alpn'] {
  if (protocol === 'TCP' || protocol === 'SSL') return null;
  return httpVersionOf(protocol) === 'http2' ? 'h2' : 'http/1.1';
}

export function poolLimits(
  { maxConnectionsPerEndpoint, maxPendingPerEndpoint, circuitBreakers }: LinkedBackendService,
  service: ServiceLimits | null,
): PoolLimits {
  return {
    maxConnections: maxConnectionsPerEndpoint,
    maxPending: maxPendingPerEndpoint,
    maxRequestsPerConnection: circuitBreakers?.maxRequestsPerConnection ?? Number.POSITIVE_INFINITY,
    service,
  };
}

/** A pool has its own: it stops using sessions when it retires. */
function connectTerms(
  linked: LinkedBackendService,
  identity: BackendIdentity | null,
  { connectTimeoutMs, clock, sessions, events }: EndpointDependencies,
): ConnectTerms {
  return {
    service: linked.name,
    identity,
    alpn: alpnOf(linked.protocol),
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
  { clock, events }: EndpointDependencies,
  known: HealthCheck | null,
): HealthCheck | null {
  if (check === null) return null;
  const onHealth = (isHealthy: boolean | null, reason: string) => {
    events.onHealth(name, endpoint.name, isHealthy, reason);
  };
  return new HealthCheck({ check, endpoint, protocol, identity, clock, onHealth, known });
}
