import { Registry } from 'prom-client';
import { BackendMetrics } from './backend-metrics.ts';
import { BalanceMetrics } from './balance-metrics.ts';
import { CertificateMetrics } from './certificate-metrics.ts';
import { CrlMetrics } from './crl-metrics.ts';
import { HandshakeMetrics } from './handshake-metrics.ts';
import { HelloMetrics } from './hello-metrics.ts';
import { NameMetrics } from './name-telemetry.ts';
import { countDroppedLines, ProcessMetrics } from './process-metrics.ts';
import { RequestMetrics } from './request-metrics.ts';
import { StreamMetrics } from './stream-metrics.ts';

/**
 * All instruments in one registry; their names and labels are the outer interface. A label is never a raw SNI, path or
 * address (strangers choose those).
 */
export class Metrics {
  readonly requests: RequestMetrics;
  readonly streams: StreamMetrics;
  readonly handshakes: HandshakeMetrics;
  readonly hellos: HelloMetrics;
  readonly backends: BackendMetrics;
  readonly balance: BalanceMetrics;
  readonly names: NameMetrics;
  readonly certificates: CertificateMetrics;
  readonly crls: CrlMetrics;
  readonly process: ProcessMetrics;
  readonly #registry = new Registry();

  constructor(version: string) {
    this.requests = new RequestMetrics(this.#registry);
    this.streams = new StreamMetrics(this.#registry, this.requests);
    this.certificates = new CertificateMetrics(this.#registry);
    this.crls = new CrlMetrics(this.#registry);
    this.handshakes = new HandshakeMetrics(this.#registry, this.certificates);
    this.hellos = new HelloMetrics(this.#registry);
    this.backends = new BackendMetrics(this.#registry);
    this.balance = new BalanceMetrics(this.#registry);
    this.names = new NameMetrics(this.#registry);
    this.process = new ProcessMetrics(this.#registry, version);
  }

  /** Counts what these writers drop; call once. */
  watchWriters(writers: readonly { readonly droppedLines: number }[]): void {
    countDroppedLines(this.#registry, () => writers);
  }

  /** The Prometheus text format. */
  exposition(): Promise<string> {
    return this.#registry.metrics();
  }

  /** For MetricSums of another process. */
  async snapshot(): Promise<string> {
    return JSON.stringify(await this.#registry.getMetricsAsJSON());
  }

  get contentType(): string {
    return this.#registry.contentType;
  }
}
