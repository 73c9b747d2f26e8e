import type { AdminSources, BackendStatus, CertificateStatus, HandshakeStatus } from '../admin/admin-sources.ts';
import type { LinkedCertificate, LinkedConfiguration } from '../config/linked.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { ProcessTelemetry } from './telemetry.ts';

/** What the admin server shows of a single process, read from it at each request. */
export function liveSources(
  telemetry: ProcessTelemetry,
  current: () => Snapshot | null,
): (running: () => LinkedConfiguration) => Omit<AdminSources, 'readiness'> {
  const { metrics } = telemetry;
  return (running) => ({
    metrics: async () => ({ contentType: metrics.contentType, text: await metrics.exposition() }),
    configuration: () => running().redacted,
    certificates: () => certificateStatuses(telemetry, running()),
    backends: () => backendStatuses(telemetry, current()),
    handshakes: () => handshakeStatus(telemetry),
  });
}

export function certificateStatuses(
  { metrics }: ProcessTelemetry,
  { certificates, certificateWarnings }: LinkedConfiguration,
): readonly CertificateStatus[] {
  return certificates.map((certificate) =>
    certificateStatus(certificate, metrics.certificates.loadedAtMs(certificate.digest), certificateWarnings),
  );
}

export function backendStatuses(telemetry: ProcessTelemetry, snapshot: Snapshot | null): readonly BackendStatus[] {
  return [...(snapshot?.services.values() ?? [])].map(({ service }) => ({
    service: service.name,
    protocol: service.protocol,
    endpoints: service.endpoints.map((endpoint) => endpoint.name),
    health: service.health(),
    balance: service.balance(),
    refusals: telemetry.backendRefusals.of(service.name),
  }));
}

export function handshakeStatus({ recentFailures, shadowClients }: ProcessTelemetry): HandshakeStatus {
  return { failures: recentFailures.newestFirst(), shadow: shadowClients.newestFirst() };
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
