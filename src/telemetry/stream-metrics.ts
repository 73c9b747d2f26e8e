import type { Registry } from 'prom-client';
import type { ClientStream } from '../http/client-stream.ts';
import type { StreamCounters, StreamRecord } from '../http/stream-record.ts';
import type { RequestMetrics } from './request-metrics.ts';
import { Family } from './series.ts';

/** What target SSL and TCP proxies carry; the names follow loadbalancing.googleapis.com/tcp_ssl_proxy. */
export class StreamMetrics {
  readonly #opened: Family;
  readonly #open: Family;
  readonly #closed: Family;
  readonly #received: Family;
  readonly #sent: Family;
  readonly #requests: RequestMetrics;

  constructor(registry: Registry, requests: RequestMetrics) {
    this.#requests = requests;
    this.#opened = new Family('counter', registry, {
      name: 'sallyport_tcp_ssl_proxy_new_connections_total',
      help: 'Client connections of target SSL and TCP proxies, counted when their bytes may flow.',
      labels: ['proxy', 'service'],
    });
    this.#open = new Family('gauge', registry, {
      name: 'sallyport_tcp_ssl_proxy_open_connections',
      help: 'Client connections of target SSL and TCP proxies that are open.',
      labels: ['proxy', 'service'],
    });
    this.#closed = new Family('counter', registry, {
      name: 'sallyport_tcp_ssl_proxy_closed_connections_total',
      help: 'Client connections of target SSL and TCP proxies that have ended, in order or not.',
      labels: ['proxy', 'service'],
    });
    this.#received = new Family('counter', registry, {
      name: 'sallyport_tcp_ssl_proxy_ingress_bytes_total',
      help: 'Bytes from clients of target SSL and TCP proxies, while they flow; without TLS and PROXY headers.',
      labels: ['proxy', 'service'],
    });
    this.#sent = new Family('counter', registry, {
      name: 'sallyport_tcp_ssl_proxy_egress_bytes_total',
      help: 'Bytes to clients of target SSL and TCP proxies, while they flow; without TLS.',
      labels: ['proxy', 'service'],
    });
  }

  started({ connection }: ClientStream, service: string): StreamCounters {
    const proxy = connection.targetProxy;
    this.#opened.series(proxy, service).value++;
    this.#open.series(proxy, service).value++;
    return { received: this.#received.series(proxy, service), sent: this.#sent.series(proxy, service) };
  }

  finished({ stream, backendService, statusDetails }: StreamRecord): void {
    const proxy = stream.connection.targetProxy;
    this.#open.series(proxy, backendService).value--;
    this.#closed.series(proxy, backendService).value++;
    this.#requests.ended(proxy, statusDetails);
  }
}
