import { createBackendService } from '../backend/service.ts';
import type { LinkedConfiguration } from '../config/linked.ts';
import type { RunningService } from './snapshot.ts';
import type { SnapshotParts } from './snapshot-parts.ts';

/** The backend services by name; one whose digest did not change is the same running object. */
export function provisionServices(
  configuration: LinkedConfiguration,
  previous: ReadonlyMap<string, RunningService>,
  parts: SnapshotParts,
): ReadonlyMap<string, RunningService> {
  const services = new Map<string, RunningService>();
  for (const linked of configuration.backendServices) {
    const before = previous.get(linked.name);
    if (before?.digest === linked.digest) {
      services.set(linked.name, before);
      continue;
    }
    const { clock, backendEvents: events, backendSessions: sessions, names, ticketKeys: affinitySecrets } = parts;
    const dependencies = { clock, events, sessions, names, affinitySecrets };
    const service = createBackendService(linked, dependencies, before?.service ?? null);
    services.set(linked.name, { digest: linked.digest, service });
  }
  return services;
}
