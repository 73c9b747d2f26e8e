import type { AdminSources, CertificateStatus } from '../admin/admin-sources.ts';
import type { LinkedCertificate } from '../config/linked.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { ProcessTelemetry } from './telemetry.ts';

/** What the admin server shows, read from the running process at each request. */
export function liveSources(
  telemetry: ProcessTelemetry,
  current: () => Snapshot,
  notReadyReasons: () => readonly string[],
): AdminSources {
  const { metrics, recentFailures, shadowClients } = telemetry;
  return {
    readiness: notReadyReasons,
    metrics: async () => ({ contentType: metrics.contentType, text: await metrics.exposition() }),
    configuration: () => current().configuration.redacted,
    certificates: () =>
      current().configuration.certificates.map((certificate) =>
        certificateStatus(
          certificate,
          metrics.certificates.loadedAtMs(certificate.digest),
          current().configuration.certificateWarnings,
        ),
      ),
    backends: () =>
      [...current().services.values()].map(({ service }) => ({
        service: service.name,
        protocol: service.protocol,
        endpoints: service.endpoints.map((endpoint) => endpoint.name),
        health: service.health(),
        refusals: telemetry.backendRefusals.of(service.name),
      })),
    handshakes: () => ({ failures: recentFailures.newestFirst(), shadow: shadowClients.newestFirst() }),
  };
}

function certificateStatus(
  linked: LinkedCertificate,
  loadedAtMs: number | null,
  warnings: Readonly<Record<string, readonly string[]>>,
): CertificateStatus {
  const { name, collection, role, subject, hostNames, keyType, keyBits, serial, sha256, file } = linked;
  return {
    name,
    collection,
    role,
    subject,
    hostNames,
    keyType,
    keyBits,
    serial,
    sha256,
    file,
    notBefore: iso(linked.notBeforeMs),
    notAfter: iso(linked.notAfterMs),
    fileModified: linked.fileModifiedMs === null ? null : iso(linked.fileModifiedMs),
    loaded: loadedAtMs === null ? null : iso(loadedAtMs),
    warnings: warnings[`${collection}/${name}`] ?? [],
  };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
