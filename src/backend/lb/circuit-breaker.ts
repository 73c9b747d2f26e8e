// hot path where circuitBreakers is configured.
import { ProxyError } from '../../base/errors.ts';
import type { LinkedCircuitBreakers } from '../../config/linked.ts';
import type { BackendCall, BackendHandler, RetrySlots } from '../contract.ts';
import type { EndpointPool, ServiceLimits } from '../endpoint-pool.ts';
import type { CircuitLimit } from '../events.ts';

export interface CircuitBreakerOptions {
  readonly service: string;
  readonly limits: LinkedCircuitBreakers;
  /** Of the current endpoints. What is under way is counted by them, so that nothing can drift. */
  readonly endpoints: () => readonly { readonly pool: EndpointPool }[];
  readonly onRefused: (limit: CircuitLimit) => void;
}

/** circuitBreakers over all endpoints of a service: what is beyond a limit is refused at once instead of piling up. */
export class CircuitBreaker implements ServiceLimits, RetrySlots {
  readonly #options: CircuitBreakerOptions;
  #retries = 0;

  constructor(options: CircuitBreakerOptions) {
    this.#options = options;
  }

  mayConnect(): boolean {
    return this.#sum(sizeOf) < this.#options.limits.maxConnections;
  }

  mayOpenStream(): boolean {
    if (this.mayConnect()) return true;
    this.#options.onRefused('connections');
    return false;
  }

  /** Asked when the exchange is among those that wait. */
  mayWait(): boolean {
    if (this.#sum(pendingOf) <= this.#options.limits.maxPendingRequests) return true;
    this.#options.onRefused('pending-requests');
    return false;
  }

  /** null: it may be sent. */
  refusal(): ProxyError | null {
    const { service, limits, onRefused } = this.#options;
    if (this.#sum(inFlightOf) < limits.maxRequests) return null;
    onRefused('requests');
    const detail = `${service}: circuitBreakers.maxRequests (${limits.maxRequests}) are under way`;
    return new ProxyError('backend_request_limit_reached', { phase: 'pick', detail });
  }

  take(): boolean {
    if (this.#retries < this.#options.limits.maxRetries) {
      this.#retries++;
      return true;
    }
    this.#options.onRefused('retries');
    return false;
  }

  release(): void {
    this.#retries--;
  }

  #sum(of: (pool: EndpointPool) => number): number {
    const endpoints = this.#options.endpoints();
    let sum = 0;
    for (let i = 0; i < endpoints.length; i++) sum += of(endpoints[i]!.pool);
    return sum;
  }
}

/** An attempt that is refused before it reaches a pool: onError comes in the next tick, unless it is aborted before. */
export class RefusedCall implements BackendCall {
  readonly sent = false;
  readonly #handler: BackendHandler;
  readonly #error: ProxyError;
  #isAborted = false;

  constructor(handler: BackendHandler, error: ProxyError) {
    this.#handler = handler;
    this.#error = error;
    process.nextTick(tell, this);
  }

  tell(): void {
    if (!this.#isAborted) this.#handler.onError(this.#error);
  }

  abort(): void {
    this.#isAborted = true;
  }

  writeBody(): boolean {
    return true;
  }

  endBody(): void {}

  pause(): void {}

  resume(): void {}
}

function tell(call: RefusedCall): void {
  call.tell();
}

function sizeOf(pool: EndpointPool): number {
  return pool.size;
}

function pendingOf(pool: EndpointPool): number {
  return pool.pending;
}

function inFlightOf(pool: EndpointPool): number {
  return pool.inFlight;
}
