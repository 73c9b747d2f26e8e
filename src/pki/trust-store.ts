import { hash } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import { type Digest, digestOf } from '../base/digest.ts';
import { type Certificate, parseCertificate } from './certificate.ts';
import { DerError } from './der.ts';
import { pemCertificates } from './pem.ts';

export interface TrustStoreInput {
  /** The trust config's name, for messages. */
  readonly name: string;
  /** DER. */
  readonly anchors: readonly Uint8Array[];
  readonly intermediates: readonly Uint8Array[];
  readonly allowlist: readonly Uint8Array[];
  /** Adds the runtime's bundled Mozilla roots as anchors of second rank. */
  readonly publicRoots: boolean;
}

/** Parsed and indexed trust; immutable. */
export interface TrustStore {
  readonly name: string;
  /** Over all contents: equal digests give equal verdicts. */
  readonly digest: Digest;
  readonly anchors: readonly Certificate[];
  readonly intermediates: readonly Certificate[];
  readonly publicRoots: boolean;
  /** `subjectKey` is DistinguishedName.key of the wanted subject. */
  anchorsNamed(subjectKey: string): readonly Certificate[];
  intermediatesNamed(subjectKey: string): readonly Certificate[];
  publicRootsNamed(subjectKey: string): readonly Certificate[];
  /** Exact equality of the whole certificate (spec 10.14). */
  isAllowlisted(der: Uint8Array): boolean;
}

/** Builds a store. Throws DerError that names the entry, for instance 'trustAnchors[1]: …'. */
export function trustStore(input: TrustStoreInput): TrustStore {
  const anchors = parseAll('trustAnchors', input.anchors);
  const intermediates = parseAll('intermediateCas', input.intermediates);
  const allowlist = new Set(
    parseAll('allowlistedCertificates', input.allowlist).map((certificate) => certificate.sha256),
  );
  const anchorIndex = indexBySubject(anchors);
  const intermediateIndex = indexBySubject(intermediates);
  return {
    name: input.name,
    digest: digestOf({
      anchors: input.anchors,
      intermediates: input.intermediates,
      allowlist: input.allowlist,
      publicRoots: input.publicRoots,
    }),
    anchors,
    intermediates,
    publicRoots: input.publicRoots,
    anchorsNamed: (subjectKey) => anchorIndex.get(subjectKey) ?? NONE,
    intermediatesNamed: (subjectKey) => intermediateIndex.get(subjectKey) ?? NONE,
    publicRootsNamed: (subjectKey) => (input.publicRoots ? (publicRootIndex().get(subjectKey) ?? NONE) : NONE),
    isAllowlisted: (der) => allowlist.size > 0 && allowlist.has(hash('sha256', der, 'hex')),
  };
}

/** The bundled roots that parse, indexed once per process. (All of them do; a test says so.) */
export function publicRootIndex(): ReadonlyMap<string, readonly Certificate[]> {
  bundledRoots ??= indexBySubject(rootCertificates.flatMap((pem) => pemCertificates(pem)).flatMap(parseOrSkip));
  return bundledRoots;
}

let bundledRoots: ReadonlyMap<string, readonly Certificate[]> | null = null;

function parseAll(field: string, list: readonly Uint8Array[]): readonly Certificate[] {
  return list.map((der, index) => {
    try {
      return parseCertificate(der);
    } catch (thrown) {
      if (!(thrown instanceof DerError)) throw thrown;
      throw new DerError(`${field}[${index}]: ${thrown.message}`);
    }
  });
}

function parseOrSkip(der: Uint8Array): readonly Certificate[] {
  try {
    return [parseCertificate(der)];
  } catch {
    return []; // one root less is a refusal, never an acceptance
  }
}

function indexBySubject(certificates: readonly Certificate[]): ReadonlyMap<string, readonly Certificate[]> {
  const index = new Map<string, Certificate[]>();
  const seen = new Set<string>();
  for (const certificate of certificates) {
    if (seen.has(certificate.sha256)) continue;
    seen.add(certificate.sha256);
    const key = certificate.subject.key;
    const list = index.get(key);
    if (list === undefined) index.set(key, [certificate]);
    else list.push(certificate);
  }
  return index;
}

const NONE: readonly Certificate[] = [];
