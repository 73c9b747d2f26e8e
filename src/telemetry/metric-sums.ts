import type { MetricFamily, MetricType } from './metric-snapshot.ts';

/**
 * One exposition for several processes. Counters and histograms are sums that also hold what processes counted that are gone, as last
 * told: they never go down. What a gauge of several processes means is its own matter: see `gaugeRule`.
 */
export class MetricSums {
  readonly #latest = new Map<number, readonly MetricFamily[]>();
  readonly #departed = new Map<string, Total>();

  /** The newest snapshot of a process; a snapshot has all that it counts. */
  update(id: number, families: readonly MetricFamily[]): void {
    this.#latest.set(id, families);
  }

  /** The process is gone: what it counted stays, what it had is gone with it. */
  depart(id: number): void {
    for (const family of this.#latest.get(id) ?? []) if (family.type !== 'gauge') add(this.#departed, family, 'sum');
    this.#latest.delete(id);
  }

  /** The Prometheus text format. `own`: of the process that is asked. */
  exposition(own: readonly MetricFamily[]): string {
    const totals = new Map<string, Total>();
    for (const family of own) add(totals, family, 'sum');
    for (const { name, help, type, samples } of this.#departed.values())
      add(totals, { name, help, type, samples }, 'sum');
    for (const families of this.#latest.values()) {
      for (const family of families) {
        const rule = family.type === 'gauge' ? gaugeRule(family.name) : 'sum';
        if (rule !== 'own') add(totals, family, rule);
      }
    }
    return [...totals.values()].map(textOf).join('\n\n').concat('\n');
  }
}

/**
 * own: the process that is asked knows it for all. max: one slow event loop, or one worker that has ejected an
 * endpoint, is what an operator has to see, and what all say of the configuration counts once. min: an endpoint is healthy
 * where every worker finds it so. sum: what each has a part of.
 */
export function gaugeRule(name: string): 'own' | 'max' | 'min' | 'sum' {
  if (OWN_GAUGES.some((prefix) => name.startsWith(prefix))) return 'own';
  if (name.startsWith('nodejs_eventloop_lag_') || MAX_GAUGES.has(name)) return 'max';
  return name === 'sallyport_backend_endpoint_healthy' ? 'min' : 'sum';
}

const MAX_GAUGES: ReadonlySet<string> = new Set([
  'sallyport_backend_service_info',
  'sallyport_backend_endpoint_weight',
  'sallyport_backend_endpoint_ejected',
]);

interface Total {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  readonly samples: Map<string, number>;
}

function add(totals: Map<string, Total>, family: MetricFamily, rule: 'sum' | 'max' | 'min'): void {
  const { name, help, type } = family;
  const total = totals.get(name) ?? { name, help, type, samples: new Map<string, number>() };
  totals.set(name, total);
  if (total.type !== type) return; // of another build: there is none, but nothing may be added up that is not alike
  for (const [key, value] of family.samples) {
    const known = total.samples.get(key);
    if (known === undefined) total.samples.set(key, value);
    else total.samples.set(key, rule === 'sum' ? known + value : Math[rule](known, value));
  }
}

function textOf({ name, help, type, samples }: Total): string {
  const lines = [`# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`, `# TYPE ${name} ${type}`];
  for (const [key, value] of samples) lines.push(`${key} ${valueText(value)}`);
  return lines.join('\n');
}

function valueText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return value > 0 ? '+Inf' : value < 0 ? '-Inf' : 'NaN';
}

const OWN_GAUGES = [
  'sallyport_config_',
  'sallyport_certificate_',
  'sallyport_crl_',
  'sallyport_draining',
  'sallyport_workers',
  'sallyport_build_info',
  'process_start_time_seconds', // of the workers it differs, and a scraper that sees it jump takes counters for reset
  'process_max_fds',
  'nodejs_version_info',
];
