// hot path: one object between forward and what it tells.
import type { Exchange } from '../http/exchange.ts';
import type { ExchangeRecord, ExchangeRecorder, MirrorResult } from '../http/exchange-record.ts';
import type { AccessLog } from './access-log.ts';
import type { RequestMetrics } from './request-metrics.ts';

export class ExchangeTelemetry implements ExchangeRecorder {
  readonly #accessLog: AccessLog;
  readonly #requests: RequestMetrics;

  constructor(accessLog: AccessLog, requests: RequestMetrics) {
    this.#accessLog = accessLog;
    this.#requests = requests;
  }

  started(exchange: Exchange): void {
    this.#requests.started(exchange);
  }

  finished(record: ExchangeRecord): void {
    this.#requests.finished(record);
    this.#accessLog.requestFinished(record);
  }

  mirrored(service: string, result: MirrorResult): void {
    this.#requests.mirrored(service, result);
  }
}
