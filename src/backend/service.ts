// hot path
import { startDeadline } from '../base/deadline.ts';
import type { LinkedBackendService } from '../config/linked.ts';
import type { Revocation } from '../pki/revocation.ts';
import { type BackendIdentity, CONNECT_TIMEOUT_MS } from './connect.ts';
import type {
  AffinityCookies,
  BackendCall,
  BackendHandler,
  BackendProtocol,
  BackendRequest,
  BackendService,
  BackendStreamAttempt,
  BackendStreamHandler,
  Endpoint,
  EndpointHealth,
  Requester,
  RetireOptions,
  RetrySlots,
  ServiceBalance,
} from './contract.ts';
import type { PoolLimits, RetireOrder } from './endpoint-pool.ts';
import { EndpointSet } from './endpoint-set.ts';
import type { EjectionCause } from './events.ts';
import { createBackendIdentity } from './identity.ts';
import type { AffinitySecrets } from './lb/affinity-tokens.ts';
import { CircuitBreaker, RefusedCall } from './lb/circuit-breaker.ts';
import { Fleet } from './lb/fleet.ts';
import { JudgedCall } from './lb/judged-call.ts';
import { OutlierDetection } from './lb/outlier-detection.ts';
import type { NameResolver } from './name-resolver.ts';
import {
  type EndpointDependencies,
  httpVersionOf,
  type PooledEndpoint,
  pooledEndpoint,
  poolLimits,
} from './pooled-endpoint.ts';
import type { StreamPool } from './stream-pool.ts';

export interface BackendDependencies extends EndpointDependencies {
  /** One for the process: a name is looked up once for all services, and stays known over a reload. */
  readonly names: NameResolver;
  readonly affinitySecrets: AffinitySecrets;
  /** For tests: a seeded one; Math.random otherwise. */
  readonly random?: () => number;
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
  readonly affinityCookies: AffinityCookies | null;
  readonly retrySlots: RetrySlots | null;
  readonly #linked: LinkedBackendService;
  readonly #identity: BackendIdentity | null;
  readonly #set: EndpointSet;
  readonly #fleet: Fleet<PooledEndpoint>;
  readonly #outliers: OutlierDetection | null;
  readonly #breaker: CircuitBreaker | null;
  readonly #onEjection: (endpoint: string, cause: EjectionCause | null, forMs: number) => void;
  readonly #limits: PoolLimits;
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
    const { clock, events, names, affinitySecrets: secrets, random = Math.random } = dependencies;
    const isSameIdentity = previous !== null && hasSameConnections(previous.#linked, linked);
    let taken = previous;
    this.#set = new EndpointSet({
      linked,
      names,
      connectTimeoutMs: dependencies.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
      make: (endpoint, { weight }) => {
        const before = taken?.endpoints.find((candidate) => candidate.name === endpoint.name) ?? null;
        return pooledEndpoint(linked, endpoint, weight, identity, dependencies, before, isSameIdentity);
      },
      onChange: (gone) => this.#onEndpoints(gone),
      onProhibited: (name, address, reason) => events.onProhibitedAddress(linked.name, name, address, reason),
    });
    taken = null; // addresses that a name gets later are new ones
    this.#fleet = new Fleet(linked, this.#set.tiers, { secrets, random });
    this.affinityCookies = this.#fleet.cookies;
    const current = () => this.#set.all;
    this.#breaker =
      linked.circuitBreakers === null
        ? null
        : new CircuitBreaker({
            service: linked.name,
            limits: linked.circuitBreakers,
            endpoints: current,
            onRefused: (limit) => events.onCircuitBreak(linked.name, limit),
          });
    this.retrySlots = this.#breaker;
    this.#limits = poolLimits(linked, this.#breaker);
    this.#onEjection = (endpoint, cause, forMs) => events.onEjection(linked.name, endpoint, cause, forMs);
    this.#outliers =
      linked.outlierDetection === null
        ? null
        : new OutlierDetection({
            settings: linked.outlierDetection,
            clock,
            random,
            endpoints: current,
            onEjection: ({ name }, cause, forMs) => this.#onEjection(name, cause, forMs),
          });
  }

  get endpoints(): readonly PooledEndpoint[] {
    return this.#set.all;
  }

  pick(tried: readonly Endpoint[], requester: Requester): Endpoint | null {
    return this.#fleet.pick(tried, requester);
  }

  send(endpoint: Endpoint, request: BackendRequest, handler: BackendHandler): BackendCall {
    const pooled = endpoint as PooledEndpoint;
    if (this.#breaker !== null) {
      const refusal = this.#breaker.refusal();
      if (refusal !== null) return new RefusedCall(handler, refusal);
    }
    if (this.#outliers !== null) return new JudgedCall(this.#outliers, pooled, request, handler);
    return pooled.pool.send(request, handler);
  }

  openStream(endpoint: Endpoint, preamble: Buffer | null, handler: BackendStreamHandler): BackendStreamAttempt {
    return ((endpoint as PooledEndpoint).pool as StreamPool).openStream(preamble, handler);
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
    this.#startEndpoints();
    if (this.#outliers === null) this.#forgetConduct();
    else this.#outliers.start();
  }

  #startEndpoints(): void {
    const { drainMs } = this;
    for (const { health, pool, draining } of this.endpoints) {
      pool.useLimits(this.#limits);
      health?.start();
      draining?.start(drainMs, () => pool.breakOff('retired'));
    }
  }

  /** How long exchanges go on at endpoints that are removed or drained; null: until they end. */
  get drainMs(): number | null {
    const { drainingTimeoutSec } = this.#linked.balancing;
    return drainingTimeoutSec === null ? null : drainingTimeoutSec * 1000;
  }

  health(): readonly EndpointHealth[] {
    return this.endpoints.flatMap(({ name, health }) =>
      health === null
        ? []
        : [{ endpoint: name, isHealthy: health.isHealthy, isProbed: health.isProbed, reason: health.reason }],
    );
  }

  balance(): ServiceBalance {
    const { policy, affinity } = this.#linked.balancing;
    return {
      policy,
      affinity: affinity?.by ?? 'NONE',
      isInPanic: this.#fleet.isInPanic,
      endpoints: this.endpoints.map(({ name, weight, load, conduct }) => ({
        endpoint: name,
        weight,
        inFlight: load,
        isEjected: conduct.isEjected,
      })),
    };
  }

  retire({ cause = 'retired', spreadMs = 0, successor = null, drainMs = null }: RetireOptions = {}): Promise<void> {
    const isFirst = this.#retired === null;
    this.#retired ??= new Promise((resolve) => {
      this.#onEmpty = resolve;
    });
    if (isFirst) this.#leave(successor instanceof PooledBackendService ? successor : null, drainMs);
    this.#retireOrder = { cause, spreadMs, onEmpty: () => this.#onPoolEmpty() };
    for (const { pool } of this.#leaving) pool.retire(this.#retireOrder);
    this.#onPoolEmpty();
    return this.#retired;
  }

  #leave(next: PooledBackendService | null, drainMs: number | null): void {
    this.#set.unwatch();
    this.#outliers?.stop();
    // What left before may have been shared with the successor, and then has left it too: that one waits for it.
    for (const endpoint of this.#leaving) if (next?.holds(endpoint) === true) this.#leaving.delete(endpoint);
    for (const endpoint of this.endpoints) {
      if (next?.holds(endpoint) !== true) this.#leaving.add(endpoint);
      const after = next?.endpoints.find(({ name }) => name === endpoint.name) ?? null;
      const { health, draining } = endpoint;
      if (after?.health !== health) health?.stop(after?.health == null);
      if (after?.draining !== draining) draining?.cancel();
      if (after === null) this.#remove(endpoint, drainMs);
    }
  }

  /** It is no endpoint of this service any more. */
  #remove({ name, pool, conduct }: PooledEndpoint, drainMs: number | null): void {
    if (conduct.isEjected) this.#onEjection(name, null, 0);
    if (drainMs !== null) startDeadline(drainMs, () => pool.breakOff('retired'));
  }

  holds({ pool }: PooledEndpoint): boolean {
    for (const endpoint of this.#leaving) if (endpoint.pool === pool) return true;
    return this.endpoints.some((endpoint) => endpoint.pool === pool);
  }

  /** Names have other addresses: those that are gone take no new exchange and leave as at a reload, new ones are probed. */
  #onEndpoints(gone: readonly PooledEndpoint[]): void {
    this.#fleet.use(this.#set.tiers);
    const order: RetireOrder = { cause: 'retired', spreadMs: SPREAD_MS, onEmpty: () => this.#onPoolEmpty() };
    for (const endpoint of gone) {
      endpoint.health?.stop(true);
      endpoint.draining?.cancel();
      this.#remove(endpoint, this.drainMs);
      if (endpoint.pool.size > 0) this.#leaving.add(endpoint);
      endpoint.pool.retire(order); // an empty one too: what still comes leaves after its exchange
    }
    if (this.#retireOrder === null) {
      if (this.#started) this.#startEndpoints();
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

  /** What an outlier detection of before has ejected; this one has none. */
  #forgetConduct(): void {
    for (const { name, conduct } of this.endpoints) {
      if (!conduct.isEjected) continue;
      conduct.isEjected = false;
      this.#onEjection(name, null, 0);
    }
  }

  #onPoolEmpty(): void {
    for (const endpoint of this.#leaving) if (endpoint.pool.size === 0) this.#leaving.delete(endpoint);
    if (this.#retired !== null && this.#leaving.size === 0) this.#onEmpty();
  }
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

/** As long as a reload takes (snapshot/retire-replaced.ts): an answer must not close every connection in one moment. */
const SPREAD_MS = 1000;
