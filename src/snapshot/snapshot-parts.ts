import type { BackendEvents } from '../backend/events.ts';
import type { NameResolver } from '../backend/name-resolver.ts';
import type { SessionStore } from '../backend/session-store.ts';
import type { Clock } from '../base/clock.ts';
import type { RequestAdmission } from '../forward/request-admission.ts';
import type { ExchangeRecorder } from '../http/exchange-record.ts';
import type { StreamRecorder } from '../http/stream-record.ts';
import type { TicketKeys } from '../tls/ticket-keys.ts';

/** What outlives every snapshot and each one is built with. */
export interface SnapshotParts {
  readonly clock: Clock;
  readonly recorder: ExchangeRecorder;
  readonly streamRecorder: StreamRecorder;
  readonly backendEvents: BackendEvents;
  /** TLS sessions with backends: they outlive a reload that leaves an identity as it was. */
  readonly backendSessions: SessionStore;
  /** Requests by client address. */
  readonly requests: RequestAdmission;
  /** The names of endpoints; `activate` gives it the settings of the configuration. */
  readonly names: NameResolver;
  /** The secrets of session tickets; `activate` gives them those of the configuration. */
  readonly ticketKeys: TicketKeys;
}
