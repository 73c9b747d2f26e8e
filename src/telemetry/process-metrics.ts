import { Counter, collectDefaultMetrics, type Registry } from 'prom-client';
import { Family, type Series } from './series.ts';

/** The program itself: its build, its configuration, its drain, and prom-client's own process metrics. */
export class ProcessMetrics {
  readonly #reloads: Family;
  readonly #lastReloadSuccessful: Series;
  readonly #lastReloadSuccess: Series;
  readonly #draining: Series;
  readonly #workers: Family;
  readonly #workersEnded: Family;

  constructor(registry: Registry, version: string) {
    this.#reloads = new Family('counter', registry, {
      name: 'sallyport_config_reloads_total',
      help: 'Configuration reloads after the start.',
      labels: ['result'],
    });
    this.#lastReloadSuccessful = new Family('gauge', registry, {
      name: 'sallyport_config_last_reload_successful',
      help: '1 when the newest configuration runs, 0 when it was refused and an older one does.',
      labels: [],
    }).series();
    this.#lastReloadSuccess = new Family('gauge', registry, {
      name: 'sallyport_config_last_reload_success_timestamp_seconds',
      help: 'When the running configuration was loaded.',
      labels: [],
    }).series();
    this.#draining = new Family('gauge', registry, {
      name: 'sallyport_draining',
      help: '1 from SIGTERM to the end.',
      labels: [],
    }).series();
    this.#workers = new Family('gauge', registry, {
      name: 'sallyport_workers',
      help: 'Worker processes; running are those that carry traffic under the newest configuration. Absent in a single process.',
      labels: ['state'],
    });
    this.#workersEnded = new Family('counter', registry, {
      name: 'sallyport_workers_ended_total',
      help: 'Worker processes that ended unasked, by cause, and were replaced.',
      labels: ['cause'],
    });
    new Family('gauge', registry, {
      name: 'sallyport_build_info',
      help: 'Always 1.',
      labels: ['version', 'node', 'openssl'],
    }).series(version, process.versions.node, process.versions.openssl ?? '').value = 1;
    this.#reloads.series('success');
    this.#reloads.series('failure');
    collectDefaultMetrics({ register: registry });
    for (const name of REFUSED_BY_PROMTOOL) registry.removeSingleMetric(name);
  }

  /** The first configuration runs. */
  configurationLoaded(wallMs: number): void {
    this.#lastReloadSuccessful.value = 1;
    this.#lastReloadSuccess.value = wallMs / 1000;
  }

  reloaded(result: 'success' | 'failure', wallMs: number): void {
    this.#reloads.series(result).value++;
    if (result === 'success') this.configurationLoaded(wallMs);
    else this.#lastReloadSuccessful.value = 0;
  }

  workers(running: number, starting: number): void {
    this.#workers.series('running').value = running;
    this.#workers.series('starting').value = starting;
    for (const cause of WORKER_END_CAUSES) this.#workersEnded.series(cause);
  }

  workerEnded(cause: WorkerEndCause): void {
    this.#workersEnded.series(cause).value++;
  }

  drainStarted(): void {
    this.#draining.value = 1;
  }
}

/** crashed: by itself or by a signal; hung: its event loop stood; refused: it could not start; misbehaved: it sent what no worker sends. */
export type WorkerEndCause = (typeof WORKER_END_CAUSES)[number];

/** Lines that the log and the access log lost; read when scraped. */
export function countDroppedLines(
  registry: Registry,
  writers: () => readonly { readonly droppedLines: number }[],
): void {
  new Counter({
    name: 'sallyport_log_lines_dropped_total',
    help: 'Log lines lost because the reader was too slow or a write failed.',
    registers: [registry],
    collect() {
      this.reset();
      this.inc(writers().reduce((sum, writer) => sum + writer.droppedLines, 0));
    },
  });
}

const WORKER_END_CAUSES = ['crashed', 'hung', 'refused', 'misbehaved'] as const;

// Gauges named _total, which `promtool check metrics` refuses.
const REFUSED_BY_PROMTOOL = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];
