// hot path: one object between forward and what it tells.
import type { Exchange } from '../http/exchange.ts';
import type { ExchangeRecord, ExchangeRecorder, MirrorResult } from '../http/exchange-record.ts';
import type { AccessLog } from './access-log.ts';
import type { RequestMetrics } from './request-metrics.ts';
import type { Spans } from './spans.ts';

export class ExchangeTelemetry implements ExchangeRecorder {
  readonly #accessLog: AccessLog;
  readonly #requests: RequestMetrics;
  readonly #spans: Spans | null;

  /** `spans` null: no tracing. */
  constructor(accessLog: AccessLog, requests: RequestMetrics, spans: Spans | null) {
    this.#accessLog = accessLog;
    this.#requests = requests;
    this.#spans = spans;
  }

  started(exchange: Exchange): void {
    this.#requests.started(exchange);
  }

  finished(record: ExchangeRecord): void {
    this.#requests.finished(record);
    this.#accessLog.requestFinished(record);
    this.#spans?.finished(record);
  }

  mirrored(service: string, result: MirrorResult): void {
    this.#requests.mirrored(service, result);
  }
}
