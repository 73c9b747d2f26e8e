import { randomBytes } from 'node:crypto';
import { noBackendEvents } from '../backend/events.ts';
import { NameResolver, noNameEvents } from '../backend/name-resolver.ts';
import { SessionStore } from '../backend/session-store.ts';
import { systemClock } from '../base/clock.ts';
import { type Diagnostic, unplacedError } from '../config/diagnostic.ts';
import { loadConfiguration } from '../config/load.ts';
import { RequestAdmission } from '../forward/request-admission.ts';
import { provision } from '../snapshot/snapshot.ts';
import { SHORTEST_SECRET_BYTES, TicketKeys } from '../tls/ticket-keys.ts';

export interface CheckReport {
  readonly errors: readonly Diagnostic[];
  readonly warnings: readonly Diagnostic[];
}

/** Loads a configuration exactly as `run` does, and builds all of it; only binding is left out. */
export async function checkConfiguration(path: string, env: NodeJS.ProcessEnv): Promise<CheckReport> {
  const loaded = await loadConfiguration({ path, env, nowMs: systemClock.wallMs() });
  if (!loaded.ok) return { errors: loaded.diagnostics, warnings: loaded.warnings };
  try {
    provision(loaded.configuration, null, {
      clock: systemClock,
      recorder: { started: () => {}, finished: () => {}, mirrored: () => {} },
      streamRecorder: { started: () => ({ received: { value: 0 }, sent: { value: 0 } }), finished: () => {} },
      backendEvents: noBackendEvents,
      backendSessions: new SessionStore(systemClock),
      requests: new RequestAdmission(systemClock),
      names: new NameResolver(noNameEvents),
      ticketKeys: new TicketKeys(randomBytes(SHORTEST_SECRET_BYTES)),
    });
  } catch (error) {
    return { errors: [unplacedError((error as Error).message, { file: path })], warnings: loaded.warnings };
  }
  return { errors: [], warnings: loaded.warnings };
}
