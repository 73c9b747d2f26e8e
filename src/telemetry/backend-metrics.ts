import type { Registry } from 'prom-client';
import type { ProxyError } from '../base/errors.ts';
import { Family } from './series.ts';

/** Connections to backends (the backend room's BackendEvents). Requests to them are counted with the exchange that made them (request-metrics.ts). */
export class BackendMetrics {
  readonly #handshakes: Family;
  readonly #verifyFailures: Family;
  readonly #connections: Family;
  readonly #retired: Family;
  readonly #trailersDropped: Family;

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
      help: 'Connections to backends that ended, by cause; expired and retired are this proxy turning them over.',
      labels: ['service', 'cause'],
    });
    this.#trailersDropped = new Family('counter', registry, {
      name: 'sallyport_backend_request_trailers_dropped_total',
      help: 'Requests whose trailers could not be passed on because the backend speaks HTTP/1.1.',
      labels: ['service'],
    });
  }

  /** A connection is up and its certificate, if any, accepted. */
  onConnect(service: string, facts: { readonly tls: object | null }): void {
    this.#connections.series(service, 'open').value++;
    if (facts.tls !== null) this.#handshakes.series(service, 'success').value++;
  }

  onConnectFailure(service: string, _endpoint: string, error: ProxyError): void {
    const refused = refusedVerdict(error.cause);
    if (refused !== null) this.#verifyFailures.series(service, refused.statusDetails).value++;
    // What failed before TLS (refused, unreachable, no address) is no handshake.
    if (refused !== null || HANDSHAKE_PHASES.has(error.phase)) this.#handshakes.series(service, 'failure').value++;
  }

  onClose(service: string, _endpoint: string, reason: string): void {
    this.#connections.series(service, 'open').value--;
    this.#retired.series(service, reason).value++;
  }

  onTrailersDropped(service: string): void {
    this.#trailersDropped.series(service).value++;
  }
}

/** A verdict of src/pki travels as the cause of the error it led to. */
function refusedVerdict(cause: unknown): { readonly statusDetails: string } | null {
  if (typeof cause !== 'object' || cause === null || !('ok' in cause) || cause.ok !== false) return null;
  return 'statusDetails' in cause && typeof cause.statusDetails === 'string'
    ? { statusDetails: cause.statusDetails }
    : null;
}

const HANDSHAKE_PHASES: ReadonlySet<string> = new Set(['tls', 'verify']);
