import type { BackendCall, BackendHandler, BackendRequest } from './contract.ts';

/** The connections to one endpoint. */
export interface EndpointPool {
  /** Connections that are up or on their way. */
  readonly size: number;
  /** No callback of `handler` runs before this returns. */
  send(request: BackendRequest, handler: BackendHandler): BackendCall;
  /**
   * Idle connections close now, busy ones after their exchange; what still comes is served on a connection of its own. The
   * callback given at construction runs each time none is left.
   */
  retire(): void;
}

export interface PoolLimits {
  readonly maxConnections: number;
  /** Exchanges that wait beyond those for whom a connection is being opened. */
  readonly maxPending: number;
}
