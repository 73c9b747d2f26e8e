import type { Registry } from 'prom-client';
import type { ProxyError } from '../base/errors.ts';
import { refusedVerdict } from './backend-refusals.ts';
import { Family } from './series.ts';

/** Connections to backends (the backend room's BackendEvents). Requests to them are counted with the exchange that made them (request-metrics.ts). */
export class BackendMetrics {
  readonly #handshakes: Family;
  readonly #verifyFailures: Family;
  readonly #connections: Family;
  readonly #retired: Family;
  readonly #trailersDropped: Family;
  readonly #reportOnlyFailures: Family;
  readonly #healthy: Family;
  readonly #ejected: Family;
  readonly #ejections: Family;
  readonly #circuitBreaks: Family;

  constructor(registry: Registry) {
    this.#handshakes = new Family('counter', registry, {
      name: 'sallyport_backend_handshakes_total',
      help: 'TLS handshakes with backends, the verdict on the certificate included.',
      labels: ['service', 'result'],
    });
    this.#verifyFailures = new Family('counter', registry, {
      name: 'sallyport_backend_verify_failures_total',
      help: 'Backend certificates that were refused, by statusDetails word.',
      labels: ['service', 'reason'],
    });
    this.#connections = new Family('gauge', registry, {
      name: 'sallyport_backend_connections',
      help: 'Open connections to backends.',
      labels: ['service', 'state'],
    });
    this.#retired = new Family('counter', registry, {
      name: 'sallyport_backend_connections_retired_total',
      help: 'Connections to backends that ended, by cause; expired, revocation, retired, client-certificate, trust and tls-settings are this proxy turning them over.',
      labels: ['service', 'cause'],
    });
    this.#trailersDropped = new Family('counter', registry, {
      name: 'sallyport_backend_request_trailers_dropped_total',
      help: 'Requests whose trailers could not be passed on because the backend speaks HTTP/1.1.',
      labels: ['service'],
    });
    this.#reportOnlyFailures = new Family('counter', registry, {
      name: 'sallyport_backend_verify_report_only_failures_total',
      help: 'Backend certificates that would be refused and were used, because enforcement is REPORT_ONLY; by statusDetails word.',
      labels: ['service', 'reason'],
    });
    this.#healthy = new Family('gauge', registry, {
      name: 'sallyport_backend_endpoint_healthy',
      help: 'Whether an endpoint with a health check gets requests: 1 or 0.',
      labels: ['service', 'endpoint'],
    });
    this.#ejected = new Family('gauge', registry, {
      name: 'sallyport_backend_endpoint_ejected',
      help: 'Whether outlier detection keeps requests from an endpoint: 1 or 0; absent until it has once.',
      labels: ['service', 'endpoint'],
    });
    this.#ejections = new Family('counter', registry, {
      name: 'sallyport_backend_ejections_total',
      help: 'Ejections of endpoints by outlier detection, by cause.',
      labels: ['service', 'cause'],
    });
    this.#circuitBreaks = new Family('counter', registry, {
      name: 'sallyport_backend_circuit_breaks_total',
      help: 'Requests and retries that circuitBreakers refused, by limit.',
      labels: ['service', 'limit'],
    });
  }

  /** A connection is up and its certificate, if any, accepted. */
  onConnect(service: string, facts: { readonly tls: object | null }): void {
    this.#connections.series(service, 'open').value++;
    if (facts.tls !== null) this.#handshakes.series(service, 'success').value++;
  }

  onConnectFailure(service: string, _endpoint: string, error: ProxyError): void {
    const refused = refusedVerdict(error);
    if (refused !== null) this.#verifyFailures.series(service, refused.statusDetails).value++;
    // What failed before TLS (refused, unreachable, no address) is no handshake.
    if (refused !== null || HANDSHAKE_PHASES.has(error.phase)) this.#handshakes.series(service, 'failure').value++;
  }

  onClose(service: string, _endpoint: string, reason: string): void {
    this.#connections.series(service, 'open').value--;
    this.#retired.series(service, reason).value++;
  }

  onReportOnlyFailure(service: string, _endpoint: string, verdict: { readonly statusDetails: string }): void {
    this.#reportOnlyFailures.series(service, verdict.statusDetails).value++;
  }

  /** Counted when it closes. */
  onRevoked(): void {}

  /** Logged, not counted. */
  onProhibitedAddress(): void {}

  /** null: it is not probed any more. */
  onHealth(service: string, endpoint: string, isHealthy: boolean | null): void {
    if (isHealthy === null) this.#healthy.remove(service, endpoint);
    else this.#healthy.series(service, endpoint).value = isHealthy ? 1 : 0;
  }

  /** `cause` null: it is back, or gone. */
  onEjection(service: string, endpoint: string, cause: string | null): void {
    this.#ejected.series(service, endpoint).value = cause === null ? 0 : 1;
    if (cause !== null) this.#ejections.series(service, cause).value++;
  }

  onCircuitBreak(service: string, limit: string): void {
    this.#circuitBreaks.series(service, limit).value++;
  }

  onTrailersDropped(service: string): void {
    this.#trailersDropped.series(service).value++;
  }
}

const HANDSHAKE_PHASES: ReadonlySet<string> = new Set(['tls', 'verify']);
