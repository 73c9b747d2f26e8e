import type { EffectivePolicy } from '../tls/ssl-policy.ts';
import { VERSION_CODE } from '../tls/tls-version.ts';
import type { ImpactVerdict } from './impact.ts';
import type { RequestLine } from './log-lines.ts';

/**
 * What a request line proves about its client under another policy. Its JA4 tells the newest version that it offers. What it
 * negotiated it can negotiate again, if the other policy still has version, suite and group. Everything else it may or may not have
 * offered: unknown. (Signature algorithms are not logged; a client that can verify with nothing but ecdsa_secp521r1_sha512 would be missed.)
 */
export function judgeNegotiated(line: RequestLine, from: EffectivePolicy, to: EffectivePolicy): ImpactVerdict {
  const isRsaExchange = line.cipher.startsWith('TLS_RSA_');
  const groupNow = isRsaExchange ? null : (line.group ?? undefined);
  const newest = NEWEST.get(line.ja4.slice(1, 3));
  const unknown = (reason: string, detail: string): ImpactVerdict => {
    const groupThen = newest !== undefined && newest < VERSION_CODE['TLSv1.3'] ? groupNow : undefined; // no hybrid there
    return { outcome: 'unknown', reason, detail, groupNow, groupThen };
  };
  if (newest !== undefined && newest < VERSION_CODE[to.minVersion]) {
    const detail = `the client offers ${line.protocol} at most, the policy allows ${to.minVersion} to ${to.maxVersion}`;
    return { outcome: 'lost', reason: 'unsupported_version', detail, groupNow, groupThen: null };
  }
  const version = Object.entries(VERSION_CODE).find(([name]) => name === line.protocol)?.[1];
  if (version === undefined || version < VERSION_CODE[to.minVersion])
    return unknown('version', `${line.protocol || 'an unknown version'} was negotiated`);
  const suites = line.protocol === 'TLSv1.3' ? to.tls13Suites : to.suites;
  if (!suites.some(({ name }) => name === line.cipher))
    return unknown('suite', `${line.cipher} was negotiated; what else is offered is not logged`);
  if (isRsaExchange) return { outcome: 'connects', groupNow, groupThen: null };
  if (line.group === null) {
    if (!from.groups.every((group) => to.groups.includes(group)))
      return unknown('group', 'the session was resumed, its group is not logged');
    return { outcome: 'connects', groupNow, groupThen: undefined };
  }
  if (!to.groups.some(({ name }) => name === line.group))
    return unknown('group', `${line.group} was negotiated; what else is offered is not logged`);
  // Without X25519MLKEM768 today it is either not offered or not allowed; with it, it stays the first choice.
  const mayChange = to.groups.some((group) => group.tls13Only && !from.groups.includes(group));
  return { outcome: 'connects', groupNow, groupThen: mayChange ? undefined : line.group };
}

// JA4.md, "TLS version"
const NEWEST: ReadonlyMap<string, number> = new Map([
  ['13', 0x0304],
  ['12', 0x0303],
  ['11', 0x0302],
  ['10', 0x0301],
  ['s3', 0x0300],
]);
