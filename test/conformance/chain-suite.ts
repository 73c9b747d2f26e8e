import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Crl, parseCrls } from '#src/pki/crl.ts';
import { DerError } from '#src/pki/der.ts';
import { type Revocation, revocation } from '#src/pki/revocation.ts';
import { ANY_POLICY, type PolicyInputs } from '#src/pki/rules/policies.ts';
import { trustStore } from '#src/pki/trust-store.ts';
import type { Purpose, Verdict } from '#src/pki/verdict.ts';
import { parseOrFinding, verify } from '#src/pki/verify.ts';

/** One line of a suite in data/. */
export interface ChainCase {
  readonly id: string;
  /** Base64 DER. */
  readonly leaf: string;
  readonly intermediates: readonly string[];
  readonly roots: readonly string[];
  readonly crls: readonly string[];
  /** RFC 3339. */
  readonly time: string;
  readonly purpose: 'serverAuth' | 'clientAuth' | 'any' | 'other';
  readonly name?: { readonly kind: string; readonly value: string };
  readonly maxDepth?: number | null;
  readonly expected: 'ACCEPT' | 'REJECT';
  readonly features: readonly string[];
}

/** What a suite says about the verifier. */
export interface SuiteReport {
  readonly asked: number;
  /** Not askable: why → how many. */
  readonly leftOut: Readonly<Record<string, number>>;
  /** 'id: expected …, got …' of divergences that no exception names. */
  readonly unexplained: readonly string[];
  /** Exceptions whose case agrees by now, or does not exist. */
  readonly stale: readonly string[];
  /** Divergences among the core cases, and exceptions that try to excuse one. */
  readonly core: readonly string[];
}

/** Runs `data/<suite>.jsonl` against `exceptions/<suite>.json` (id → reason). */
export function runSuite(suite: string): SuiteReport {
  const exceptions = readJson(`exceptions/${suite}.json`) as Readonly<Record<string, string>>;
  const leftOut: Record<string, number> = {};
  const unexplained: string[] = [];
  const core: string[] = [];
  const stale = new Set(Object.keys(exceptions));
  let asked = 0;
  for (const chainCase of readCases(suite)) {
    const obstacle = obstacleOf(chainCase);
    if (obstacle !== null) {
      leftOut[obstacle] = (leftOut[obstacle] ?? 0) + 1;
      continue;
    }
    asked++;
    const verdict = verdictOn(chainCase);
    const agrees = verdict.ok === (chainCase.expected === 'ACCEPT') || isExcusedByOverlay(chainCase.id, verdict);
    if (agrees) continue;
    const got = verdict.ok ? `accepted by ${verdict.by}` : `${verdict.rule}: ${verdict.reason}`;
    if (CORE.has(chainCase.id)) core.push(`${chainCase.id}: expected ${chainCase.expected}, got ${got}`);
    if (exceptions[chainCase.id] === undefined)
      unexplained.push(`${chainCase.id}: expected ${chainCase.expected}, got ${got}`);
    stale.delete(chainCase.id);
  }
  return { asked, leftOut, unexplained, stale: [...stale], core };
}

export function readCases(suite: string): readonly ChainCase[] {
  const text = readFileSync(join(import.meta.dirname, 'data', `${suite}.jsonl`), 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as ChainCase);
}

export function verdictOn(chainCase: ChainCase): Verdict {
  const { leaf, intermediates, roots, crls, name, time, features } = chainCase;
  return verify({
    chain: [leaf, ...intermediates].map(fromBase64),
    store: trustStore({
      name: 'suite',
      anchors: roots.map(fromBase64).filter((der) => 'der' in parseOrFinding(der)), // what cannot be parsed anchors nothing
      intermediates: [],
      allowlist: [],
      publicRoots: false,
    }),
    purpose: purposeOf(chainCase),
    names: { dnsNames: name === undefined ? [] : [name.value], uris: [] },
    atMs: Date.parse(time),
    policy: policyOf(features),
    proof: 'unknown', // the suites have no handshake
    revocation: revocationOf(crls),
  });
}

/** Suites with CRLs have one for every CA. Where one is of a kind that is refused when parsed, only the path is judged. */
function revocationOf(crls: readonly string[]): Revocation | null {
  const parsed: Crl[] = [];
  for (const crl of crls) {
    try {
      parsed.push(...parseCrls(fromBase64(crl)));
    } catch (thrown) {
      if (!(thrown instanceof DerError)) throw thrown;
      return null;
    }
  }
  return parsed.length === 0 ? null : revocation({ mode: 'require', crls: parsed });
}

export function purposeOf({ purpose }: ChainCase): Purpose {
  if (purpose === 'serverAuth') return 'server';
  return purpose === 'clientAuth' ? 'client' : 'any';
}

/** Why a case cannot be put to this verifier, or null. */
export function obstacleOf(chainCase: ChainCase): string | null {
  const { id, name, maxDepth, purpose } = chainCase;
  if (name !== undefined && name !== null && name.kind !== 'DNS') return `${name.kind} name`;
  if (maxDepth !== undefined && maxDepth !== null) return 'maxDepth';
  if (PARTITIONED_CRL.has(id)) return 'CRL of one distribution point';
  return purpose === 'other' ? 'purpose neither server nor client' : null;
}

/** A refusal for one of the project's own limits counts as right where the overlay says that the case touches it. */
function isExcusedByOverlay(id: string, verdict: Verdict): boolean {
  const overlay = OVERLAY[id];
  if (overlay === undefined || verdict.ok) return false;
  return overlay.why.some((why) => {
    const known = OVERLAY_RULES.find(([pattern]) => pattern.test(why));
    return known?.[1].includes(verdict.rule) === true;
  });
}

function policyOf(features: readonly string[]): PolicyInputs {
  const initial = features.find((feature) => feature.startsWith('initial-policy-set:'));
  const acceptable = initial?.slice('initial-policy-set:'.length).split(',').map(nistPolicyOid) ?? null;
  return {
    ...ANY_POLICY,
    acceptable,
    requireExplicitPolicy: features.includes('InitialExplicitPolicy'),
    inhibitPolicyMapping: features.includes('InitialPolicyMappingInhibit'),
    inhibitAnyPolicy: features.includes('InitialInhibitAnyPolicy'),
  };
}

/** NIST-test-policy-N (PKITS section 3.1). */
function nistPolicyOid(name: string): string {
  return `2.16.840.1.101.3.2.1.48.${name.slice('NIST-test-policy-'.length)}`;
}

function fromBase64(text: string): Buffer {
  return Buffer.from(text, 'base64');
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(join(import.meta.dirname, path), 'utf8'));
}

const CORE: ReadonlySet<string> = new Set(readJson('data/core-ids.json') as string[]);
const OVERLAY = readJson('data/gcp-overlay.json') as Readonly<Record<string, { readonly why: readonly string[] }>>;

const OVERLAY_RULES: readonly (readonly [RegExp, readonly string[]])[] = [
  [/RSA|EC curve|key algorithm/, ['key-strength']],
  [/signature/, ['signature-algorithm']],
  [/certificates presented/, ['chain-length']],
  [/subject and key/, ['chain-length', 'same-entity-limit']],
  [/EKU/, ['extended-key-usage']],
  [/CA=true/, ['basic-constraints']],
  [/name constraints/, ['chain-size', 'name-constraints']],
];

/** They fail by such a CRL alone. */
const PARTITIONED_CRL: ReadonlySet<string> = new Set([
  'pkits::4.5.5::Section5InvalidBasicSelfIssuedNewWithOldTest5',
  'pkits::4.5.7::Section5InvalidBasicSelfIssuedCRLSigningKeyTest7',
]);
