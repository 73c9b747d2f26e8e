import type { Clock } from '../base/clock.ts';
import { staleSecretsWarning } from '../config/ticket-secrets.ts';

/**
 * Says once a day that the secrets of session tickets are over a week old (security rule 20): a process that nobody reloads would
 * have said so at its start only. `modifiedMs`: of the file in use now, null without one. Returns how to stop.
 */
export function watchSecretAge(
  clock: Clock,
  modifiedMs: () => number | null,
  warn: (message: string) => void,
): () => void {
  const timer = setInterval(() => {
    const sinceMs = modifiedMs();
    const message = sinceMs === null ? null : staleSecretsWarning(sinceMs, clock.wallMs());
    if (message !== null) warn(message);
  }, CHECK_INTERVAL_MS);
  timer.unref();
  return () => clearInterval(timer);
}

const CHECK_INTERVAL_MS = 86_400_000;
