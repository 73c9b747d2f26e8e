import type { Registry } from 'prom-client';
import type { ConnectionFacts, TlsFacts } from '../http/exchange.ts';
import type { CertificateMetrics } from './certificate-metrics.ts';
import type { HandshakeFailure } from './handshake-failure.ts';
import { Family, HistogramFamily } from './series.ts';

/** What happens at the client-side TLS door. */
export class HandshakeMetrics {
  readonly #handshakes: Family;
  readonly #failures: Family;
  readonly #durations: HistogramFamily;
  readonly #connections: Family;
  readonly #sni: Family;
  readonly #acceptPauses: Family;
  readonly #certificates: CertificateMetrics;

  constructor(registry: Registry, certificates: CertificateMetrics) {
    this.#certificates = certificates;
    this.#handshakes = new Family('counter', registry, {
      name: 'sallyport_handshakes_total',
      help: 'Client TLS handshakes that ended, one way or the other.',
      labels: ['proxy', 'result'],
    });
    this.#failures = new Family('counter', registry, {
      name: 'sallyport_handshake_failures_total',
      help: 'Failed client TLS handshakes by reason and by who ended them.',
      labels: ['proxy', 'reason', 'side'],
    });
    this.#durations = new HistogramFamily(
      registry,
      {
        name: 'sallyport_handshake_duration_seconds',
        help: 'Accept to the end of the handshake; successful ones only.',
        labels: ['proxy', 'resumed'],
      },
      HANDSHAKE_BUCKETS_SECONDS,
    );
    this.#connections = new Family('counter', registry, {
      name: 'sallyport_tls_connections_total',
      help: 'Client TLS connections by what was negotiated; group is predicted, empty where it cannot be, alpn is empty where none was.',
      labels: ['proxy', 'version', 'cipher', 'group', 'alpn'],
    });
    this.#sni = new Family('counter', registry, {
      name: 'sallyport_sni_total',
      help: 'Client TLS connections by how the served certificate covers the server name: exact, wildcard, none, or absent (no SNI sent).',
      labels: ['proxy', 'match'],
    });
    this.#acceptPauses = new Family('counter', registry, {
      name: 'sallyport_accept_pauses_total',
      help: 'Times that accepting stopped or started again, by why.',
      labels: ['reason'],
    });
  }

  succeeded(connection: ConnectionFacts, tls: TlsFacts, durationMs: number): void {
    const proxy = connection.targetProxy;
    this.#handshakes.series(proxy, 'success').value++;
    this.#durations.series(proxy, String(tls.resumed)).observe(durationMs / 1000);
    this.#connections.series(proxy, tls.protocol, tls.cipher, tls.group ?? '', tls.alpn ?? '').value++;
    const match = tls.sni === null ? 'absent' : this.#certificates.matchOf(tls.certificate, tls.sni);
    this.#sni.series(proxy, match).value++;
  }

  failed(failure: HandshakeFailure): void {
    this.#handshakes.series(failure.targetProxy, 'failure').value++;
    this.#failures.series(failure.targetProxy, failure.reason, failure.side).value++;
  }

  acceptPaused(reason: string): void {
    this.#acceptPauses.series(reason).value++;
  }
}

const HANDSHAKE_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]; // 10 s is the deadline
