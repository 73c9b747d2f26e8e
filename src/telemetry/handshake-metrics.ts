// hot path: for every handshake.
import type { Registry } from 'prom-client';
import type { ConnectionFacts, TlsFacts } from '../http/exchange.ts';
import type { CertificateMetrics } from './certificate-metrics.ts';
import type { HandshakeFailure } from './handshake-failure.ts';
import { Family, HistogramFamily, type HistogramSeries, type Series } from './series.ts';

/** What happens at the client-side TLS door. */
export class HandshakeMetrics {
  readonly #handshakes: Family;
  readonly #failures: Family;
  readonly #durations: HistogramFamily;
  readonly #connections: Family;
  readonly #sni: Family;
  readonly #acceptPauses: Family;
  readonly #certificates: CertificateMetrics;
  /** Proxies are those of the configuration, and of what was configured before. */
  readonly #successes = new Map<string, Successes>();

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
    let successes = this.#successes.get(proxy);
    if (successes === undefined) {
      successes = new Successes(this.#handshakes.series(proxy, 'success'));
      this.#successes.set(proxy, successes);
    }
    successes.all.value++;
    if (tls.resumed) successes.resumed ??= this.#durations.series(proxy, 'true');
    else successes.full ??= this.#durations.series(proxy, 'false');
    (tls.resumed ? successes.resumed! : successes.full!).observe(durationMs / 1000);
    if (!isSameKind(successes.kind, tls)) successes.kind = this.#kindOf(proxy, tls);
    successes.kind!.connections.value++;
    const match = tls.sni === null ? 'absent' : this.#certificates.matchOf(tls.certificate, tls.sni);
    const sni = successes.sni[match] ?? this.#sni.series(proxy, match);
    successes.sni[match] = sni;
    sni.value++;
  }

  #kindOf(proxy: string, { protocol, cipher, group, alpn }: TlsFacts): Kind {
    const connections = this.#connections.series(proxy, protocol, cipher, group ?? '', alpn ?? '');
    return { protocol, cipher, group, alpn, connections };
  }

  failed(failure: HandshakeFailure): void {
    this.#handshakes.series(failure.targetProxy, 'failure').value++;
    this.#failures.series(failure.targetProxy, failure.reason, failure.side).value++;
  }

  acceptPaused(reason: string): void {
    this.#acceptPauses.series(reason).value++;
  }
}

/** The series of one proxy, as they were first needed. */
class Successes {
  readonly all: Series;
  full: HistogramSeries | null = null;
  resumed: HistogramSeries | null = null;
  /** Of the last handshake: most have the same. */
  kind: Kind | null = null;
  readonly sni: Partial<Record<'exact' | 'wildcard' | 'none' | 'absent', Series>> = {};

  constructor(all: Series) {
    this.all = all;
  }
}

interface Kind extends Pick<TlsFacts, 'protocol' | 'cipher' | 'group' | 'alpn'> {
  readonly connections: Series;
}

function isSameKind(kind: Kind | null, { protocol, cipher, group, alpn }: TlsFacts): boolean {
  return (
    kind !== null && kind.cipher === cipher && kind.group === group && kind.alpn === alpn && kind.protocol === protocol
  );
}

const HANDSHAKE_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]; // 10 s is the deadline
