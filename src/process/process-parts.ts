import { NameResolver } from '../backend/name-resolver.ts';
import { SessionStore } from '../backend/session-store.ts';
import { systemClock } from '../base/clock.ts';
import { RequestAdmission } from '../forward/request-admission.ts';
import type { SnapshotParts } from '../snapshot/snapshot-parts.ts';
import { TicketKeys } from '../tls/ticket-keys.ts';
import type { ProcessTelemetry } from './telemetry.ts';

/** What every process that carries traffic builds its snapshots with. `ticketSecret`: one for all workers. */
export function processParts(telemetry: ProcessTelemetry, ticketSecret: Uint8Array): SnapshotParts {
  return {
    clock: systemClock,
    recorder: telemetry.recorder,
    streamRecorder: telemetry.streamRecorder,
    backendEvents: telemetry.backendEvents,
    backendSessions: new SessionStore(systemClock),
    requests: new RequestAdmission(systemClock),
    names: new NameResolver(telemetry.nameEvents),
    ticketKeys: new TicketKeys(ticketSecret),
  };
}
