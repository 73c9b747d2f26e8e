import type { ClientStream } from '../http/client-stream.ts';
import type { StreamCounters, StreamRecord, StreamRecorder } from '../http/stream-record.ts';
import type { AccessLog } from './access-log.ts';
import type { StreamMetrics } from './stream-metrics.ts';

/** Receives what forward tells of streams. */
export class StreamTelemetry implements StreamRecorder {
  readonly #accessLog: AccessLog;
  readonly #metrics: StreamMetrics;

  constructor(accessLog: AccessLog, metrics: StreamMetrics) {
    this.#accessLog = accessLog;
    this.#metrics = metrics;
  }

  started(stream: ClientStream, backendService: string): StreamCounters {
    return this.#metrics.started(stream, backendService);
  }

  finished(record: StreamRecord): void {
    this.#metrics.finished(record);
    this.#accessLog.connectionClosed(record);
  }
}
