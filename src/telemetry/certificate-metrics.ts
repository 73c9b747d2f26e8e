import type { Registry } from 'prom-client';
import { Family } from './series.ts';

/** What is exported of a certificate; a LinkedCertificate is one. */
export interface LoadedCertificate {
  readonly name: string;
  readonly role: 'server' | 'client';
  readonly digest: string;
  readonly keyType: string;
  readonly hostNames: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly subject: string;
  readonly serial: string;
  readonly sha256: string;
  readonly fileModifiedMs: number | null;
}

/** The certificates that are loaded. Series of unloaded ones are dropped: an alert on a file that nobody serves helps nobody. */
export class CertificateMetrics {
  readonly #notAfter: Family;
  readonly #notBefore: Family;
  readonly #loaded: Family;
  readonly #fileModified: Family;
  readonly #info: Family;
  /** By digest: a reload that keeps a certificate keeps the time at which it was loaded, unless it was read from a file written since. */
  #loadedAt = new Map<string, LoadTime>();
  #hostNames = new Map<string, ReadonlySet<string>>();

  constructor(registry: Registry) {
    const labels = ['name', 'role'];
    const gauge = (name: string, help: string, names: string[]) =>
      new Family('gauge', registry, { name: `sallyport_certificate_${name}`, help, labels: names });
    this.#notAfter = gauge('not_after_timestamp_seconds', 'End of validity of a loaded certificate.', labels);
    this.#notBefore = gauge('not_before_timestamp_seconds', 'Start of validity of a loaded certificate.', labels);
    this.#loaded = gauge('loaded_timestamp_seconds', 'When this process took the certificate into use.', labels);
    this.#fileModified = gauge(
      'file_modified_timestamp_seconds',
      'When its file, or that of its key, was last written; later than loaded means that a rotation was not picked up.',
      labels,
    );
    this.#info = gauge('info', 'Always 1; says which certificate it is.', [
      ...labels,
      'subject',
      'key_type',
      'serial',
      'sha256',
    ]);
  }

  /** Replaces the whole set: at the start and after each successful reload. */
  loaded(certificates: readonly LoadedCertificate[], wallMs: number): void {
    for (const family of [this.#notAfter, this.#notBefore, this.#loaded, this.#fileModified, this.#info])
      family.clear();
    const loadedAt = new Map<string, LoadTime>();
    const hostNames = new Map<string, ReadonlySet<string>>();
    for (const certificate of certificates) {
      const { name, role } = certificate;
      const { fileModifiedMs } = certificate;
      const before = this.#loadedAt.get(certificate.digest);
      const sinceMs = before?.fileModifiedMs === fileModifiedMs ? before.wallMs : wallMs;
      loadedAt.set(certificate.digest, { wallMs: sinceMs, fileModifiedMs });
      if (role === 'server') hostNames.set(name, new Set(certificate.hostNames));
      this.#notAfter.series(name, role).value = certificate.notAfterMs / 1000;
      this.#notBefore.series(name, role).value = certificate.notBeforeMs / 1000;
      this.#loaded.series(name, role).value = sinceMs / 1000;
      if (fileModifiedMs !== null) this.fileModified(certificate, fileModifiedMs);
      const subject = certificate.subject.slice(0, MAX_SUBJECT);
      this.#info.series(name, role, subject, certificate.keyType, certificate.serial, certificate.sha256).value = 1;
    }
    this.#loadedAt = loadedAt;
    this.#hostNames = hostNames;
  }

  /** Its file is newer than what is in use: to be called when a reload was refused. */
  fileModified({ name, role }: Pick<LoadedCertificate, 'name' | 'role'>, modifiedMs: number): void {
    this.#fileModified.series(name, role).value = modifiedMs / 1000;
  }

  /** When the certificate with this digest was taken into use, or null. */
  loadedAtMs(digest: string): number | null {
    return this.#loadedAt.get(digest)?.wallMs ?? null;
  }

  /** How the certificate of that name covers a (lower-case) server name. */
  matchOf(certificate: string, sni: string): 'exact' | 'wildcard' | 'none' {
    const hostNames = this.#hostNames.get(certificate);
    if (hostNames === undefined) return 'none';
    if (hostNames.has(sni)) return 'exact';
    return hostNames.has(`*${sni.slice(sni.indexOf('.'))}`) ? 'wildcard' : 'none';
  }
}

interface LoadTime {
  readonly wallMs: number;
  readonly fileModifiedMs: number | null;
}

const MAX_SUBJECT = 256;
