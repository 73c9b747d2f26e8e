import type { SecureContextOptions } from 'node:tls';
import type { ProxyError } from '../base/errors.ts';
import type { ConnectionFacts, Exchange, TlsFacts } from '../http/exchange.ts';
import type { HandshakeFailure } from '../telemetry/handshake-failure.ts';
import type { CertificateEntry } from '../tls/certificate-entry.ts';
import type { EffectivePolicy } from '../tls/ssl-policy.ts';

/** What the snapshot hands the frontend for one target proxy; built whole before the first connection sees it. */
export interface FrontendProxy {
  readonly name: string;
  readonly sslPolicyName: string | null;
  /** What the engines enforce, for the choice of certificate and for predictions. */
  readonly policy: EffectivePolicy;
  readonly keepAliveTimeoutMs: number;
  readonly limits: FrontendLimits;
  readonly certificates: readonly CertificateEntry[];
  /** Policy + certificate → options for the engine's base context; the engine itself is made lazily, once per certificate. */
  engineOptions(certificate: CertificateEntry): SecureContextOptions;
  readonly onExchange: (exchange: Exchange) => void;
}

export interface FrontendLimits {
  readonly connections: number;
  readonly connectionsPerAddress: number;
  readonly unfinishedHandshakes: number;
  readonly requestsPerConnection: number;
  readonly concurrentStreams: number;
}

/** What the frontend reports; telemetry implements it. */
export interface FrontendEvents {
  onHandshake(connection: ConnectionFacts, tls: TlsFacts, durationMs: number): void;
  onHandshakeFailure(failure: HandshakeFailure): void;
  /** Accepting stopped or started again because of file descriptors (EMFILE) or a limit. */
  onAcceptPaused(reason: string): void;
  /** A connection that broke HTTP framing before an exchange existed (400, 408, 413 were sent or nothing could be). */
  onBadRequest(connection: ConnectionFacts, error: ProxyError): void;
}

export type { HandshakeFailure };
