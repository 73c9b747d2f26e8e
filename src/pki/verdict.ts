import type { ErrorCode } from '../base/errors.ts';

export type Purpose = 'server' | 'client' | 'any';

/** One certificate of an accepted path, leaf first. */
export interface PathLink {
  /** RFC 4514 text, escaped for logs. */
  readonly subject: string;
  readonly issuer: string;
  readonly notAfterMs: number;
  readonly sha256: string;
  readonly from: 'peer' | 'trustConfig' | 'anchor' | 'publicRoots';
}

export interface Trusted {
  readonly ok: true;
  /** What admitted it. */
  readonly by: 'anchor' | 'publicRoots' | 'allowlist' | 'unauthenticated';
  readonly path: readonly PathLink[];
  /** The earliest notAfter on the path, or nextUpdate of a CRL that cleared it (wall milliseconds): neither verdict nor session may be kept beyond it. */
  readonly notAfterMs: number;
}

export interface Refused {
  readonly ok: false;
  /** The exact log word; also a code of base/error-codes.ts. */
  readonly statusDetails: ErrorCode;
  /** The rule's own name, for instance 'path-length'; the file of that name in src/pki/rules decides it. */
  readonly rule: string;
  /** 0 = leaf. */
  readonly depth: number;
  readonly subject: string;
  /** One sentence: what was found, what was expected, what would fix it. Escaped, capped; for operators, never for clients. */
  readonly reason: string;
  /** The parts of that sentence. */
  readonly found: string;
  readonly expected: string;
  readonly remedy: string;
}

export type Verdict = Trusted | Refused;

/** SANs of which at least one must be present (spec 2.5.3); both empty: the name does not matter. */
export interface ExpectedNames {
  readonly dnsNames: readonly string[];
  readonly uris: readonly string[];
}
