import type { SecureContextOptions } from 'node:tls';
import type { ProxyError } from '../base/errors.ts';
import type { ClientStream } from '../http/client-stream.ts';
import type { ConnectionFacts, Exchange, TlsFacts } from '../http/exchange.ts';
import type { PlaceLookup } from '../http/place.ts';
import type { HandshakeFailure } from '../telemetry/handshake-failure.ts';
import type { HelloObservation } from '../telemetry/hello-observation.ts';
import type { SessionEnd } from '../telemetry/session-end.ts';
import type { CertificateEntry } from '../tls/certificate-entry.ts';
import type { ClientHello } from '../tls/client-hello.ts';
import type { ServedCertificates } from '../tls/served-certificates.ts';
import type { EffectivePolicy } from '../tls/ssl-policy.ts';
import type { TicketGeneration } from '../tls/ticket-keys.ts';
import type { TlsVersion } from '../tls/tls-version.ts';
import type { ClientAuthentication } from './client-auth.ts';

/** What the snapshot hands the frontend for one target proxy; built whole before the first connection sees it. */
export interface FrontendProxy {
  readonly name: string;
  /** null: what comes is plaintext. */
  readonly tls: TlsTermination | null;
  readonly limits: FrontendLimits;
  /** null or absent: no database of places is configured. */
  readonly placeOf?: PlaceLookup | null;
  readonly traffic: HttpTraffic | StreamTraffic;
}

/** Requests; ALPN offers h2 and http/1.1. */
export interface HttpTraffic {
  readonly kind: 'http';
  readonly keepAliveTimeoutMs: number;
  /** HTTP/2 clients are told that they may open WebSockets (RFC 8441): some backend speaks HTTP/1.1. */
  readonly webSockets: boolean;
  readonly onExchange: (exchange: Exchange) => void;
}

/** Bytes of a protocol that the proxy does not know; ALPN is not answered. */
export interface StreamTraffic {
  readonly kind: 'stream';
  readonly onStream: (stream: ClientStream) => void;
}

/** How a target proxy ends TLS. */
export interface TlsTermination {
  readonly sslPolicyName: string | null;
  /** What the engines enforce, for the choice of certificate and for predictions. */
  readonly policy: EffectivePolicy;
  /** Evaluated on every hello, never enforced. */
  readonly shadowPolicies: readonly EffectivePolicy[];
  readonly certificates: ServedCertificates;
  /**
   * The ticket keys of a handshake at this version that offers a ticket of this key name; null: it gets no ticket and resumes nothing.
   * `version` null: the handshake is expected to fail.
   */
  ticketGeneration(
    certificate: CertificateEntry,
    version: TlsVersion | null,
    offeredKeyName: Buffer | null,
  ): TicketGeneration | null;
  /** Options for an engine's base context; the engine itself is made lazily, once per certificate and ticket keys. */
  engineOptions(certificate: CertificateEntry, tickets: TicketGeneration | null): SecureContextOptions;
  /** null: clients are not asked for certificates. */
  readonly clientAuthentication: ClientAuthentication | null;
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
  /** For every whole ClientHello, when its handshake is over, before or after the report of how it ended. */
  onHello(connection: ConnectionFacts, hello: ClientHello, observation: HelloObservation): void;
  /** Accepting stopped or started again because of file descriptors (EMFILE) or a limit. */
  onAcceptPaused(reason: string): void;
  /** A connection that broke HTTP framing before an exchange existed (400, 408, 413 were sent or nothing could be). */
  onBadRequest(connection: ConnectionFacts, error: ProxyError): void;
  /** An HTTP/2 session that was ended because of what its client did; its exchanges are aborted. */
  onSessionEnd(end: SessionEnd): void;
}

export type { HandshakeFailure };
