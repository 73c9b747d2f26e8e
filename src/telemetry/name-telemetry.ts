import type { Registry } from 'prom-client';
import type { Log } from './log.ts';
import { Family } from './series.ts';

/** Look-ups of the names of endpoints (the backend room's NameEvents). The names are the configuration's. */
export class NameMetrics {
  readonly #lookups: Family;
  readonly #addresses: Family;

  constructor(registry: Registry) {
    this.#lookups = new Family('counter', registry, {
      name: 'sallyport_dns_lookups_total',
      help: 'Look-ups of the names of endpoints.',
      labels: ['name', 'result'],
    });
    this.#addresses = new Family('gauge', registry, {
      name: 'sallyport_dns_addresses',
      help: 'Addresses in use of the name of an endpoint; after failed look-ups those of the last one that worked.',
      labels: ['name'],
    });
  }

  onLookup(name: string, addresses: number, error: string): void {
    this.#lookups.series(name, error === '' ? 'success' : 'failure').value++;
    this.#addresses.series(name).value = addresses;
  }

  onForgotten(name: string): void {
    this.#addresses.remove(name);
  }
}

/** Counts each look-up, and logs what changes: addresses, the first failure, and that it is over. */
export class NameTelemetry {
  readonly #metrics: NameMetrics;
  readonly #log: Log;
  readonly #known = new Map<string, { readonly addresses: string; readonly error: string }>();

  constructor(metrics: NameMetrics, log: Log) {
    this.#metrics = metrics;
    this.#log = log;
  }

  onLookup(name: string, addresses: readonly string[], error: string): void {
    this.#metrics.onLookup(name, addresses.length, error);
    const before = this.#known.get(name);
    const now = { addresses: addresses.join(), error };
    this.#known.set(name, now);
    if (error !== '' && before?.error !== error) {
      const message =
        addresses.length > 0
          ? 'the name of an endpoint cannot be looked up: its last addresses stay in use'
          : 'the name of an endpoint has no address';
      this.#log.warn(message, { name, error, addresses });
    } else if (error === '' && before !== undefined && (before.error !== '' || before.addresses !== now.addresses)) {
      this.#log.info('the name of an endpoint leads to other addresses, or can be looked up again', {
        name,
        addresses,
      });
    }
  }

  onForgotten(name: string): void {
    this.#metrics.onForgotten(name);
    this.#known.delete(name);
  }
}
