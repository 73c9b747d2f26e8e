import type { Clock } from '../base/clock.ts';
import type { ProxyError } from '../base/errors.ts';
import type { BackendMetrics } from './backend-metrics.ts';
import { BackendRefusals, type RefusedVerdict, refusedVerdict } from './backend-refusals.ts';
import type { Log } from './log.ts';

/** What backends report beside the exchanges (the backend room's BackendEvents): counted, and logged where it is the state of an endpoint. */
export class BackendTelemetry {
  readonly refusals = new BackendRefusals();
  readonly #metrics: BackendMetrics;
  readonly #log: Log;
  readonly #clock: Clock;
  /** By service and endpoint, both of the configuration. */
  readonly #health = new Map<string, Map<string, boolean>>();

  constructor(metrics: BackendMetrics, log: Log, clock: Clock) {
    this.#metrics = metrics;
    this.#log = log;
    this.#clock = clock;
  }

  onConnect(service: string, facts: ConnectionFacts): void {
    this.#metrics.onConnect(service, facts);
    if (facts.tls === null || facts.tls.rule === null) this.refusals.accepted(service, facts.endpoint);
  }

  onConnectFailure(service: string, endpoint: string, error: ProxyError): void {
    this.#metrics.onConnectFailure(service, endpoint, error);
    const verdict = refusedVerdict(error);
    if (verdict !== null) this.refusals.refused(service, endpoint, verdict, true, this.#clock.wallMs());
  }

  onClose(service: string, endpoint: string, reason: string): void {
    this.#metrics.onClose(service, endpoint, reason);
  }

  /** Not logged by itself: each request's line has the verdict. */
  onReportOnlyFailure(service: string, endpoint: string, verdict: RefusedVerdict): void {
    this.#metrics.onReportOnlyFailure(service, endpoint, verdict);
    this.refusals.refused(service, endpoint, verdict, false, this.#clock.wallMs());
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

  /** Never a stranger's doing alone: somebody has changed a name of the configuration. */
  onProhibitedAddress(service: string, name: string, address: string, reason: string): void {
    this.#log.warn('the name of an endpoint leads where it must not: that address is not used', {
      backendService: service,
      name,
      address,
      reason,
    });
  }

  onEjection(service: string, endpoint: string, cause: string | null, forMs: number): void {
    this.#metrics.onEjection(service, endpoint, cause);
    const where = { backendService: service, backend: endpoint };
    if (cause === null) this.#log.info('endpoint is no longer ejected', where);
    else this.#log.warn('endpoint is ejected', { ...where, cause, forMs });
  }

  /** Not logged by itself: each refused request has its line. */
  onCircuitBreak(service: string, limit: string): void {
    this.#metrics.onCircuitBreak(service, limit);
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

/** What is read of the backend room's BackendConnectionFacts. */
interface ConnectionFacts {
  readonly endpoint: string;
  /** `rule`: by which its certificate would be refused. */
  readonly tls: { readonly rule: string | null } | null;
}
