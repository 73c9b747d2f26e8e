import type { Clock } from '../base/clock.ts';
import type { ConnectionFacts, TlsFacts } from '../http/exchange.ts';
import { quote } from './escape.ts';
import type { HandshakeFailure } from './handshake-failure.ts';
import type { LineSink } from './line-writer.ts';
import { abridged } from './recent-failures.ts';

export interface HandshakeLogOptions {
  /** 0..1; 0 unless given. */
  readonly successSampleRate?: number;
  /** For tests; Math.random otherwise. */
  readonly random?: () => number;
}

/**
 * Writes `msg:"handshake"` lines: for failed handshakes, and for a sample of the successful ones (those have no `reason`). Anybody can cause these, so a failure that repeats (same proxy, reason
 * and address) is written once, then counted, and written once more at the end of WINDOW_MS with `suppressed`. First lines
 * of all kinds together are limited to LINES_PER_SECOND. Lines plus what they say was suppressed add up to all failures.
 */
export class HandshakeLog {
  readonly #sink: LineSink;
  readonly #clock: Clock;
  /** By kind; a Map keeps the order of insertion, which is the order in which windows end. */
  readonly #windows = new Map<string, Window>();
  #tokens = LINES_PER_SECOND;
  #refilledAtMs: number;
  /** Failures that were neither written nor counted in a window. */
  #overflow = 0;
  #sweeper: NodeJS.Timeout | null = null;
  readonly #successSampleRate: number;
  readonly #random: () => number;

  constructor(sink: LineSink, clock: Clock, options: HandshakeLogOptions = {}) {
    this.#sink = sink;
    this.#clock = clock;
    this.#successSampleRate = options.successSampleRate ?? 0;
    this.#random = options.random ?? Math.random;
    this.#refilledAtMs = clock.monotonicMs();
  }

  failed(whole: HandshakeFailure): void {
    const failure = abridged(whole); // it may be kept for a window: not with 64 KiB of hello
    const nowMs = this.#clock.monotonicMs();
    this.#sweep(nowMs);
    const kind = kindOf(failure);
    const window = this.#windows.get(kind);
    if (window !== undefined) {
      window.suppressed++;
      window.last = failure;
      return;
    }
    if (this.#windows.size >= MAX_WINDOWS || !this.#takeToken(nowMs)) {
      this.#overflow++;
    } else {
      this.#windows.set(kind, { endsAtMs: nowMs + WINDOW_MS, suppressed: 0, last: failure });
      this.#write(failure, 0);
    }
    this.#sweeper ??= setInterval(() => this.#sweep(this.#clock.monotonicMs()), WINDOW_MS).unref();
  }

  succeeded(connection: ConnectionFacts, tls: TlsFacts, durationMs: number): void {
    if (this.#successSampleRate === 0 || this.#random() >= this.#successSampleRate) return;
    this.#sink.line(successLine(connection, tls, durationMs, new Date(this.#clock.wallMs()).toISOString()));
  }

  /** Writes what is still counted: before the sink is drained for the last time. */
  close(): void {
    this.#sweep(Number.POSITIVE_INFINITY);
  }

  #sweep(nowMs: number): void {
    for (const [kind, window] of this.#windows) {
      if (window.endsAtMs > nowMs) break;
      this.#windows.delete(kind);
      // The last one is written, so it is not suppressed.
      if (window.suppressed > 0) this.#write(window.last, window.suppressed - 1);
    }
    if (this.#overflow > 0 && (nowMs === Number.POSITIVE_INFINITY || this.#takeToken(nowMs))) this.#writeOverflow();
    if (this.#windows.size === 0 && this.#overflow === 0 && this.#sweeper !== null) {
      clearInterval(this.#sweeper);
      this.#sweeper = null;
    }
  }

  /** A bucket of one second's lines. */
  #takeToken(nowMs: number): boolean {
    const gained = ((nowMs - this.#refilledAtMs) / 1000) * LINES_PER_SECOND;
    this.#tokens = Math.min(LINES_PER_SECOND, this.#tokens + gained);
    this.#refilledAtMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  #write(failure: HandshakeFailure, suppressed: number): void {
    this.#sink.line(handshakeLine(failure, new Date(this.#clock.wallMs()).toISOString(), suppressed));
  }

  #writeOverflow(): void {
    const time = new Date(this.#clock.wallMs()).toISOString();
    this.#sink.line(`{"time":"${time}","level":"warn","msg":"handshakes","suppressed":${this.#overflow}}`);
    this.#overflow = 0;
  }
}

interface Window {
  readonly endsAtMs: number;
  suppressed: number;
  last: HandshakeFailure;
}

/** None of the three can contain a line feed: a resource name, a word of a closed list, an address as the kernel gave it. */
function kindOf(failure: HandshakeFailure): string {
  return `${failure.targetProxy}\n${failure.reason}\n${failure.remoteAddress}`;
}

function handshakeLine(failure: HandshakeFailure, time: string, suppressed: number): string {
  // The client's mistakes are ordinary; ours need somebody.
  const level = failure.side === 'proxy' ? 'warn' : 'info';
  let line =
    `{"time":"${time}","level":"${level}","msg":"handshake","targetProxy":${quote(failure.targetProxy, MAX_TEXT)}` +
    `,"forwardingRule":${quote(failure.forwardingRule, MAX_TEXT)},"remoteIp":${quote(failure.remoteAddress, MAX_TEXT)}` +
    `,"remotePort":${failure.remotePort},"reason":${quote(failure.reason, MAX_TEXT)},"side":"${failure.side}"`;
  if (failure.statusDetails !== null) line += `,"statusDetails":"${failure.statusDetails}"`;
  if (failure.detail !== '') line += `,"detail":${quote(failure.detail, MAX_TEXT)}`;
  line += `,"latency":"${(failure.durationMs / 1000).toFixed(6)}s","tls":{`;
  const members: string[] = [];
  if (failure.sni !== null) members.push(`"sni":${quote(failure.sni, MAX_TEXT)}`);
  if (failure.ja3 !== null) members.push(`"ja3":${quote(failure.ja3, MAX_TEXT)}`);
  if (failure.ja4 !== null) members.push(`"ja4":${quote(failure.ja4, MAX_TEXT)}`);
  if (failure.offeredVersions.length > 0) members.push(`"offeredVersions":${list(failure.offeredVersions)}`);
  if (failure.offeredCiphers.length > 0) members.push(`"offeredCiphers":${list(failure.offeredCiphers)}`);
  if (failure.offeredGroups.length > 0) members.push(`"offeredGroups":${list(failure.offeredGroups)}`);
  if (failure.offer) members.push(`"offer":${quote(failure.offer, MAX_OFFER)}`);
  if (failure.alpn.length > 0) members.push(`"offeredAlpn":${list(failure.alpn)}`);
  line += `${members.join(',')}}`;
  if (suppressed > 0) line += `,"suppressed":${suppressed}`;
  return `${line}}`;
}

function successLine(connection: ConnectionFacts, tls: TlsFacts, durationMs: number, time: string): string {
  const { offer } = tls; // before the fingerprint, which lets the hello go
  let line =
    `{"time":"${time}","level":"info","msg":"handshake","targetProxy":${quote(connection.targetProxy, MAX_TEXT)}` +
    `,"forwardingRule":${quote(connection.forwardingRule, MAX_TEXT)},"remoteIp":${quote(connection.remoteAddress, MAX_TEXT)}` +
    `,"remotePort":${connection.remotePort},"latency":"${(durationMs / 1000).toFixed(6)}s"` +
    `,"tls":{"protocol":${quote(tls.protocol, MAX_TEXT)},"cipher":${quote(tls.cipher, MAX_TEXT)}`;
  if (tls.group !== null) line += `,"group":${quote(tls.group, MAX_TEXT)}`;
  if (tls.sni !== null) line += `,"sni":${quote(tls.sni, MAX_TEXT)}`;
  if (tls.alpn !== null) line += `,"alpn":${quote(tls.alpn, MAX_TEXT)}`;
  line += `,"resumed":${tls.resumed},"certificate":${quote(tls.certificate, MAX_TEXT)},"ja4":${quote(tls.ja4, MAX_TEXT)}`;
  return offer ? `${line},"offer":${quote(offer, MAX_OFFER)}}}` : `${line}}}`;
}

function list(items: readonly string[]): string {
  return `[${items.map((item) => quote(item, MAX_TEXT)).join(',')}]`;
}

const WINDOW_MS = 10_000;
const MAX_WINDOWS = 1000; // kinds remembered at a time, some 2 MB at the most
const LINES_PER_SECOND = 50; // 6 kB a line at most: a flood of failures adds 300 kB/s to the log and no more
const MAX_TEXT = 256;
const MAX_OFFER = 2048; // helloOffer() is no longer
