import type { LinkedSslPolicy, LinkedTlsProxy } from '../config/linked.ts';
import { networkOf } from '../http/client-network.ts';
import { clientPresets, presetHello } from '../tls/client-presets.ts';
import { offeredHello } from '../tls/hello-offer.ts';
import { ja4 } from '../tls/ja4.ts';
import { type EffectivePolicy, effectivePolicy } from '../tls/ssl-policy.ts';
import { judgeNegotiated } from './impact-inference.ts';
import { type HandshakeLine, type LogLine, type RequestLine, readLogLine } from './log-lines.ts';
import { isPostQuantum } from './policy.ts';
import { predictFor } from './predict-for.ts';

export interface ImpactExplanation {
  readonly collection: LinkedTlsProxy['kind'];
  readonly proxy: string;
  /** null: none attached. */
  readonly from: string | null;
  readonly to: string;
  /**
   * What is counted. `handshakes`: logged successful handshakes with what the client offered; predictions are exact.
   * `requests`: there are none in the log, so request lines, which tell what was negotiated and not what else was offered.
   */
  readonly basis: 'handshakes' | 'requests';
  readonly counted: number;
  readonly connect: number;
  readonly lost: number;
  /** The log does not tell. */
  readonly unknown: number;
  readonly lostClients: readonly ClientGroup[];
  readonly unknownClients: readonly ClientGroup[];
  /** Failed handshakes of today that would succeed. */
  readonly gainedClients: readonly ClientGroup[];
  readonly postQuantum: PostQuantum;
  /** Lines of the file that are no JSON object, and those that are about another proxy or other things. */
  readonly unreadableLines: number;
  readonly otherLines: number;
}

export interface ClientGroup {
  readonly ja4: string;
  /** The preset of the same JA4. */
  readonly preset: string | null;
  /** The most frequent first, at most three. */
  readonly userAgents: readonly string[];
  /** /24 and /48, at most three. */
  readonly networks: readonly string[];
  readonly count: number;
  readonly reason: string;
  readonly detail: string;
}

export interface PostQuantum {
  /** With a hybrid key exchange, under the policy of today and under the other. */
  readonly today: number;
  readonly afterwards: number;
  /** Resumed sessions in request lines, whose group is not logged. */
  readonly unknown: number;
}

/** Who of the clients in a log would no longer connect if the proxy had the policy `to`. */
export async function explainImpact(
  proxy: LinkedTlsProxy,
  to: LinkedSslPolicy,
  lines: AsyncIterable<string>,
  nowMs: number,
): Promise<ImpactExplanation> {
  const question: Question = {
    proxy,
    from: effectivePolicy(proxy.sslPolicy, nowMs),
    to: effectivePolicy(to, nowMs),
    nowMs,
    presets: presetsByJa4(),
  };
  const handshakes = new Tally();
  const requests = new Tally();
  const gained = new Groups();
  const userAgents = new UserAgents();
  let unreadableLines = 0;
  let otherLines = 0;
  for await (const text of lines) {
    if (text === '') continue;
    const line = readLogLine(text);
    if (line === null) unreadableLines++;
    else if (line.kind === 'other' || line.targetProxy !== proxy.name) otherLines++;
    else if (line.kind === 'request') {
      userAgents.add(line);
      requests.add(judgeRequest(line, question), line, 1);
    } else if (line.failed) {
      const group = gainOf(line, question);
      if (group !== null) gained.add(line, group, line.count);
    } else {
      handshakes.add(judgeHandshake(line, question), line, line.count);
    }
  }
  const basis = handshakes.counted > 0 ? 'handshakes' : 'requests';
  const tally = basis === 'handshakes' ? handshakes : requests;
  const { counted, connect, lost, unknown, postQuantum } = tally;
  const listed = (groups: Groups) => groups.list(userAgents, question.presets);
  return {
    collection: proxy.kind,
    proxy: proxy.name,
    from: proxy.sslPolicy?.name ?? null,
    to: to.name,
    basis,
    counted,
    connect,
    lost,
    unknown,
    lostClients: listed(tally.lostClients),
    unknownClients: listed(tally.unknownClients),
    gainedClients: listed(gained),
    postQuantum,
    unreadableLines,
    otherLines,
  };
}

/** What becomes of one client. Groups are named as in logs; null where there is none, undefined where it is not known. */
export type ImpactVerdict = {
  readonly groupNow: string | null | undefined;
  readonly groupThen: string | null | undefined;
} & (
  | { readonly outcome: 'connects' }
  | { readonly outcome: 'lost' | 'unknown'; readonly reason: string; readonly detail: string }
);

interface Question {
  readonly proxy: LinkedTlsProxy;
  readonly from: EffectivePolicy;
  readonly to: EffectivePolicy;
  readonly nowMs: number;
  readonly presets: ReadonlyMap<string, string>;
}

function judgeHandshake(line: HandshakeLine, { proxy, from, to, nowMs }: Question): ImpactVerdict {
  const hello = line.offer === null ? null : offeredHello(line.offer, line.sni);
  if (hello === null) {
    const detail = 'its handshake line has no offer';
    return { outcome: 'unknown', reason: 'not_logged', detail, groupNow: undefined, groupThen: undefined };
  }
  const now = predictFor(proxy, hello, from, nowMs);
  const then = predictFor(proxy, hello, to, nowMs);
  const groupNow = now.ok ? (now.group?.name ?? null) : undefined;
  if (then.ok) return { outcome: 'connects', groupNow, groupThen: then.group?.name ?? null };
  return { outcome: 'lost', reason: then.reason, detail: then.detail, groupNow, groupThen: null };
}

/** First what follows from the line alone; where that is nothing, the preset of the same JA4 stands in for the client. */
function judgeRequest(line: RequestLine, question: Question): ImpactVerdict {
  const certain = judgeNegotiated(line, question.from, question.to);
  if (certain.outcome !== 'unknown') return certain;
  const name = question.presets.get(line.ja4);
  const preset = clientPresets().find((candidate) => candidate.name === name);
  if (preset === undefined) return certain;
  const { proxy, to, nowMs } = question;
  const then = predictFor(proxy, presetHello(preset, line.sni), to, nowMs);
  if (then.ok) return { outcome: 'connects', groupNow: certain.groupNow, groupThen: then.group?.name ?? null };
  const detail = `judged as ${preset.name}: ${then.detail}`;
  return { outcome: 'lost', reason: then.reason, detail, groupNow: certain.groupNow, groupThen: null };
}

/** Only refusals that negotiation is about can change; null: this one does not. */
function gainOf(line: HandshakeLine, { proxy, from, to, nowMs }: Question): Reason | null {
  const hello = line.offer === null ? null : offeredHello(line.offer, line.sni);
  if (hello === null) return null;
  const now = predictFor(proxy, hello, from, nowMs);
  const then = predictFor(proxy, hello, to, nowMs);
  if (now.ok || !then.ok) return null;
  return { reason: now.reason, detail: `${then.version} ${then.suite.name} would be negotiated` };
}

interface Reason {
  readonly reason: string;
  readonly detail: string;
}

class Tally {
  counted = 0;
  connect = 0;
  lost = 0;
  unknown = 0;
  readonly postQuantum = { today: 0, afterwards: 0, unknown: 0 };
  readonly lostClients = new Groups();
  readonly unknownClients = new Groups();

  add(verdict: ImpactVerdict, line: RequestLine | HandshakeLine, count: number): void {
    this.counted += count;
    if (isPostQuantum(verdict.groupNow ?? null)) this.postQuantum.today += count;
    if (isPostQuantum(verdict.groupThen ?? null)) this.postQuantum.afterwards += count;
    if (verdict.groupNow === undefined || verdict.groupThen === undefined) this.postQuantum.unknown += count;
    if (verdict.outcome === 'connects') {
      this.connect += count;
    } else if (verdict.outcome === 'lost') {
      this.lost += count;
      this.lostClients.add(line, verdict, count);
    } else {
      this.unknown += count;
      this.unknownClients.add(line, verdict, count);
    }
  }
}

/** Clients of one JA4 with one reason. */
class Groups {
  readonly #groups = new Map<
    string,
    Reason & { readonly ja4: string; count: number; readonly networks: Set<string> }
  >();

  add(line: Extract<LogLine, { remoteIp: string }>, { reason, detail }: Reason, count: number): void {
    const key = `${line.ja4}\n${reason}\n${detail}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { ja4: line.ja4, reason, detail, count: 0, networks: new Set() };
      this.#groups.set(key, group);
    }
    group.count += count;
    if (group.networks.size < MAX_SHOWN) group.networks.add(networkOf(line.remoteIp));
  }

  list(userAgents: UserAgents, presets: ReadonlyMap<string, string>): readonly ClientGroup[] {
    return [...this.#groups.values()]
      .toSorted((a, b) => b.count - a.count)
      .map((group) => ({
        ja4: group.ja4,
        preset: presets.get(group.ja4) ?? null,
        userAgents: userAgents.of(group.ja4),
        networks: [...group.networks],
        count: group.count,
        reason: group.reason,
        detail: group.detail,
      }));
  }
}

/** Handshake lines have none: a JA4's user agents come from the request lines. */
class UserAgents {
  readonly #counts = new Map<string, Map<string, number>>();

  add({ ja4: fingerprint, userAgent }: RequestLine): void {
    if (userAgent === null) return;
    const counts = this.#counts.get(fingerprint) ?? new Map<string, number>();
    this.#counts.set(fingerprint, counts);
    if (counts.size < MAX_USER_AGENTS || counts.has(userAgent)) counts.set(userAgent, (counts.get(userAgent) ?? 0) + 1);
  }

  of(fingerprint: string): readonly string[] {
    const counts = [...(this.#counts.get(fingerprint) ?? [])];
    return counts
      .toSorted(([, a], [, b]) => b - a)
      .slice(0, MAX_SHOWN)
      .map(([userAgent]) => userAgent);
  }
}

function presetsByJa4(): ReadonlyMap<string, string> {
  return new Map(
    clientPresets()
      .toReversed() // of two with one JA4 the first counts
      .map((preset) => [ja4(presetHello(preset, 'preset.example')), preset.name]),
  );
}

const MAX_SHOWN = 3;
const MAX_USER_AGENTS = 1000; // for one JA4: a scanner may send a new one each time
