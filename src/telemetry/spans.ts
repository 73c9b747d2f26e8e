import type { Attributes, HrTime } from '@opentelemetry/api';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import type { Clock } from '../base/clock.ts';
import type { ExchangeRecord } from '../http/exchange-record.ts';
import { beginSpan, type RequestSpan, type SpanSampling } from '../http/span-context.ts';
import type { Log } from './log.ts';
import { redactQueryValues } from './logged-fields.ts';

export interface TracingOptions extends SpanSampling {
  /** Of an OTLP/HTTP collector, for instance http://127.0.0.1:4318/v1/traces. */
  readonly otlpEndpoint: string;
  readonly serviceName: string;
}

/**
 * Exports one server span per sampled exchange over OTLP/HTTP, in batches, by the SDK of OpenTelemetry, which is loaded by the first
 * span. What the collector does not take is dropped by the SDK and costs no request; the first failure of a row is logged.
 */
export class Spans {
  readonly #options: TracingOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #redactsQuery: boolean;
  readonly #version: string;
  /** Resolves to null where the SDK cannot be loaded. */
  #pipeline: Promise<Pipeline | null> | null = null;
  #waiting = 0;
  #hasFailed = false;

  constructor(options: TracingOptions, clock: Clock, log: Log, version: string, redactsQuery: boolean) {
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
    this.#version = version;
    this.#redactsQuery = redactsQuery;
  }

  finished(record: ExchangeRecord): void {
    // What was refused before it was routed has no span yet.
    const span = record.span ?? beginSpan(record.exchange.headers, this.#options);
    if (!span.sampled || this.#waiting >= MAX_WAITING) return;
    const endMs = this.#clock.wallMs();
    this.#pipeline ??= this.#open().catch((error: unknown) => {
      this.#failed(error);
      return null;
    });
    this.#waiting++;
    void this.#pipeline.then((pipeline) => {
      this.#waiting--;
      pipeline?.add(this.#facts(record, span, endMs));
    });
  }

  /** Exports what is left; what the collector has not taken by then is lost. */
  async close(timeoutMs: number): Promise<void> {
    const pipeline = await this.#pipeline;
    if (pipeline === null) return;
    await Promise.race([
      pipeline.shutdown().catch((error: unknown) => this.#failed(error)),
      new Promise((resolve) => setTimeout(resolve, timeoutMs).unref()),
    ]);
  }

  async #open(): Promise<Pipeline> {
    const [{ BatchSpanProcessor }, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
      import('@opentelemetry/sdk-trace'),
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/resources'),
    ]);
    const inner = new OTLPTraceExporter({ url: this.#options.otlpEndpoint, timeoutMillis: EXPORT_TIMEOUT_MS });
    const exporter: SpanExporter = {
      export: (spans, done) =>
        inner.export(spans, (result) => {
          if (result.error === undefined) this.#hasFailed = false;
          else this.#failed(result.error);
          done(result);
        }),
      forceFlush: () => inner.forceFlush(),
      shutdown: () => inner.shutdown(),
    };
    const processor = new BatchSpanProcessor({ exporter, scheduledDelayMillis: BATCH_DELAY_MS });
    const resource = resourceFromAttributes({
      'service.name': this.#options.serviceName,
      'service.version': this.#version,
    });
    const scope = { name: 'sallyport', version: this.#version };
    return {
      add: (facts) => processor.onEnd({ ...facts, resource, instrumentationScope: scope }),
      shutdown: () => processor.shutdown(),
    };
  }

  #facts(record: ExchangeRecord, span: RequestSpan, endMs: number): SpanFacts {
    const { exchange, status } = record;
    const context = { traceId: span.traceId, traceFlags: 1 };
    return {
      name: record.pathRule === null ? exchange.method : `${exchange.method} ${record.pathRule}`,
      kind: SERVER,
      spanContext: () => ({ ...context, spanId: span.spanId }),
      ...(span.parentSpanId !== null && {
        parentSpanContext: { ...context, spanId: span.parentSpanId, isRemote: true },
      }),
      startTime: hrTime(endMs - record.latencyMs),
      endTime: hrTime(endMs),
      duration: hrTime(record.latencyMs),
      ended: true,
      status: status >= 500 || status === 0 ? { code: ERROR, message: record.statusDetails } : { code: UNSET },
      attributes: attributesOf(record, this.#redactsQuery),
      links: [],
      events: [],
      droppedAttributesCount: 0,
      droppedEventsCount: 0,
      droppedLinksCount: 0,
    };
  }

  #failed(error: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#log.warn('spans are not exported', { error: error instanceof Error ? error.message : String(error) });
  }
}

type SpanFacts = Omit<ReadableSpan, 'resource' | 'instrumentationScope'>;

interface Pipeline {
  readonly add: (facts: SpanFacts) => void;
  readonly shutdown: () => Promise<void>;
}

/** By OpenTelemetry's semantic conventions 1.29 (HTTP servers, TLS); what they have no name for begins with `sallyport.`. */
function attributesOf(record: ExchangeRecord, redactsQuery: boolean): Attributes {
  const { exchange } = record;
  const { connection } = exchange;
  const queryAt = exchange.target.indexOf('?');
  const target = redactsQuery ? redactQueryValues(exchange.target) : exchange.target;
  const attributes: Attributes = {
    'http.request.method': exchange.method,
    'http.response.status_code': record.status,
    'url.scheme': exchange.scheme,
    'url.path': queryAt === -1 ? target : target.slice(0, queryAt),
    'client.address': connection.remoteAddress,
    'network.protocol.version': exchange.protocol.slice('HTTP/'.length),
    'sallyport.target_proxy': connection.targetProxy,
    'sallyport.status_details': record.statusDetails,
    'sallyport.attempts': record.attempts,
  };
  const port = PORT.exec(exchange.authority)?.[1];
  attributes['server.address'] =
    port === undefined ? exchange.authority : exchange.authority.slice(0, -port.length - 1);
  if (port !== undefined) attributes['server.port'] = Number(port);
  if (queryAt !== -1) attributes['url.query'] = target.slice(queryAt + 1);
  if (record.urlMap !== '') attributes['sallyport.url_map'] = record.urlMap;
  if (record.pathRule !== null) attributes['http.route'] = record.pathRule;
  if (record.backendService !== null) attributes['sallyport.backend_service'] = record.backendService;
  if (record.backend !== null) attributes['sallyport.backend'] = record.backend;
  if (record.backendLatencyMs !== null) attributes['sallyport.backend_latency_ms'] = record.backendLatencyMs;
  if (record.error !== null) attributes['error.type'] = record.error.code;
  if (connection.tls !== null) {
    attributes['tls.protocol.name'] = 'tls';
    attributes['tls.protocol.version'] = connection.tls.protocol.slice('TLSv'.length);
    attributes['tls.cipher'] = connection.tls.cipher;
  }
  return attributes;
}

function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}

const PORT = /:(\d+)$/; // of a validated authority; an address in brackets ends with one
const SERVER = 1; // SpanKind.SERVER
const UNSET = 0; // SpanStatusCode
const ERROR = 2;
const MAX_WAITING = 2048; // while the SDK loads; its own queue holds as many
const EXPORT_TIMEOUT_MS = 10_000;
const BATCH_DELAY_MS = 1000; // a trace is there when somebody looks for it
