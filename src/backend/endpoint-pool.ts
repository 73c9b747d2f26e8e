import type { BackendCall, BackendHandler, BackendRequest } from './contract.ts';
import type { RetireCause } from './events.ts';

/** The connections to one endpoint. */
export interface EndpointPool {
  /** Connections that are up or on their way. */
  readonly size: number;
  /** The last attempt to connect failed, and none has succeeded since: others are to be preferred. */
  readonly isFailing: boolean;
  /** Exchanges under way or waiting. */
  readonly inFlight: number;
  /** Exchanges that wait beyond those for whom a connection is being opened. */
  readonly pending: number;
  /** Not of a StreamPool. No callback of `handler` runs before this returns. */
  send(request: BackendRequest, handler: BackendHandler): BackendCall;
  /**
   * Idle connections close within the spread, busy ones after their exchange (HTTP/2: no new streams); sessions are neither used
   * nor kept any more. What still comes is served on a connection of its own.
   */
  retire(order: RetireOrder): void;
  /** Busy connections are broken off, and their exchanges with them: the time that they had to finish is over. */
  breakOff(cause: RetireCause): void;
  /** From now on, for what comes. */
  useLimits(limits: PoolLimits): void;
  /** CRLs have changed: connections that they revoke close, busy ones after their exchange (HTTP/2: no new streams). */
  review(): void;
}

export interface RetireOrder {
  readonly cause: RetireCause;
  /** Idle connections close at random moments within it, so that backends do not see all of them leave and come at once. */
  readonly spreadMs: number;
  /** Runs each time nothing is left. */
  readonly onEmpty: () => void;
}

export interface PoolLimits {
  readonly maxConnections: number;
  /** Exchanges that wait beyond those for whom a connection is being opened. */
  readonly maxPending: number;
  /** A connection that has carried as many is closed and another one opened. */
  readonly maxRequestsPerConnection: number;
  /** Those over all endpoints; null: there are none. */
  readonly service: ServiceLimits | null;
}

/** circuitBreakers, as a pool asks it. */
export interface ServiceLimits {
  /** Not asked for the first connection of an endpoint: what waits for it could get none. */
  mayConnect(): boolean;
  /** For a stream, which is a connection and does not wait for another: what is refused counts. */
  mayOpenStream(): boolean;
  /** Whether one that waits now may go on waiting. */
  mayWait(): boolean;
}
