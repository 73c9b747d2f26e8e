// hot path: `exact` and `wildcard` are asked for every connection to a proxy with a map.
import type { CertificateEntry } from './certificate-entry.ts';

export interface CertificateMapEntry {
  readonly name: string;
  /** A host name or `*.` and one, lower case; null: PRIMARY. */
  readonly hostname: string | null;
  /** 1 to 4. */
  readonly certificates: readonly CertificateEntry[];
}

/** A certificate map as an index: up to 5000 entries, two look-ups a connection. */
export class CertificateMap {
  readonly name: string;
  /** Serves when no name was sent, or none of the map's fits; null: such handshakes fail. */
  readonly primary: CertificateMapEntry | null;
  /** Every certificate once. */
  readonly certificates: readonly CertificateEntry[];
  readonly #exact: ReadonlyMap<string, CertificateMapEntry>;
  /** By what follows the asterisk: '.example.com'. */
  readonly #wildcard: ReadonlyMap<string, CertificateMapEntry>;

  constructor(name: string, entries: readonly CertificateMapEntry[]) {
    const exact = new Map<string, CertificateMapEntry>();
    const wildcard = new Map<string, CertificateMapEntry>();
    const certificates = new Set<CertificateEntry>();
    let primary: CertificateMapEntry | null = null;
    for (const written of entries) {
      const entry = { ...written, certificates: inOrderOfChoice(written.certificates) };
      for (const certificate of entry.certificates) certificates.add(certificate);
      if (entry.hostname === null) primary = entry;
      else if (entry.hostname.startsWith('*.')) wildcard.set(entry.hostname.slice(1), entry);
      else exact.set(entry.hostname, entry);
    }
    this.name = name;
    this.primary = primary;
    this.certificates = [...certificates];
    this.#exact = exact;
    this.#wildcard = wildcard;
  }

  /** The entry for a name (lower case, no trailing dot) itself. */
  exact(name: string): CertificateMapEntry | null {
    return this.#exact.get(name) ?? null;
  }

  /** The entry `*.parent` of a name: the asterisk stands for one label (spec 5.2). */
  wildcard(name: string): CertificateMapEntry | null {
    const dot = name.indexOf('.');
    return dot > 0 ? (this.#wildcard.get(name.slice(dot)) ?? null) : null;
  }
}

/** ECDSA before RSA, the smaller chain before the larger (spec 5.2); equal: list order. */
function inOrderOfChoice(certificates: readonly CertificateEntry[]): readonly CertificateEntry[] {
  return [...certificates].sort((a, b) => {
    return (
      Number(a.keyType === 'RSA') - Number(b.keyType === 'RSA') || a.certificatePem.length - b.certificatePem.length
    );
  });
}
