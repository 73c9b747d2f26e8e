import { type Diagnostic, unplacedError } from '../config/diagnostic.ts';
import type { LinkedConfiguration } from '../config/linked.ts';
import { findRollback } from '../pki/revocation.ts';

/**
 * Why `next` must not become current, or null: a CRL that is older than the running one of the same CA would bring back certificates
 * that are revoked (security rule 22). Trust configs are compared by name.
 */
export function crlRollback(running: LinkedConfiguration, next: LinkedConfiguration): Diagnostic | null {
  for (const { name, revocation } of next.trustConfigs) {
    const before = running.trustConfigs.find((trust) => trust.name === name)?.revocation ?? null;
    if (before === null || revocation === null) continue;
    const message = findRollback(before.crls, revocation.crls);
    if (message === null) continue;
    return unplacedError(message, { file: revocation.file, resource: `trustConfigs/${name}` });
  }
  return null;
}
