import type { Clock } from '../base/clock.ts';
import type { ProxyError } from '../base/errors.ts';
import type { ConnectionFacts, TlsFacts } from '../http/exchange.ts';
import type { AccessLog } from './access-log.ts';
import type { HandshakeFailure } from './handshake-failure.ts';
import type { HandshakeLog } from './handshake-log.ts';
import type { HandshakeMetrics } from './handshake-metrics.ts';
import type { Log } from './log.ts';
import type { RecentFailures } from './recent-failures.ts';
import type { RequestMetrics } from './request-metrics.ts';

export interface FrontendTelemetryParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly accessLog: AccessLog;
  readonly handshakeLog: HandshakeLog;
  readonly recentFailures: RecentFailures;
  readonly handshakes: HandshakeMetrics;
  readonly requests: RequestMetrics;
}

/** Receives what the frontend reports (its FrontendEvents) and tells each log and instrument. */
export class FrontendTelemetry {
  readonly #parts: FrontendTelemetryParts;

  constructor(parts: FrontendTelemetryParts) {
    this.#parts = parts;
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

  onAcceptPaused(reason: string): void {
    this.#parts.handshakes.acceptPaused(reason);
    this.#parts.log.warn('accepting connections paused or resumed', { reason });
  }

  onBadRequest(connection: ConnectionFacts, error: ProxyError): void {
    this.#parts.requests.badRequest(connection, error);
    this.#parts.accessLog.badRequest(connection, error);
  }
}
