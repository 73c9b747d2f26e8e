// hot path: for every connection.
import type { ClientHello } from './client-hello.ts';
import { ja3 } from './ja3.ts';
import { ja4 } from './ja4.ts';

export interface Fingerprints {
  readonly ja3: string;
  readonly ja4: string;
}

/**
 * JA3 and JA4 of a hello. Connections mostly come from few kinds of client, whose hellos have the same lists: the kinds seen
 * last are kept, and found again by comparing what the fingerprints are made of, so that no client can be taken for another.
 */
export function fingerprints(hello: ClientHello): Fingerprints {
  const slot = slotOf(hello);
  const kept = KINDS[slot];
  if (kept !== undefined && isSameKind(kept, hello)) return kept;
  const kind = kindOf(hello);
  if (hello.byteLength <= MAX_KEPT_BYTES) KINDS[slot] = kind;
  return kind;
}

interface Kind extends Fingerprints {
  readonly legacyVersion: number;
  readonly supportedVersions: List;
  readonly cipherSuites: List;
  readonly extensions: List;
  readonly groups: List;
  readonly pointFormats: List;
  readonly signatureAlgorithms: List;
  /** JA4 looks at the first name only. */
  readonly alpn: string | undefined;
}

type List = readonly number[] | null;

function kindOf(hello: ClientHello): Kind {
  const { legacyVersion, supportedVersions, cipherSuites, extensions, groups, pointFormats, signatureAlgorithms } =
    hello;
  return {
    ja3: ja3(hello),
    ja4: ja4(hello),
    legacyVersion,
    supportedVersions,
    cipherSuites,
    extensions,
    groups,
    pointFormats,
    signatureAlgorithms,
    alpn: hello.alpn?.[0],
  };
}

function isSameKind(kind: Kind, hello: ClientHello): boolean {
  return (
    kind.legacyVersion === hello.legacyVersion &&
    kind.alpn === hello.alpn?.[0] &&
    isSameList(kind.extensions, hello.extensions) &&
    isSameList(kind.cipherSuites, hello.cipherSuites) &&
    isSameList(kind.signatureAlgorithms, hello.signatureAlgorithms) &&
    isSameList(kind.groups, hello.groups) &&
    isSameList(kind.supportedVersions, hello.supportedVersions) &&
    isSameList(kind.pointFormats, hello.pointFormats)
  );
}

function isSameList(a: List, b: List): boolean {
  if (a === null || b === null) return a === b;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function slotOf(hello: ClientHello): number {
  const { cipherSuites, extensions } = hello;
  let mixed = hello.legacyVersion;
  for (let i = 0; i < cipherSuites.length; i++) mixed = Math.imul(mixed ^ cipherSuites[i]!, FNV_PRIME);
  for (let i = 0; i < extensions.length; i++) mixed = Math.imul(mixed ^ extensions[i]!, FNV_PRIME);
  return (mixed >>> 16) % SLOTS;
}

const SLOTS = 64; // with MAX_KEPT_BYTES some 2 MB at the most, whatever strangers send
const MAX_KEPT_BYTES = 4096; // hellos with hybrid key shares have about 1,800
const KINDS: (Kind | undefined)[] = Array.from({ length: SLOTS }, () => undefined);
const FNV_PRIME = 0x01000193;
