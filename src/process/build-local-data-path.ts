import { NameResolver } from '../backend/name-resolver.ts';
import { SessionStore } from '../backend/session-store.ts';
import { systemClock } from '../base/clock.ts';
import { RequestAdmission } from '../forward/request-admission.ts';
import type { SnapshotParts } from '../snapshot/snapshot-parts.ts';
import { TicketKeys } from '../tls/ticket-keys.ts';
import { backendStatuses } from './live-sources.ts';
import { LocalDataPath } from './local-data-path.ts';
import type { ProcessTelemetry } from './telemetry.ts';

/** The data path of a process that carries traffic itself, its shares in the metrics. `ticketSecret`: one for all workers. */
export function buildLocalDataPath(telemetry: ProcessTelemetry, ticketSecret: Uint8Array): LocalDataPath {
  const parts: SnapshotParts = {
    clock: systemClock,
    recorder: telemetry.recorder,
    streamRecorder: telemetry.streamRecorder,
    backendEvents: telemetry.backendEvents,
    backendSessions: new SessionStore(systemClock),
    requests: new RequestAdmission(systemClock),
    names: new NameResolver(telemetry.nameEvents),
    ticketKeys: new TicketKeys(ticketSecret),
  };
  const dataPath = new LocalDataPath(parts, telemetry.frontendEvents);
  telemetry.metrics.balance.watch(() => backendStatuses(telemetry, dataPath.snapshot));
  return dataPath;
}
