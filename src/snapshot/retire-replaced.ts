import type { RetireCause } from '../backend/events.ts';
import type { SessionStore } from '../backend/session-store.ts';
import type { LinkedBackendTls, LinkedConfiguration } from '../config/linked.ts';
import type { Snapshot } from './snapshot.ts';

/**
 * Retires what `current` did not take over: busy backend connections close after their exchange, idle ones within a second, spread
 * over it; `current` null, at the end of the process: now. TLS sessions of identities that nobody has any more go at once.
 */
export async function retireReplaced(
  previous: Snapshot,
  current: Snapshot | null,
  sessions: SessionStore,
): Promise<void> {
  const identities = new Set(current === null ? [] : identitiesOf(current.configuration));
  for (const digest of identitiesOf(previous.configuration)) if (!identities.has(digest)) sessions.dropIdentity(digest);
  const gone: Promise<void>[] = [];
  for (const [name, { service }] of previous.services) {
    const successor = current?.services.get(name)?.service ?? null;
    if (successor === service) continue;
    const cause = current === null ? 'retired' : retireCause(tlsOf(previous, name), tlsOf(current, name));
    const drainMs = current === null ? null : (drainMsOf(current, name) ?? drainMsOf(previous, name));
    gone.push(service.retire({ cause, spreadMs: current === null ? 0 : SPREAD_MS, drainMs, successor }));
  }
  await Promise.all(gone);
}

/** What about a service's TLS has changed; the first of the list where several have. */
function retireCause(before: LinkedBackendTls | null, after: LinkedBackendTls | null): RetireCause {
  if (before === null || after === null) return 'retired';
  if (before.digest === after.digest) return 'retired';
  const [a, b] = [before.authentication, after.authentication];
  if (a?.clientCertificate?.digest !== b?.clientCertificate?.digest) return 'client-certificate';
  const sameTrust =
    a?.trustConfig?.digest === b?.trustConfig?.digest &&
    a?.publicRoots === b?.publicRoots &&
    a?.enforcement === b?.enforcement;
  return sameTrust ? 'tls-settings' : 'trust';
}

function tlsOf({ configuration }: Snapshot, name: string): LinkedBackendTls | null {
  return configuration.backendServices.find((service) => service.name === name)?.tls ?? null;
}

/** The new configuration says how long what it removes may take; null: it does not say, or has no such service. */
function drainMsOf({ configuration }: Snapshot, name: string): number | null {
  const service = configuration.backendServices.find((candidate) => candidate.name === name);
  const seconds = service?.balancing.drainingTimeoutSec ?? null;
  return seconds === null ? null : seconds * 1000;
}

function identitiesOf({ backendServices }: LinkedConfiguration): readonly string[] {
  return backendServices.flatMap(({ tls }) => (tls === null ? [] : [tls.digest]));
}

/** Long enough that a backend does not see every connection of a proxy leave and come in one moment, short enough to wait for. */
const SPREAD_MS = 1000;
