// hot path: one choice for every connection; the steps are written only for `explain`.
import type { CertificateEntry } from './certificate-entry.ts';
import type { ClientHello } from './client-hello.ts';
import { type NegotiationFailure, negotiate, negotiatedVersion } from './negotiate.ts';
import type { EffectivePolicy } from './ssl-policy.ts';

export type CertificateChoice =
  | { readonly entry: CertificateEntry; readonly match: SniMatch }
  | { readonly entry: null; readonly reason: ChoiceFailure; readonly detail: string };

/** `sni_unknown`: a certificate map has nothing for the name, or for none. */
export type ChoiceFailure = NegotiationFailure | 'sni_unknown';

/** How the certificate met the SNI; `default`: it did not, and was served all the same. */
export type SniMatch = 'exact' | 'wildcard' | 'default';

/**
 * List mode (spec 10.5). One certificate: always that one, and OpenSSL says no if it must. With two or more: among those that policy
 * and hello can use, the longest match of the SNI (exact over one-label wildcard), then one inside its validity, then ECDSA over RSA,
 * then list order. No SNI or no match: the first of the list or, if the client cannot use it, the first usable one with the same
 * DNS names. Matches that do not fit the client never fall back to a certificate that does not match.
 * `steps`, if given, is filled with one line for each decision.
 */
export function chooseCertificate(
  hello: ClientHello,
  policy: EffectivePolicy,
  entries: readonly CertificateEntry[],
  nowMs: number,
  steps: string[] | null = null,
): CertificateChoice {
  const first = entries[0];
  if (first === undefined) throw new RangeError('Cannot choose a certificate: the list is empty, expected 1 to 15');
  const name = hello.serverName;
  if (entries.length === 1) {
    steps?.push(`${first.name} is the only certificate: it is served whatever the client asks for`);
    return { entry: first, match: name === null ? 'default' : (matchOf(first, name) ?? 'default') };
  }
  const matching = name === null ? NO_ENTRIES : matchingEntries(entries, name, steps);
  if (matching.length === 0) return chooseWithoutMatch(hello, policy, entries, first, steps);
  return chooseAmong(hello, policy, matching, name!, nowMs, steps);
}

/** The longest match of a name (lower case, no trailing dot) among the certificate's host names; null: none. */
export function matchOf(entry: CertificateEntry, name: string): 'exact' | 'wildcard' | null {
  let wildcard = false;
  const dot = name.indexOf('.');
  for (let i = 0; i < entry.hostNames.length; i++) {
    const pattern = entry.hostNames[i]!;
    if (pattern === name) return 'exact';
    // RFC 9525 §6.3: the asterisk is the whole left-most label and stands for one label
    if (dot > 0 && !wildcard && pattern.length === name.length - dot + 1 && pattern.startsWith('*.')) {
      wildcard = pattern.endsWith(name.slice(dot));
    }
  }
  return wildcard ? 'wildcard' : null;
}

function matchingEntries(
  entries: readonly CertificateEntry[],
  name: string,
  steps: string[] | null,
): readonly CertificateEntry[] {
  const matching: CertificateEntry[] = [];
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    const match = matchOf(entry, name);
    if (match !== null) matching.push(entry);
    steps?.push(match === null ? `${entry.name} does not match ${name}` : `${entry.name} matches ${name} (${match})`);
  }
  return matching;
}

function chooseAmong(
  hello: ClientHello,
  policy: EffectivePolicy,
  matching: readonly CertificateEntry[],
  name: string,
  nowMs: number,
  steps: string[] | null,
): CertificateChoice {
  let best: CertificateEntry | null = null;
  let bestRank = -1;
  let refusal: NoCertificate | null = null;
  for (let i = 0; i < matching.length; i++) {
    const entry = matching[i]!;
    const outcome = negotiate(hello, policy, entry);
    if (!outcome.ok) {
      refusal = moreSpecific(refusal, { entry: null, reason: outcome.reason, detail: outcome.detail });
      steps?.push(`${entry.name} cannot be used with this client: ${outcome.reason} (${outcome.detail})`);
      continue;
    }
    const rank = rankOf(entry, name, nowMs);
    steps?.push(`${entry.name} can be used: ${outcome.version} ${outcome.suite.name}${rankText(entry, name, nowMs)}`);
    if (rank <= bestRank) continue; // equal: list order
    best = entry;
    bestRank = rank;
  }
  if (best === null) {
    steps?.push('certificates match, but none fits the client: the handshake fails');
    return refusal!;
  }
  steps?.push(`${best.name} is served`);
  return { entry: best, match: matchOf(best, name)! };
}

/** Match length, then validity, then ECDSA: each outweighs all after it. */
function rankOf(entry: CertificateEntry, name: string, nowMs: number): number {
  return (
    (matchOf(entry, name) === 'exact' ? 4 : 0) + (isValid(entry, nowMs) ? 2 : 0) + (entry.keyType === 'RSA' ? 0 : 1)
  );
}

function rankText(entry: CertificateEntry, name: string, nowMs: number): string {
  return `; ${matchOf(entry, name)} match, ${isValid(entry, nowMs) ? 'valid now' : 'outside its validity'}, ${entry.keyType}`;
}

function isValid(entry: CertificateEntry, nowMs: number): boolean {
  return entry.notBeforeMs <= nowMs && nowMs <= entry.notAfterMs;
}

function chooseWithoutMatch(
  hello: ClientHello,
  policy: EffectivePolicy,
  entries: readonly CertificateEntry[],
  first: CertificateEntry,
  steps: string[] | null,
): CertificateChoice {
  steps?.push(
    hello.serverName === null
      ? `no SNI: the first certificate, ${first.name}, is the default`
      : `no certificate matches: the first certificate, ${first.name}, is the default`,
  );
  const outcome = negotiate(hello, policy, first);
  if (outcome.ok) {
    steps?.push(`${first.name} is served: ${outcome.version} ${outcome.suite.name}`);
    return { entry: first, match: 'default' };
  }
  steps?.push(`${first.name} cannot be used with this client: ${outcome.reason} (${outcome.detail})`);
  let refusal: NoCertificate = { entry: null, reason: outcome.reason, detail: outcome.detail };
  if (negotiatedVersion(hello, policy) !== null) {
    for (let i = 1; i < entries.length; i++) {
      const entry = entries[i]!;
      if (!sameNames(entry, first)) continue;
      const twin = negotiate(hello, policy, entry);
      if (!twin.ok) {
        refusal = moreSpecific(refusal, { entry: null, reason: twin.reason, detail: twin.detail });
        continue;
      }
      steps?.push(`${entry.name} has the same DNS names and can be used: it is served`);
      return { entry, match: 'default' };
    }
  }
  steps?.push('no usable certificate has the same DNS names: the handshake fails');
  return refusal;
}

/** That one certificate has the wrong key type for a client says nothing where another has the right one and fails all the same. */
function moreSpecific(known: NoCertificate | null, next: NoCertificate): NoCertificate {
  return known === null || known.reason === 'certificate_key_type_mismatch' ? next : known;
}

function sameNames(a: CertificateEntry, b: CertificateEntry): boolean {
  return (
    a.hostNames.every((name) => b.hostNames.includes(name)) && b.hostNames.every((name) => a.hostNames.includes(name))
  );
}

type NoCertificate = Extract<CertificateChoice, { readonly entry: null }>;

const NO_ENTRIES: readonly CertificateEntry[] = [];
