// hot path where a shadow policy refuses many; a client that it accepts never gets here.
import { networkOf } from '../http/client-network.ts';
import type { ConnectionFacts } from '../http/exchange.ts';
import type { ClientHello } from '../tls/client-hello.ts';
import { summarizeHello } from '../tls/hello-summary.ts';
import { ja4 } from '../tls/ja4.ts';
import type { PredictedFailure } from '../tls/predict.ts';

/** Clients that connect today and would not under a shadow policy; one entry of /handshakes. */
export interface ShadowClient {
  readonly targetProxy: string;
  readonly sslPolicy: string;
  readonly reason: string;
  readonly detail: string;
  /** Of the hello: the software. */
  readonly ja4: string;
  /** /24 of IPv4, /48 of IPv6. */
  readonly network: string;
  /** Of the newest hello. */
  readonly sni: string | null;
  readonly offeredVersions: readonly string[];
  readonly count: number;
  /** ISO 8601. */
  readonly firstSeen: string;
  readonly lastSeen: string;
}

/**
 * The CAPACITY last seen of them, by proxy, policy, JA4 and network. Strangers choose all but the first two, so whoever was seen
 * longest ago leaves; the counters in /metrics forget nobody.
 */
export class ShadowClients {
  /** A Map keeps the order of insertion: an entry that is seen again is put at the end. */
  readonly #entries = new Map<string, Entry>();

  add(
    connection: ConnectionFacts,
    hello: ClientHello,
    policy: string,
    refusal: PredictedFailure,
    wallMs: number,
  ): void {
    // 15 µs, most of what a refusal costs; the connection keeps it for the access log.
    const fingerprint = connection.tls === null ? ja4(hello) : connection.tls.ja4;
    const network = networkOf(connection.remoteAddress);
    const key = `${connection.targetProxy}\n${policy}\n${network}\n${fingerprint}`;
    const known = this.#entries.get(key);
    if (known !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, known);
      known.count++;
      known.lastSeenMs = wallMs;
      known.sni = hello.serverName;
      return;
    }
    if (this.#entries.size >= CAPACITY) this.#dropOldest();
    this.#entries.set(key, {
      targetProxy: connection.targetProxy,
      sslPolicy: policy,
      reason: refusal.reason,
      detail: refusal.detail.slice(0, MAX_DETAIL),
      ja4: fingerprint,
      network,
      sni: hello.serverName,
      offeredVersions: summarizeHello(hello).offeredVersions,
      count: 1,
      firstSeenMs: wallMs,
      lastSeenMs: wallMs,
    });
  }

  newestFirst(): readonly ShadowClient[] {
    return [...this.#entries.values()].reverse().map(({ firstSeenMs, lastSeenMs, ...entry }) => ({
      ...entry,
      firstSeen: new Date(firstSeenMs).toISOString(),
      lastSeen: new Date(lastSeenMs).toISOString(),
    }));
  }

  #dropOldest(): void {
    for (const key of this.#entries.keys()) {
      this.#entries.delete(key);
      return;
    }
  }
}

interface Entry extends Omit<ShadowClient, 'sni' | 'count' | 'firstSeen' | 'lastSeen'> {
  sni: string | null;
  count: number;
  readonly firstSeenMs: number;
  lastSeenMs: number;
}

const CAPACITY = 100; // about 1 kB each
const MAX_DETAIL = 256;
