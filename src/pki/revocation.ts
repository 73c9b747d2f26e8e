import { type Digest, digestOf } from '../base/digest.ts';
import type { Budget } from './budget.ts';
import type { Certificate } from './certificate.ts';
import type { Crl } from './crl.ts';
import { KEY_USAGE } from './extensions.ts';
import type { Finding } from './finding.ts';
import { checkKeyStrength } from './rules/key-strength.ts';
import { checkSignatureAlgorithm } from './rules/signature-algorithm.ts';
import { timeText } from './time.ts';

/**
 * `require`: every certificate below the anchor needs a usable CRL of its issuer. `if-available`: only where a CRL is configured for
 * that issuer; an expired, unsigned or unreadable one refuses all the same (security rule 22).
 */
export type RevocationMode = 'require' | 'if-available';

export interface RevocationInput {
  readonly mode: RevocationMode;
  readonly crls: readonly Crl[];
  /** What of the configured files could not be read, for messages: whose CRLs those were is unknown, so they cover every issuer. */
  readonly unreadable?: readonly string[];
}

/** CRLs, indexed; immutable. */
export interface Revocation {
  readonly mode: RevocationMode;
  /** Equal digests give equal answers. Not a part of the trust store's digest: a new CRL changes nobody's identity. */
  readonly digest: Digest;
  readonly unreadable: readonly string[];
  readonly crls: readonly Crl[];
  /** `issuerKey` is DistinguishedName.key. */
  crlsNamed(issuerKey: string): readonly Crl[];
}

/** What a path's CRLs come down to. */
export type RevocationResult =
  | { readonly ok: true /** The earliest nextUpdate relied upon; Infinity: none. */; readonly untilMs: number }
  | { readonly ok: false; readonly finding: Finding; readonly certificate: Certificate; readonly depth: number };

export function revocation({ mode, crls, unreadable = [] }: RevocationInput): Revocation {
  const byIssuer = Map.groupBy(crls, (crl) => crl.issuer.key);
  return {
    mode,
    digest: digestOf({ mode, crls: crls.map(({ sha256 }) => sha256), unreadable }),
    unreadable,
    crls,
    crlsNamed: (issuerKey) => byIssuer.get(issuerKey) ?? NONE,
  };
}

/**
 * Judges every certificate of a complete path but the anchor, leaf first (RFC 5280 section 6.3). Only for paths whose other rules hold:
 * a signature over 32 MiB is not checked for a stranger.
 */
export function checkRevocation(
  path: readonly Certificate[],
  source: Revocation,
  atMs: number,
  budget: Budget,
): RevocationResult {
  let untilMs = Number.POSITIVE_INFINITY;
  for (let depth = 0; depth + 1 < path.length; depth++) {
    const certificate = path[depth]!;
    const status = statusOf(certificate, signersFor(path, depth), source, atMs, budget);
    if ('finding' in status) return { ok: false, finding: status.finding, certificate, depth };
    untilMs = Math.min(untilMs, status.untilMs);
  }
  return { ok: true, untilMs };
}

/**
 * For an allowlisted leaf, which has no path: any configured CRL of its issuer's name that lists it refuses it, in force or not, because
 * both lists are the operator's own (spec 10.14).
 */
export function checkListed(leaf: Certificate, source: Revocation): Finding | null {
  for (const crl of source.crlsNamed(leaf.issuer.key)) {
    const finding = listedBy(crl, leaf);
    if (finding !== null) return finding;
  }
  return null;
}

/**
 * Why a new set of CRLs must not replace the old, or null: a list with a lower number than the last one seen of the same issuer and key
 * would bring revoked certificates back (security rule 22).
 */
export function findRollback(previous: readonly Crl[], next: readonly Crl[]): string | null {
  for (const crl of next) {
    const newer = previous.find((old) => isSuccession(old, crl) && old.number > crl.number);
    if (newer === undefined) continue;
    // A file may hold the list before the last as well: both count.
    if (next.some((other) => isSuccession(newer, other) && other.number >= newer.number)) continue;
    return (
      `Cannot take ${crl.label}: found a cRLNumber below that of the last one, ${newer.number}, expected at least that; ` +
      'fetch the current list'
    );
  }
  return null;
}

/**
 * Who may sign the CRL for the certificate at `depth`: its issuer, and above it the same CA under another key, joined by a self-issued
 * certificate (key rollover). So the signer's chain ends at the same anchor (RFC 5280 section 6.3.3 (f)) and is validated already.
 */
function signersFor(path: readonly Certificate[], depth: number): readonly Certificate[] {
  const issuer = path[depth + 1]!;
  const signers = [issuer];
  for (let at = depth + 2; at < path.length && path[at]!.subject.equals(issuer.subject); at++) signers.push(path[at]!);
  return signers;
}

/** null if one of them signed it and may; else what is wrong with the first that the CRL might be of. */
function checkSigners(crl: Crl, signers: readonly Certificate[], budget: Budget): Finding | typeof OTHER_KEY | null {
  let problem: Finding | typeof OTHER_KEY = OTHER_KEY;
  for (const signer of signers) {
    const unusable = checkSigner(crl, signer, budget);
    if (unusable === null) return null;
    if (problem === OTHER_KEY) problem = unusable;
  }
  return problem;
}

type Status = { readonly untilMs: number } | { readonly finding: Finding };

function statusOf(
  certificate: Certificate,
  signers: readonly Certificate[],
  source: Revocation,
  atMs: number,
  budget: Budget,
): Status {
  const issuer = signers[0]!;
  let problem: Finding | null = null;
  let untilMs = Number.NEGATIVE_INFINITY;
  for (const crl of source.crlsNamed(issuer.subject.key)) {
    if (!crl.covers(certificate)) continue;
    const unusable = checkSigners(crl, signers, budget);
    if (unusable !== null) {
      if (unusable !== OTHER_KEY) problem ??= unusable;
      continue;
    }
    const listed = listedBy(crl, certificate); // an expired list still says the truth about what it lists
    if (listed !== null) return { finding: listed };
    const stale = checkDates(crl, atMs);
    if (stale === null) untilMs = Math.max(untilMs, crl.nextUpdateMs);
    else problem ??= stale;
  }
  if (untilMs > Number.NEGATIVE_INFINITY) return { untilMs };
  if (problem !== null) return { finding: problem };
  if (source.unreadable.length > 0) return { finding: unreadable(source.unreadable[0]!, issuer) };
  return source.mode === 'require' ? { finding: missing(issuer) } : { untilMs: Number.POSITIVE_INFINITY };
}

/** Two CAs of one name, or two keys of one CA: the key identifiers tell, where both are there. */
function isOfAnotherKey(crl: Crl, issuer: Certificate): boolean {
  return crl.authorityKeyId !== null && issuer.subjectKeyId !== null && !crl.authorityKeyId.equals(issuer.subjectKeyId);
}

function isSuccession(old: Crl, next: Crl): boolean {
  if (old.issuer.key !== next.issuer.key || old.scope !== next.scope) return false;
  return old.authorityKeyId === null || next.authorityKeyId === null || old.authorityKeyId.equals(next.authorityKeyId);
}

function checkSigner(crl: Crl, issuer: Certificate, budget: Budget): Finding | typeof OTHER_KEY | null {
  const algorithm = checkSignatureAlgorithm(crl);
  if (algorithm !== null)
    return invalid(`${crl.label} cannot count: ${algorithm.found}`, 'have the CA sign it with SHA-256');
  if (checkKeyStrength(issuer) !== null) return invalid(`${crl.label} is signed with a weak key`, 'renew the CA');
  if (!crl.isSignatureKnown(issuer)) budget.spendCrlSignature();
  if (crl.isSignedBy(issuer)) return checkMaySign(crl, issuer);
  // The signature decides, not the identifiers: a peer may choose among certificates of one CA that differ in theirs.
  if (isOfAnotherKey(crl, issuer)) return OTHER_KEY;
  return invalid(
    `the signature of ${crl.label} does not verify with the key of that CA`,
    'fetch the list again from that CA',
  );
}

function checkMaySign(crl: Crl, issuer: Certificate): Finding | null {
  if (issuer.keyUsage === null || (issuer.keyUsage & KEY_USAGE.cRLSign) !== 0) return null;
  return invalid(`${crl.label} cannot count: the keyUsage of that CA lacks cRLSign`, 'reissue the CA with cRLSign');
}

/** thisUpdate ≤ now ≤ nextUpdate, in whole seconds as for certificates. */
function checkDates(crl: Crl, atMs: number): Finding | null {
  const nowMs = Math.floor(atMs / 1000) * 1000;
  if (nowMs < crl.thisUpdateMs) {
    return {
      rule: 'crl-expired',
      word: 'chain',
      found: `${crl.label} is not in force yet`,
      expected: `a time from ${timeText(crl.thisUpdateMs)} on (checked at ${timeText(atMs)})`,
      fix: 'check the clocks',
    };
  }
  if (nowMs <= crl.nextUpdateMs) return null;
  return {
    rule: 'crl-expired',
    word: 'chain',
    found: `${crl.label}, which would have to clear it, has expired`,
    expected: `a time until ${timeText(crl.nextUpdateMs)} (checked at ${timeText(atMs)})`,
    fix: 'fetch the current list of that CA into revocation.crlFile',
  };
}

function listedBy(crl: Crl, certificate: Certificate): Finding | null {
  const revoked = crl.revoked(certificate.serial);
  if (revoked === null) return null;
  const when = revoked.atMs === null ? '' : ` on ${timeText(revoked.atMs)}`;
  const why = revoked.reason === null ? '' : ` (${revoked.reason})`;
  const serial = certificate.serial.toString('hex').toUpperCase();
  return {
    rule: 'revocation',
    word: 'chain',
    found: `it was revoked${when}${why}: its serial number ${serial} is on ${crl.label}`,
    expected: 'a certificate that its CA has not revoked',
    fix: 'have the peer present a new certificate with a new key',
  };
}

function missing(issuer: Certificate): Finding {
  return {
    rule: 'crl-missing',
    word: 'chain',
    found: `no CRL of its issuer '${issuer.subject.text}' is configured`,
    expected: "one for every CA of the path, as revocation.mode is 'require'",
    fix: `add the CRL of '${issuer.subject.text}' to revocation.crlFile`,
  };
}

function unreadable(detail: string, issuer: Certificate): Finding {
  return {
    rule: 'crl-invalid',
    word: 'chain',
    found: `a configured CRL cannot be read (${detail}), and it may be that of its issuer '${issuer.subject.text}'`,
    expected: 'readable CRLs',
    fix: 'repair revocation.crlFile',
  };
}

function invalid(found: string, fix: string): Finding {
  return { rule: 'crl-invalid', word: 'chain', found, expected: 'a CRL that its issuer may sign and did sign', fix };
}

/** The CRL is of another CA of that name, or of another key of this one. */
const OTHER_KEY = Symbol('other key');

const NONE: readonly Crl[] = [];
