import type { BackendRefusal } from '../telemetry/backend-refusals.ts';
import type { RecentFailure } from '../telemetry/recent-failures.ts';
import type { ShadowClient } from '../telemetry/shadow-clients.ts';

/** What the admin server shows; read anew for each request. */
export interface AdminSources {
  /** Why the process is not ready; empty when it is. */
  readiness(): readonly string[];
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
  /** The effective configuration without secrets (LinkedConfiguration.redacted). */
  configuration(): unknown;
  certificates(): readonly CertificateStatus[];
  backends(): readonly BackendStatus[] | Promise<readonly BackendStatus[]>;
  handshakes(): HandshakeStatus | Promise<HandshakeStatus>;
}

export interface HandshakeStatus {
  /** Newest first. */
  readonly failures: readonly RecentFailure[];
  /** Clients that connect, and would not under a shadow policy; last seen first. */
  readonly shadow: readonly ShadowClient[];
}

export interface CertificateStatus {
  readonly name: string;
  readonly collection: string;
  readonly role: 'server' | 'client';
  readonly subject: string;
  readonly hostNames: readonly string[];
  readonly keyType: string;
  readonly keyBits: number;
  readonly serial: string;
  readonly sha256: string;
  /** ISO 8601. */
  readonly notBefore: string;
  readonly notAfter: string;
  readonly file: string | null;
  readonly fileModified: string | null;
  readonly loaded: string | null;
  /** What `check` says of it. */
  readonly warnings: readonly string[];
}

export interface BackendStatus {
  readonly service: string;
  readonly protocol: string;
  readonly endpoints: readonly string[];
  /** Of the endpoints with a health check. */
  readonly health: readonly EndpointStatus[];
  /** How requests are shared among the endpoints. */
  readonly balance: BalanceStatus;
  /** Certificates that were not trusted, the last of each endpoint, until one is. */
  readonly refusals: readonly BackendRefusal[];
}

export interface BalanceStatus {
  readonly policy: string;
  readonly affinity: string;
  /** So few endpoints are healthy that health is ignored (panicThresholdPercent). */
  readonly isInPanic: boolean;
  readonly endpoints: readonly {
    readonly endpoint: string;
    /** 0: drained. */
    readonly weight: number;
    readonly inFlight: number;
    readonly isEjected: boolean;
  }[];
}

export interface EndpointStatus {
  readonly endpoint: string;
  readonly isHealthy: boolean;
  /** False until the first probe has ended. */
  readonly isProbed: boolean;
  /** Of the last probe; '' when it went well. */
  readonly reason: string;
}
