import type { Clock } from '../base/clock.ts';
import type { ProxyError } from '../base/errors.ts';
import type { ConnectionFacts, TlsFacts } from '../http/exchange.ts';
import type { ClientHello } from '../tls/client-hello.ts';
import { helloOffer } from '../tls/hello-offer.ts';
import type { AccessLog } from './access-log.ts';
import type { HandshakeFailure } from './handshake-failure.ts';
import type { HandshakeLog } from './handshake-log.ts';
import type { HandshakeMetrics } from './handshake-metrics.ts';
import type { HelloMetrics } from './hello-metrics.ts';
import type { HelloObservation } from './hello-observation.ts';
import type { Log } from './log.ts';
import { MispredictionLog } from './misprediction-log.ts';
import type { RecentFailures } from './recent-failures.ts';
import type { RequestMetrics } from './request-metrics.ts';
import type { SessionEnd } from './session-end.ts';
import type { ShadowClients } from './shadow-clients.ts';

export interface FrontendTelemetryParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly accessLog: AccessLog;
  readonly handshakeLog: HandshakeLog;
  readonly recentFailures: RecentFailures;
  readonly shadowClients: ShadowClients;
  readonly handshakes: HandshakeMetrics;
  readonly hellos: HelloMetrics;
  readonly requests: RequestMetrics;
}

/** Receives what the frontend reports (its FrontendEvents) and tells each log and instrument. */
export class FrontendTelemetry {
  readonly #parts: FrontendTelemetryParts;
  readonly #mispredictions: MispredictionLog;

  constructor(parts: FrontendTelemetryParts) {
    this.#parts = parts;
    this.#mispredictions = new MispredictionLog(parts.log, parts.clock);
  }

  onHandshake(connection: ConnectionFacts, tls: TlsFacts, durationMs: number): void {
    this.#parts.handshakeLog.succeeded(connection, tls, durationMs); // first: the hello is let go once it is fingerprinted
    this.#parts.handshakes.succeeded(connection, tls, durationMs);
  }

  onHandshakeFailure(failure: HandshakeFailure): void {
    this.#parts.handshakes.failed(failure);
    this.#parts.handshakeLog.failed(failure);
    this.#parts.recentFailures.add(failure, this.#parts.clock.wallMs());
  }

  onHello(connection: ConnectionFacts, hello: ClientHello, observation: HelloObservation): void {
    const { hellos, shadowClients, clock } = this.#parts;
    const proxy = connection.targetProxy;
    hellos.offered(proxy, hello);
    for (const shadow of observation.shadows) {
      hellos.shadowed(proxy, shadow);
      // A client that is refused today has nothing to lose.
      if (shadow.refusal === null || observation.outcome === 'failed') continue;
      shadowClients.add(connection, hello, shadow.policy, shadow.refusal, clock.wallMs());
    }
    if (observation.misprediction === null) return;
    hellos.mispredicted(proxy);
    this.#mispredictions.add(proxy, observation.misprediction, () => helloOffer(hello));
  }

  onAcceptPaused(reason: string): void {
    this.#parts.handshakes.acceptPaused(reason);
    this.#parts.log.warn('accepting connections paused or resumed', { reason });
  }

  onSessionEnd({ connection, reason, detail }: SessionEnd): void {
    const { remoteAddress: remoteIp, targetProxy, forwardingRule } = connection;
    this.#parts.requests.sessionEnded(connection, reason);
    this.#parts.log.info('HTTP/2 session ended', { reason, detail, remoteIp, targetProxy, forwardingRule });
  }

  onBadRequest(connection: ConnectionFacts, error: ProxyError): void {
    this.#parts.requests.badRequest(connection, error);
    this.#parts.accessLog.badRequest(connection, error);
  }
}
