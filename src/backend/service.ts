// hot path
import type { Clock } from '../base/clock.ts';
import type { LinkedBackendService } from '../config/linked.ts';
import { type BackendIdentity, CONNECT_TIMEOUT_MS, type ConnectTerms } from './connect.ts';
import type {
  BackendCall,
  BackendHandler,
  BackendProtocol,
  BackendRequest,
  BackendService,
  Endpoint,
} from './contract.ts';
import type { EndpointPool, PoolLimits } from './endpoint-pool.ts';
import type { BackendEvents } from './events.ts';
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
 * A backend service as it runs: its endpoints, their connections, one identity towards all of them.
 * @throws Error when OpenSSL does not take the client certificate or key, which src/config has checked
 */
export function createBackendService(linked: LinkedBackendService, dependencies: BackendDependencies): BackendService {
  const identity = linked.tls === null ? null : createBackendIdentity(linked.tls, dependencies.clock);
  return new PooledBackendService(linked, identity, dependencies);
}

class PooledBackendService implements BackendService {
  readonly name: string;
  readonly protocol: BackendProtocol;
  readonly timeoutMs: number;
  readonly endpoints: readonly PooledEndpoint[];
  #next = 0;
  #retired: Promise<void> | null = null;
  #onEmpty: () => void = () => {};

  constructor(linked: LinkedBackendService, identity: BackendIdentity | null, dependencies: BackendDependencies) {
    this.name = linked.name;
    this.protocol = linked.protocol;
    this.timeoutMs = linked.timeoutSec * 1000;
    const terms: ConnectTerms = {
      service: linked.name,
      identity,
      alpn: linked.protocol === 'HTTP2' ? 'h2' : 'http/1.1',
      timeoutMs: dependencies.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
      clock: dependencies.clock,
      sessions: dependencies.sessions,
      events: dependencies.events,
    };
    const limits: PoolLimits = {
      maxConnections: linked.maxConnectionsPerEndpoint,
      maxPending: linked.maxPendingPerEndpoint,
    };
    const Pool = linked.protocol === 'HTTP2' ? Http2Pool : Http1Pool;
    this.endpoints = linked.endpoints.map(({ host, port }) => {
      const name = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
      const endpoint: Endpoint = { name, address: host, port };
      return { ...endpoint, pool: new Pool(terms, endpoint, limits, () => this.#onPoolEmpty()) };
    });
  }

  pick(tried: readonly Endpoint[]): Endpoint | null {
    const { endpoints } = this;
    for (let i = 0; i < endpoints.length; i++) {
      const endpoint = endpoints[this.#next]!;
      this.#next = (this.#next + 1) % endpoints.length;
      if (!tried.includes(endpoint)) return endpoint;
    }
    return null;
  }

  send(endpoint: Endpoint, request: BackendRequest, handler: BackendHandler): BackendCall {
    return (endpoint as PooledEndpoint).pool.send(request, handler);
  }

  retire(): Promise<void> {
    this.#retired ??= new Promise((resolve) => {
      this.#onEmpty = resolve;
      for (const { pool } of this.endpoints) pool.retire();
      this.#onPoolEmpty();
    });
    return this.#retired;
  }

  #onPoolEmpty(): void {
    if (this.endpoints.every(({ pool }) => pool.size === 0)) this.#onEmpty();
  }
}

/** What `pick` hands out; `send` takes no other. */
interface PooledEndpoint extends Endpoint {
  readonly pool: EndpointPool;
}
