import { Gauge, type Registry } from 'prom-client';

/** How services share their requests, read when somebody scrapes: nothing is counted on the way of a request. */
export class BalanceMetrics {
  #read: () => readonly ServiceBalance[] = () => [];

  constructor(registry: Registry) {
    const forEach = (gauge: Gauge, report: (service: ServiceBalance) => void) => {
      gauge.reset();
      for (const service of this.#read()) report(service);
    };
    new Gauge({
      name: 'sallyport_backend_service_info',
      help: 'How the endpoints of a service are chosen; always 1.',
      labelNames: ['service', 'policy', 'affinity'],
      registers: [registry],
      collect() {
        forEach(this, ({ service, balance: { policy, affinity } }) => this.set({ service, policy, affinity }, 1));
      },
    });
    new Gauge({
      name: 'sallyport_backend_endpoint_weight',
      help: 'The share of an endpoint beside the others of its service; 0: drained.',
      labelNames: ['service', 'endpoint'],
      registers: [registry],
      collect() {
        forEach(this, ({ service, balance }) => {
          for (const { endpoint, weight } of balance.endpoints) this.set({ service, endpoint }, weight);
        });
      },
    });
    new Gauge({
      name: 'sallyport_backend_endpoint_in_flight',
      help: 'Exchanges that an endpoint has under way, or that wait for it.',
      labelNames: ['service', 'endpoint'],
      registers: [registry],
      collect() {
        forEach(this, ({ service, balance }) => {
          for (const { endpoint, inFlight } of balance.endpoints) this.set({ service, endpoint }, inFlight);
        });
      },
    });
  }

  /** `read`: the services of now. */
  watch(read: () => readonly ServiceBalance[]): void {
    this.#read = read;
  }
}

/** What is read of the admin server's BackendStatus. */
interface ServiceBalance {
  readonly service: string;
  readonly balance: {
    readonly policy: string;
    readonly affinity: string;
    readonly endpoints: readonly { readonly endpoint: string; readonly weight: number; readonly inFlight: number }[];
  };
}
