// The ways in which this verifier and OpenSSL may differ, each narrow and with its reason. One that never occurs fails the test.
import { hash } from 'node:crypto';
import type { Refused, Verdict } from '#src/pki/verdict.ts';
import { describeMade, type Made, type Situation } from './chain-generator.ts';

export interface Comparison {
  readonly id: string;
  readonly situation: Situation;
  readonly leaf: Made;
  readonly ours: Verdict;
  /** 'OK', or 'error N at D' of the first that it names. */
  readonly theirs: string;
  /** What OpenSSL says of nothing but the path that was found; null where that was not asked. */
  readonly theirsAlongPath: string | null;
  /** What it says of each certificate of that path with its issuer as the only anchor: 'OK', or the first objection. */
  readonly theirsLinkByLink: string | null;
}

/** A way in which the two may differ. */
export interface DifferenceClass {
  readonly name: string;
  readonly why: string;
  applies(comparison: Comparison): boolean;
}

export const CLASSES: readonly DifferenceClass[] = [
  {
    name: 'another path',
    why: 'OpenSSL settles on one issuer per certificate by name, key identifier and date, and never goes back; this verifier does.',
    applies: ({ theirsAlongPath }) => theirsAlongPath === 'OK',
  },
  {
    name: 'a path on which two CAs share a name',
    why:
      'Key rollover (RFC 5280 section 6.1) without key identifiers: OpenSSL takes the lower for self-signed, or the upper for the ' +
      'issuer of both. Link by link it accepts the path.',
    applies: ({ ours, theirsLinkByLink }) =>
      ours.ok && theirsLinkByLink === 'OK' && new Set(ours.path.map(({ subject }) => subject)).size < ours.path.length,
  },
  {
    name: 'a CA limited to anyExtendedKeyUsage',
    why: 'On a CA it passes (spec 10.8); OpenSSL wants the purpose itself.',
    applies: ({ ours, theirsAlongPath, situation }) =>
      theirsAlongPath?.startsWith('error 26 ') === true &&
      onPath(ours, situation).some(({ request }) => request.extendedKeyUsage?.includes('any') === true),
  },
  {
    name: 'a wildcard below a single label',
    why: '`*` stands for one label whatever follows (spec 10.10, RFC 9525); OpenSSL wants two labels behind it.',
    applies: ({ theirsAlongPath, leaf, situation }) =>
      theirsAlongPath?.startsWith('error 62 ') === true &&
      situation.hostName === 'host.test' &&
      leaf.request.dnsNames?.includes('*.test') === true,
  },
  {
    name: 'the leaf’s extendedKeyUsage',
    why: 'It must be there, and without codeSigning (spec 2.2, 10.8); OpenSSL asks for neither.',
    applies: ({ ours, leaf }) =>
      isRefused(ours, 'extended-key-usage', 0) &&
      (leaf.request.extendedKeyUsage === null || leaf.request.extendedKeyUsage?.includes('codeSigning') === true),
  },
  {
    name: 'the kind of key',
    why: 'RSA, P-256 and P-384 only (spec 2.3); OpenSSL takes P-521 and Ed25519.',
    applies: ({ ours, leaf, situation }) =>
      isRefused(ours, 'key-strength') &&
      [leaf, ...everyCa(situation)].some(({ request }) => /p521|ed25519/.test(request.keyFrom?.subject ?? '')),
  },
  {
    name: 'keyUsage without digitalSignature',
    why: 'The leaf’s key signs the handshake (security rule 27); OpenSSL judges a server for static RSA as well.',
    applies: ({ ours, leaf }) =>
      isRefused(ours, 'key-usage', 0) && leaf.request.keyUsage?.includes('digitalSignature') === false,
  },
  {
    name: 'a CA without basicConstraints',
    why: 'RFC 5280 section 6.1.4 (k); OpenSSL is content with keyCertSign unless -x509_strict is given.',
    applies: ({ ours, situation }) =>
      isRefused(ours, 'basic-constraints') &&
      everyCa(situation).some(({ request }) => request.basicConstraints === false && request.subject === ours.subject),
  },
  {
    name: 'the serial number',
    why: 'RFC 5280 section 4.1.2.2: positive and at most 20 octets; OpenSSL does not look.',
    applies: ({ ours, leaf, situation }) =>
      isRefused(ours, 'serial-number') &&
      [leaf, ...everyCa(situation)].some(({ request }) => /^00$|^(7f){21}$/.test(request.serialHex ?? '')),
  },
  {
    name: 'a wildcard that stands for an excluded name',
    why: '*.example.com is refused where x.example.com is excluded (CVE-2025-61727); OpenSSL compares the text.',
    applies: ({ ours }) =>
      isRefused(ours, 'name-constraints') && /DNS:\*\.[a-z.]+, expected no name in its excluded/.test(ours.reason),
  },
  {
    name: 'a name that is none',
    why: 'f*.example.com cannot be compared with a constraint, so the chain is refused; OpenSSL compares the text.',
    applies: ({ ours }) =>
      isRefused(ours, 'name-constraints') && /DNS:f\*\.example\.com, which cannot be compared/.test(ours.reason),
  },
  {
    name: 'the number of name constraints',
    why: 'At most 10 on a CA (spec 10.7).',
    applies: ({ ours }) => isRefused(ours, 'name-constraints') && ours.reason.includes('it has 11 name constraints'),
  },
  {
    name: 'the length of the path',
    why: 'At most 10 certificates, leaf and anchor included (spec 10.7); OpenSSL takes 100.',
    applies: ({ ours, leaf }) =>
      isRefused(ours, 'search-limit') && leaf.request.issuer?.subject.startsWith('CN=Step') === true,
  },
  {
    name: 'the number of certificates sent',
    why: 'At most 10, leaf included (spec 10.7); OpenSSL counts bytes only, and in the handshake.',
    applies: ({ ours, situation }) => isRefused(ours, 'chain-length', 0) && situation.presented.length > 9,
  },
  {
    name: 'the common name',
    why: 'It never counts (spec 10.10); OpenSSL falls back on it where no SAN is a DNS name.',
    applies: ({ ours, leaf, situation }) =>
      isRefused(ours, 'subject-alternative-name', 0) &&
      leaf.request.dnsNames === undefined &&
      leaf.request.subject.startsWith(`CN=${situation.hostName?.toLowerCase()}`),
  },
  {
    name: 'a wildcard within a label',
    why: '`*` is a whole label or nothing (spec 10.10); OpenSSL lets f*.example.com stand for foo.example.com.',
    applies: ({ ours, leaf, situation }) =>
      isRefused(ours, 'subject-alternative-name', 0) &&
      situation.hostName === 'foo.example.com' &&
      leaf.request.dnsNames?.includes('f*.example.com') === true,
  },
];

export function differs({ ours, theirs }: Comparison): boolean {
  return ours.ok !== (theirs === 'OK');
}

export function classOf(comparison: Comparison): DifferenceClass | null {
  return CLASSES.find((one) => one.applies(comparison)) ?? null;
}

function isRefused(verdict: Verdict, rule: string, depth?: number): verdict is Refused {
  return !verdict.ok && verdict.rule === rule && (depth === undefined || verdict.depth === depth);
}

export function everyCa({ anchors, storeIntermediates, presented }: Situation): readonly Made[] {
  return [...anchors, ...storeIntermediates, ...presented];
}

/** The CAs of an accepted path. */
function onPath(verdict: Verdict, situation: Situation): readonly Made[] {
  const fingerprints = new Set(verdict.ok ? verdict.path.map(({ sha256 }) => sha256) : []);
  return everyCa(situation).filter(({ der }) => fingerprints.has(hash('sha256', der, 'hex')));
}

export function describeComparison({ id, ours, theirs, theirsAlongPath, leaf, situation }: Comparison): string {
  const mine = ours.ok ? ours.path.map(({ subject }) => subject).join(' <- ') : `${ours.rule}: ${ours.reason}`;
  return `${id}: ${mine} | ${theirs} | ${theirsAlongPath} | ${situation.hostName} | ${describeMade(leaf)}`;
}
