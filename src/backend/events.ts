import type { ProxyError } from '../base/errors.ts';
import type { BackendConnectionFacts } from './contract.ts';

/**
 * Why a connection that had been accepted is gone: idle for too long, closed by the backend, a socket error, an exchange that was
 * aborted, one after which HTTP forbids reuse, a certificate past its notAfter, a service that is no longer configured.
 */
export type CloseReason = 'idle' | 'backend' | 'error' | 'aborted' | 'not-reusable' | 'expired' | 'retired';

/** What backends report beside the exchanges; telemetry implements it. Called synchronously; must not throw. */
export interface BackendEvents {
  /** A connection is up and its certificate accepted. `durationMs`: from the start of the name look-up. */
  onConnect(service: string, facts: BackendConnectionFacts, durationMs: number): void;
  /** No connection: `error.code` tells why; `error.cause` is the `Refused` verdict where a certificate was the reason. */
  onConnectFailure(service: string, endpoint: string, error: ProxyError, durationMs: number): void;
  onClose(service: string, endpoint: string, reason: CloseReason): void;
}

/** For callers that do not care. */
export const noBackendEvents: BackendEvents = {
  onConnect: () => {},
  onConnectFailure: () => {},
  onClose: () => {},
};
