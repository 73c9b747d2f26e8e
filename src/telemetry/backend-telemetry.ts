import type { ProxyError } from '../base/errors.ts';
import type { BackendMetrics } from './backend-metrics.ts';
import type { Log } from './log.ts';

/** What backends report beside the exchanges (the backend room's BackendEvents): counted, and logged where health changes. */
export class BackendTelemetry {
  readonly #metrics: BackendMetrics;
  readonly #log: Log;
  /** By service and endpoint, both of the configuration. */
  readonly #health = new Map<string, Map<string, boolean>>();

  constructor(metrics: BackendMetrics, log: Log) {
    this.#metrics = metrics;
    this.#log = log;
  }

  onConnect(service: string, facts: { readonly tls: object | null }): void {
    this.#metrics.onConnect(service, facts);
  }

  onConnectFailure(service: string, endpoint: string, error: ProxyError): void {
    this.#metrics.onConnectFailure(service, endpoint, error);
  }

  onClose(service: string, endpoint: string, reason: string): void {
    this.#metrics.onClose(service, endpoint, reason);
  }

  /** Not logged by itself: each request's line has the verdict. */
  onReportOnlyFailure(service: string, endpoint: string, verdict: { readonly statusDetails: string }): void {
    this.#metrics.onReportOnlyFailure(service, endpoint, verdict);
  }

  /** Once for each connection: an operator who revokes a certificate wants to see it gone. */
  onRevoked(
    service: string,
    endpoint: string,
    { statusDetails, rule, reason }: { readonly statusDetails: string; readonly rule: string; readonly reason: string },
  ): void {
    this.#log.warn('a new CRL ends a backend connection', {
      backendService: service,
      backend: endpoint,
      statusDetails,
      rule,
      reason,
    });
  }

  onHealth(service: string, endpoint: string, isHealthy: boolean | null, reason: string): void {
    this.#metrics.onHealth(service, endpoint, isHealthy);
    const known = this.#health.get(service) ?? new Map<string, boolean>();
    const before = known.get(endpoint);
    if (isHealthy === null) known.delete(endpoint);
    else known.set(endpoint, isHealthy);
    if (known.size === 0) this.#health.delete(service);
    else this.#health.set(service, known);
    if (isHealthy === null || before === undefined || before === isHealthy) return;
    if (isHealthy) this.#log.info('endpoint is healthy again', { backendService: service, backend: endpoint });
    else this.#log.warn('endpoint is unhealthy', { backendService: service, backend: endpoint, reason });
  }
}
