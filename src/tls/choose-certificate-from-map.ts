// hot path: one choice for every connection to a proxy with a certificate map; the steps are written only for `explain`.
import type { CertificateEntry } from './certificate-entry.ts';
import type { CertificateMap, CertificateMapEntry } from './certificate-map.ts';
import type { CertificateChoice, SniMatch } from './choose-certificate.ts';
import type { ClientHello } from './client-hello.ts';
import { negotiate } from './negotiate.ts';
import type { EffectivePolicy } from './ssl-policy.ts';

/**
 * Map mode (spec 5.2 and 10.6). The name decides the entry: exact over one-label wildcard over PRIMARY; nothing left and the handshake
 * fails. Within an entry: ECDSA where the client can, then the smaller chain, then list order. An entry whose certificates do not fit
 * the client never falls back to another entry: that one has other names. Validity does not count (spec 5.1, F4).
 * `steps`, if given, is filled with one line for each decision.
 */
export function chooseCertificateFromMap(
  hello: ClientHello,
  policy: EffectivePolicy,
  map: CertificateMap,
  steps: string[] | null = null,
): CertificateChoice {
  const name = hello.serverName;
  let match: SniMatch = 'default';
  let entry: CertificateMapEntry | null = null;
  if (name !== null) {
    entry = map.exact(name);
    if (entry !== null) match = 'exact';
    else {
      entry = map.wildcard(name);
      if (entry !== null) match = 'wildcard';
    }
  }
  if (steps !== null) explainEntry(map, name, entry, match, steps);
  entry ??= map.primary;
  if (entry === null) {
    const detail =
      name === null
        ? `the client sent no SNI and certificate map ${map.name} has no PRIMARY entry`
        : `certificate map ${map.name} has no entry for the name and no PRIMARY one`;
    steps?.push('nothing is left: the handshake fails');
    return { entry: null, reason: 'sni_unknown', detail };
  }
  return chooseWithin(hello, policy, entry, match, steps);
}

function chooseWithin(
  hello: ClientHello,
  policy: EffectivePolicy,
  mapEntry: CertificateMapEntry,
  match: SniMatch,
  steps: string[] | null,
): CertificateChoice {
  const candidates = mapEntry.certificates;
  const only = candidates[0]!; // an entry has 1 to 4
  if (candidates.length === 1) {
    steps?.push(`${only.name} is the only certificate of the entry: it is served, and OpenSSL says no if it must`);
    return { entry: only, match };
  }
  let refusal: CertificateChoice | null = null;
  for (let i = 0; i < candidates.length; i++) {
    const candidate = candidates[i]!;
    const outcome = negotiate(hello, policy, candidate);
    if (outcome.ok) {
      steps?.push(`${candidate.name} (${labelOf(candidate)}) is served: ${outcome.version} ${outcome.suite.name}`);
      return { entry: candidate, match };
    }
    refusal ??= { entry: null, reason: outcome.reason, detail: outcome.detail };
    steps?.push(
      `${candidate.name} (${labelOf(candidate)}) cannot be used with this client: ${outcome.reason} (${outcome.detail})`,
    );
  }
  steps?.push('no certificate of the entry fits the client: the handshake fails');
  return refusal!;
}

function explainEntry(
  map: CertificateMap,
  name: string | null,
  found: CertificateMapEntry | null,
  match: SniMatch,
  steps: string[],
): void {
  if (name === null) steps.push(`no SNI: only the PRIMARY entry of certificate map ${map.name} can serve`);
  else if (match === 'exact') steps.push(`entry ${found!.name} of certificate map ${map.name} is for ${name}`);
  else if (match === 'wildcard') {
    steps.push(`no entry of certificate map ${map.name} is for ${name} itself`);
    steps.push(`entry ${found!.name} is for ${found!.hostname}, which covers it (one label)`);
  } else steps.push(`no entry of certificate map ${map.name} is for ${name}, neither itself nor as a wildcard`);
  const { primary } = map;
  if (found === null) {
    steps.push(primary === null ? 'there is no PRIMARY entry' : `entry ${primary.name} is PRIMARY`);
  }
}

function labelOf(entry: CertificateEntry): string {
  return entry.keyType === 'RSA' ? `RSA-${entry.keyBits}` : entry.keyType;
}
