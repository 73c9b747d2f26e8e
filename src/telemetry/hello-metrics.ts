// hot path: for every whole ClientHello.
import type { Registry } from 'prom-client';
import type { ClientHello } from '../tls/client-hello.ts';
import { HELLO_FEATURES, helloFeatures } from '../tls/hello-features.ts';
import type { ShadowVerdict } from '../tls/shadow-policies.ts';
import { Family, type Series } from './series.ts';

/** What clients offer, and what predictions say of it. */
export class HelloMetrics {
  readonly #offers: Family;
  readonly #shadow: Family;
  readonly #mispredictions: Family;
  /** By proxy, in the order of HELLO_FEATURES. */
  readonly #offersOfProxy = new Map<string, readonly Series[]>();

  constructor(registry: Registry) {
    this.#offers = new Family('counter', registry, {
      name: 'sallyport_client_hello_offers_total',
      help: 'Complete ClientHellos, of successful and failed handshakes, by what they offer; one hello counts under each of its features.',
      labels: ['proxy', 'feature'],
    });
    this.#shadow = new Family('counter', registry, {
      name: 'sallyport_ssl_policy_shadow_total',
      help: 'What an SSL policy that is not enforced would have done with a complete ClientHello: verdict accept, or refuse with a reason.',
      labels: ['proxy', 'policy', 'verdict', 'reason'],
    });
    this.#mispredictions = new Family('counter', registry, {
      name: 'sallyport_ssl_policy_prediction_mismatch_total',
      help: 'Full handshakes in which OpenSSL did something else than was predicted from hello and policy.',
      labels: ['proxy'],
    });
  }

  offered(proxy: string, hello: ClientHello): void {
    const series = this.#offersOfProxy.get(proxy) ?? this.#startOffers(proxy);
    const features = helloFeatures(hello);
    for (let i = 0; i < series.length; i++) if ((features & (1 << i)) !== 0) series[i]!.value++;
  }

  shadowed(proxy: string, { policy, refusal }: ShadowVerdict): void {
    const verdict = refusal === null ? 'accept' : 'refuse';
    this.#shadow.series(proxy, policy, verdict, refusal === null ? '' : refusal.reason).value++;
  }

  mispredicted(proxy: string): void {
    this.#mispredictions.series(proxy).value++;
  }

  /** Every series from the first hello on, at 0: a rate over one that appears with its first value misses it. */
  #startOffers(proxy: string): readonly Series[] {
    const series = HELLO_FEATURES.map((feature) => this.#offers.series(proxy, feature));
    this.#offersOfProxy.set(proxy, series);
    this.#mispredictions.series(proxy);
    return series;
  }
}
