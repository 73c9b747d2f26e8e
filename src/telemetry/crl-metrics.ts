import type { Registry } from 'prom-client';
import { Family } from './series.ts';

/** What is exported of the CRLs of a trust config; a LinkedTrustConfig is one. */
export interface CheckedTrustConfig {
  readonly name: string;
  readonly revocation: { readonly crls: readonly { readonly nextUpdateMs: number }[] } | null;
}

/** The CRLs that are in use. */
export class CrlMetrics {
  readonly #nextUpdate: Family;

  constructor(registry: Registry) {
    this.#nextUpdate = new Family('gauge', registry, {
      name: 'sallyport_crl_next_update_timestamp_seconds',
      help: 'When the first of the CRLs of a trust config expires: what only it can clear is refused from then on.',
      labels: ['name'],
    });
  }

  /** Replaces the whole set: at the start and after each successful reload. */
  loaded(trustConfigs: readonly CheckedTrustConfig[]): void {
    this.#nextUpdate.clear();
    for (const { name, revocation } of trustConfigs) {
      if (revocation === null) continue;
      this.#nextUpdate.series(name).value = Math.min(...revocation.crls.map((crl) => crl.nextUpdateMs)) / 1000;
    }
  }
}
