import type { ProxyError } from '../base/errors.ts';
import type { Refused } from '../pki/verdict.ts';
import type { BackendConnectionFacts } from './contract.ts';

/**
 * Why a connection that had been accepted is gone: idle for too long, closed by the backend, a socket error, an exchange that was
 * aborted, one after which HTTP forbids reuse, circuitBreakers.maxRequestsPerConnection, a certificate past its notAfter, one that a new CRL revokes, or what a reload changed.
 */
export type CloseReason =
  | 'idle'
  | 'backend'
  | 'error'
  | 'aborted'
  | 'not-reusable'
  | 'expired'
  | 'revocation'
  | 'max-requests'
  | RetireCause;

/**
 * What a reload changed: the client certificate, the trust (anchors, roots, allowlist, enforcement), the other TLS settings (SNI,
 * names, versions), or 'retired': the service or the endpoint is gone or changed otherwise, or the process ends.
 */
export type RetireCause = 'client-certificate' | 'trust' | 'tls-settings' | 'retired';

/** Why an endpoint is ejected (outlierDetection). */
export type EjectionCause = 'consecutive-errors' | 'consecutive-gateway-failures' | 'success-rate';

/** Which of circuitBreakers refused a request, a stream (`connections`) or a retry. */
export type CircuitLimit = 'connections' | 'requests' | 'pending-requests' | 'retries';

/** What backends report beside the exchanges; telemetry implements it. Called synchronously; must not throw. */
export interface BackendEvents {
  /** A connection is up and its certificate accepted. `durationMs`: from the start of the name look-up. */
  onConnect(service: string, facts: BackendConnectionFacts, durationMs: number): void;
  /** No connection: `error.code` tells why; `error.cause` is the `Refused` verdict where a certificate was the reason. */
  onConnectFailure(service: string, endpoint: string, error: ProxyError, durationMs: number): void;
  onClose(service: string, endpoint: string, reason: CloseReason): void;
  /** Under REPORT_ONLY: a certificate that enforcing would have refused. The connection is used. */
  onReportOnlyFailure(service: string, endpoint: string, verdict: Refused): void;
  /** CRLs that came after a connection take its certificate back: the connection closes after its exchange. */
  onRevoked(service: string, endpoint: string, verdict: Refused): void;
  /** A name leads to an address that it must not lead to (security rule 36): it is not dialled. Told once, until the name leads elsewhere. */
  onProhibitedAddress(service: string, name: string, address: string, reason: string): void;
  /** `isHealthy` null: not probed any more. `reason`: of the last failed probe; '' at the beginning and where it is well. */
  onHealth(service: string, endpoint: string, isHealthy: boolean | null, reason: string): void;
  /** An endpoint gets no requests for so long, or more; `cause` null: it is back. */
  onEjection(service: string, endpoint: string, cause: EjectionCause | null, forMs: number): void;
  onCircuitBreak(service: string, limit: CircuitLimit): void;
}

/** For callers that do not care. */
export const noBackendEvents: BackendEvents = {
  onConnect: () => {},
  onConnectFailure: () => {},
  onClose: () => {},
  onReportOnlyFailure: () => {},
  onRevoked: () => {},
  onProhibitedAddress: () => {},
  onHealth: () => {},
  onEjection: () => {},
  onCircuitBreak: () => {},
};
