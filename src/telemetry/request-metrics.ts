// hot path: two calls per request; series are found through nested maps and kept.
import type { Registry } from 'prom-client';
import type { ProxyError } from '../base/errors.ts';
import type { ConnectionFacts, Exchange } from '../http/exchange.ts';
import type { ExchangeRecord, MirrorResult } from '../http/exchange-record.ts';
import { Family, HistogramFamily, type HistogramSeries, type Series } from './series.ts';
import type { SessionEndReason } from './session-end.ts';

/** What the clients of a proxy asked and got, and which backend service answered. */
export class RequestMetrics {
  readonly #requests: Family;
  readonly #durations: HistogramFamily;
  readonly #inFlight: Family;
  readonly #requestBytes: Family;
  readonly #responseBytes: Family;
  readonly #statusDetails: Family;
  readonly #backendRequests: Family;
  readonly #backendDurations: HistogramFamily;
  readonly #backendRetries: Family;
  readonly #mirrored: Family;
  readonly #mirrors = new Map<string, Map<MirrorResult, Series>>();
  readonly #sessionEnds: Family;
  readonly #proxies = new Map<string, ProxySeries>();

  constructor(registry: Registry) {
    this.#requests = new Family('counter', registry, {
      name: 'sallyport_requests_total',
      help: 'Requests by what the client got; service is empty where none was routed to, method is other outside the IANA registry.',
      labels: ['proxy', 'service', 'method', 'code'],
    });
    this.#durations = new HistogramFamily(
      registry,
      {
        name: 'sallyport_request_duration_seconds',
        help: 'First request byte seen to last response byte handed over.',
        labels: ['proxy', 'service'],
      },
      DURATION_BUCKETS_SECONDS,
    );
    this.#inFlight = new Family('gauge', registry, {
      name: 'sallyport_requests_in_flight',
      help: 'Requests that have started and not finished.',
      labels: ['proxy'],
    });
    this.#requestBytes = new Family('counter', registry, {
      name: 'sallyport_request_bytes_total',
      help: 'Request body bytes from clients.',
      labels: ['proxy'],
    });
    this.#responseBytes = new Family('counter', registry, {
      name: 'sallyport_response_bytes_total',
      help: 'Response body bytes to clients.',
      labels: ['proxy'],
    });
    this.#statusDetails = new Family('counter', registry, {
      name: 'sallyport_status_details_total',
      help: 'Requests, and connections of target SSL and TCP proxies, by the statusDetails word of their log line.',
      labels: ['proxy', 'status_details'],
    });
    this.#backendRequests = new Family('counter', registry, {
      name: 'sallyport_backend_requests_total',
      help: 'Requests that were given to a backend service, by the status it answered; 0: no response head came.',
      labels: ['service', 'code'],
    });
    this.#backendDurations = new HistogramFamily(
      registry,
      {
        name: 'sallyport_backend_request_duration_seconds',
        help: 'First request byte sent to the backend to the last response byte from it.',
        labels: ['service'],
      },
      DURATION_BUCKETS_SECONDS,
    );
    this.#backendRetries = new Family('counter', registry, {
      name: 'sallyport_backend_retries_total',
      help: 'Attempts after the first one.',
      labels: ['service'],
    });
    this.#mirrored = new Family('counter', registry, {
      name: 'sallyport_backend_mirrored_requests_total',
      help: 'Copies of requests by what became of them: answered, truncatable (the response may have been cut), failed or dropped.',
      labels: ['service', 'result'],
    });
    this.#sessionEnds = new Family('counter', registry, {
      name: 'sallyport_http2_sessions_ended_total',
      help: 'HTTP/2 sessions of clients that were ended because of what the client did, by why.',
      labels: ['proxy', 'reason'],
    });
  }

  started(exchange: Exchange): void {
    this.#proxy(exchange.connection.targetProxy).inFlight.value++;
  }

  finished(record: ExchangeRecord): void {
    const { exchange } = record;
    const proxy = this.#proxy(exchange.connection.targetProxy);
    proxy.inFlight.value--;
    proxy.requestBytes.value += record.requestBytes;
    proxy.responseBytes.value += record.responseBytes;
    this.#statusSeries(proxy, record.statusDetails).value++;

    const name = record.backendService ?? '';
    const service = this.#service(proxy, name);
    this.#codeSeries(service, exchange.method, record.status).value++;
    service.duration.observe(record.latencyMs / 1000);
    if (service.backend === null || record.attempts === 0) return;
    // A status of ours in the client's hands means that none came from the backend.
    const answered = record.error === null || record.error.spec.status !== record.status;
    this.#backendCodeSeries(service.backend, name, answered ? record.status : 0).value++;
    service.backend.retries.value += record.attempts - 1;
    if (record.backendLatencyMs !== null) service.backend.duration.observe(record.backendLatencyMs / 1000);
  }

  mirrored(service: string, result: MirrorResult): void {
    let results = this.#mirrors.get(service);
    if (results === undefined) {
      results = new Map();
      this.#mirrors.set(service, results);
    }
    let series = results.get(result);
    if (series === undefined) {
      series = this.#mirrored.series(service, result);
      results.set(result, series);
    }
    series.value++;
  }

  /** An answer (or a closed connection) without an exchange: no head could be read. */
  badRequest(connection: ConnectionFacts, error: ProxyError): void {
    const proxy = this.#proxy(connection.targetProxy);
    this.#statusSeries(proxy, error.spec.statusDetails).value++;
    this.#codeSeries(this.#service(proxy, ''), '', error.spec.status).value++;
  }

  sessionEnded(connection: ConnectionFacts, reason: SessionEndReason): void {
    this.#sessionEnds.series(connection.targetProxy, reason).value++;
  }

  /** Something that is no request has a log line with this word. */
  ended(proxy: string, statusDetails: string): void {
    this.#statusDetails.series(proxy, statusDetails).value++;
  }

  #proxy(name: string): ProxySeries {
    let proxy = this.#proxies.get(name);
    if (proxy === undefined) {
      proxy = {
        name,
        inFlight: this.#inFlight.series(name),
        requestBytes: this.#requestBytes.series(name),
        responseBytes: this.#responseBytes.series(name),
        statusDetails: new Map(),
        services: new Map(),
      };
      this.#proxies.set(name, proxy);
    }
    return proxy;
  }

  #service(proxy: ProxySeries, name: string): ServiceSeries {
    let service = proxy.services.get(name);
    if (service === undefined) {
      service = {
        proxy: proxy.name,
        name,
        duration: this.#durations.series(proxy.name, name),
        backend: name === '' ? null : this.#backend(name),
        methods: new Map(),
      };
      proxy.services.set(name, service);
    }
    return service;
  }

  #backend(service: string): BackendSeries {
    return {
      duration: this.#backendDurations.series(service),
      retries: this.#backendRetries.series(service),
      codes: new Map(),
    };
  }

  #backendCodeSeries(backend: BackendSeries, service: string, status: number): Series {
    let series = backend.codes.get(status);
    if (series === undefined) {
      series = this.#backendRequests.series(service, code(status));
      backend.codes.set(status, series);
    }
    return series;
  }

  #statusSeries(proxy: ProxySeries, statusDetails: string): Series {
    let series = proxy.statusDetails.get(statusDetails);
    if (series === undefined) {
      series = this.#statusDetails.series(proxy.name, statusDetails);
      proxy.statusDetails.set(statusDetails, series);
    }
    return series;
  }

  #codeSeries(service: ServiceSeries, method: string, status: number): Series {
    const label = REGISTERED_METHODS.has(method) ? method : 'other';
    let codes = service.methods.get(label);
    if (codes === undefined) {
      codes = new Map();
      service.methods.set(label, codes);
    }
    let series = codes.get(status);
    if (series === undefined) {
      series = this.#requests.series(service.proxy, service.name, label, code(status));
      codes.set(status, series);
    }
    return series;
  }
}

interface ProxySeries {
  readonly name: string;
  readonly inFlight: Series;
  readonly requestBytes: Series;
  readonly responseBytes: Series;
  readonly statusDetails: Map<string, Series>;
  readonly services: Map<string, ServiceSeries>;
}

interface ServiceSeries {
  readonly proxy: string;
  readonly name: string;
  readonly duration: HistogramSeries;
  /** Shared by all proxies that route to it; null for the empty name. */
  readonly backend: BackendSeries | null;
  readonly methods: Map<string, Map<number, Series>>;
}

interface BackendSeries {
  readonly duration: HistogramSeries;
  readonly retries: Series;
  readonly codes: Map<number, Series>;
}

/** Three digits, 0 for none; a backend chooses them, so what is no status code shares one label. */
function code(status: number): string {
  return status === 0 || (status >= 100 && status <= 599) ? String(status) : 'other';
}

// IANA HTTP Method Registry (RFC 9110 section 16.1.1, RFC 5789 for PATCH, WebDAV and its extensions). `*` and PRI are reserved there.
const REGISTERED_METHODS: ReadonlySet<string> = new Set(
  (
    'ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT CONNECT COPY DELETE GET HEAD LABEL LINK LOCK MERGE MKACTIVITY MKCALENDAR ' +
    'MKCOL MKREDIRECTREF MKWORKSPACE MOVE OPTIONS ORDERPATCH PATCH POST PROPFIND PROPPATCH PUT QUERY REBIND REPORT SEARCH TRACE ' +
    'UNBIND UNCHECKOUT UNLINK UNLOCK UPDATE UPDATEREDIRECTREF VERSION-CONTROL'
  ).split(' '),
);
const DURATION_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]; // up to the default timeoutSec
