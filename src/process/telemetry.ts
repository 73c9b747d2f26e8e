import type { BackendEvents } from '../backend/events.ts';
import type { NameEvents } from '../backend/name-resolver.ts';
import { systemClock } from '../base/clock.ts';
import type { SallyportSettings } from '../config/linked.ts';
import type { FrontendEvents } from '../frontend/contract.ts';
import type { ExchangeRecorder } from '../http/exchange-record.ts';
import type { StreamRecorder } from '../http/stream-record.ts';
import { AccessLog } from '../telemetry/access-log.ts';
import type { BackendRefusals } from '../telemetry/backend-refusals.ts';
import { BackendTelemetry } from '../telemetry/backend-telemetry.ts';
import { ExchangeTelemetry } from '../telemetry/exchange-telemetry.ts';
import { FrontendTelemetry } from '../telemetry/frontend-telemetry.ts';
import { HandshakeLog } from '../telemetry/handshake-log.ts';
import { type LineSink, LineWriter } from '../telemetry/line-writer.ts';
import { createLog, type Log } from '../telemetry/log.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { NameTelemetry } from '../telemetry/name-telemetry.ts';
import { RecentFailures } from '../telemetry/recent-failures.ts';
import { ShadowClients } from '../telemetry/shadow-clients.ts';
import { Spans } from '../telemetry/spans.ts';
import { StreamTelemetry } from '../telemetry/stream-telemetry.ts';

/** The logs and instruments of one process, and what the rooms report to. */
export interface ProcessTelemetry {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly recentFailures: RecentFailures;
  readonly shadowClients: ShadowClients;
  readonly recorder: ExchangeRecorder;
  readonly streamRecorder: StreamRecorder;
  readonly frontendEvents: FrontendEvents;
  readonly backendEvents: BackendEvents;
  readonly nameEvents: NameEvents;
  readonly backendRefusals: BackendRefusals;
  /** Standard output: lines of other processes go to its one writer. */
  readonly stdout: LineSink;
  /** SIGUSR2: goes on in a new file where the access log is one; false where it is standard output. */
  reopenAccessLog(): boolean;
  /** Writes everything out; lines after it are lost. */
  close(): Promise<void>;
  /** The same from process 'exit', where nothing asynchronous runs any more. */
  flushSync(): void;
}

/** @throws the system error of open(2) when the access log's file cannot be opened. */
export function buildTelemetry(
  { accessLog, tracing }: Pick<SallyportSettings, 'accessLog' | 'tracing'>,
  version: string,
): ProcessTelemetry {
  const clock = systemClock;
  const stdout = LineWriter.toDescriptor(STDOUT);
  const toFile = accessLog.destination !== 'stdout';
  const accessWriter = toFile ? LineWriter.toFile(accessLog.destination) : stdout;
  const writers = toFile ? [stdout, accessWriter] : [stdout];
  const log = createLog(stdout);
  const metrics = new Metrics(version);
  metrics.watchWriters(writers);
  const lines = new AccessLog(accessWriter, { clock, ...accessLog });
  const handshakeLog = new HandshakeLog(accessWriter, clock, { successSampleRate: accessLog.handshakeSampleRate });
  const recentFailures = new RecentFailures();
  const shadowClients = new ShadowClients();
  const spans = tracing === null ? null : new Spans(tracing, clock, log, version, accessLog.redactQueryValues);
  const backends = new BackendTelemetry(metrics.backends, log, clock);
  return {
    log,
    metrics,
    recentFailures,
    shadowClients,
    recorder: new ExchangeTelemetry(lines, metrics.requests, spans),
    streamRecorder: new StreamTelemetry(lines, metrics.streams),
    frontendEvents: new FrontendTelemetry({
      clock,
      log,
      accessLog: lines,
      handshakeLog,
      recentFailures,
      shadowClients,
      handshakes: metrics.handshakes,
      hellos: metrics.hellos,
      requests: metrics.requests,
    }),
    backendEvents: backends,
    nameEvents: new NameTelemetry(metrics.names, log),
    backendRefusals: backends.refusals,
    stdout,
    reopenAccessLog: () => accessWriter.reopen(),
    async close() {
      handshakeLog.close();
      await spans?.close(CLOSE_TIMEOUT_MS);
      await Promise.all(writers.map((writer) => writer.close(CLOSE_TIMEOUT_MS)));
    },
    flushSync() {
      for (const writer of writers) writer.flushSync();
    },
  };
}

const STDOUT = 1;
const CLOSE_TIMEOUT_MS = 2000; // a reader that takes longer to read 8 MiB is stalled; the exit must not wait for it
