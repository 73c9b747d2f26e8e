import { type Diagnostic, unplacedError } from '../config/diagnostic.ts';
import type { LinkedConfiguration } from '../config/linked.ts';
import { crlRollback } from '../snapshot/crl-rollback.ts';

/** Why `next`, which is a good configuration, must not follow `running`; null when it may. */
export function reloadRefusal(running: LinkedConfiguration, next: LinkedConfiguration): Diagnostic | null {
  return restartOnly(running, next) ?? crlRollback(running, next);
}

/** What has no place in a file: an address in use, a certificate that OpenSSL does not take, a defect of ours. */
export function failureDiagnostic(error: unknown): Diagnostic {
  return unplacedError((error as Error).message);
}

/** What a reload cannot change, because it was used before the first connection: refused, never ignored. */
function restartOnly(running: LinkedConfiguration, next: LinkedConfiguration): Diagnostic | null {
  for (const key of ['admin', 'accessLog', 'workers', 'tracing'] as const) {
    if (JSON.stringify(running.settings[key]) === JSON.stringify(next.settings[key])) continue;
    const message = `Cannot change '${key}' by a reload: it is in use since the start; restart the process`;
    return unplacedError(message, { resource: `sallyport.${key}` });
  }
  return null;
}
