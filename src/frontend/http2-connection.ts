import { constants, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import type { Turn } from '../base/turn.ts';
import { readHttp2Head } from '../http/request-head.ts';
import type { SessionEndReason } from '../telemetry/session-end.ts';
import type { ClientConnection } from './client-connection.ts';
import { Http2Exchange, type Http2Owner } from './http2-exchange.ts';
import { SessionLedger } from './session-ledger.ts';
import type { FrontendTimeouts } from './timeouts.ts';

/** What all sessions of a listener share. */
interface Door {
  readonly timeouts: FrontendTimeouts;
  readonly clock: Clock;
  readonly turn: Turn;
}

/** One HTTP/2 session: its exchanges, and when it ends. */
export class Http2Connection implements Http2Owner {
  readonly facts: ClientConnection;
  readonly turn: Turn;
  readonly #door: Door;
  readonly #session: ServerHttp2Session;
  /** For its count of bytes, which goes on while node:http2 reads it. */
  readonly #socket: Socket;
  /**
   * In no order. Not a Set: it replaces its table every few deletions, and one replaced table that is promoted keeps all that
   * follow it alive, with all that is in them, until the next full collection (measured on 26.10: 2 KB of each request).
   */
  readonly #exchanges: Http2Exchange[] = [];
  readonly #ledger: SessionLedger;
  readonly #openedAtMs: number;
  #requests = 0;
  #idleSinceMs: number;
  #hasSettings = false;
  /** Of the bodies of exchanges that are over. */
  #movedBytes = 0;
  /** Of heads, and of what clients may still send to streams that are over before their bodies are. */
  #expectedBytes = 0;
  /** Of the heads that the exchanges in flight hold. */
  #openHeadBytes = 0;
  #lastStreamId = 0;
  /** Since when nghttp2 has known of a stream that we have not seen; 0: there is none. */
  #unseenSinceMs = 0;
  #isProbing = false;
  #readAtCheck = 0;
  /** Since when too much has been held without anything moving; 0: it is not too much. */
  #heldSinceMs = 0;
  #movedAtHeld = 0;
  #isReported = false;

  constructor(door: Door, session: ServerHttp2Session, socket: Socket, facts: ClientConnection) {
    this.facts = facts;
    this.turn = door.turn;
    this.#door = door;
    this.#session = session;
    this.#socket = socket;
    this.#openedAtMs = door.clock.monotonicMs();
    this.#idleSinceMs = this.#openedAtMs;
    this.#ledger = new SessionLedger(this.#openedAtMs);
    session.on('error', (error) => this.#onError(error));
    session.on('stream', (stream, _headers, flags, rawHeaders) => this.#onStream(stream, flags, rawHeaders));
    session.once('remoteSettings', () => {
      this.#hasSettings = true;
    });
    session.setLocalWindowSize(SESSION_WINDOW_BYTES);
  }

  onExchangeOver(exchange: Http2Exchange, reset: boolean): void {
    this.#forget(exchange);
    this.#openHeadBytes -= exchange.headBytes;
    this.#movedBytes += exchange.carriedBytes;
    if (!exchange.bodyIsComplete) this.#expectedBytes += STREAM_WINDOW_BYTES;
    if (this.#exchanges.length === 0) this.#idleSinceMs = this.#door.clock.monotonicMs();
    if (reset) this.#countReset();
  }

  /**
   * One GOAWAY that names the last stream that is served; what the client sent after it is safe to repeat (RFC 9113 section 6.8).
   * Not the two of the same section: after any GOAWAY nghttp2 ignores new streams, also those that a first one with the
   * highest stream id had promised to take (measured on 26.10; node:http2 has no nghttp2_submit_shutdown_notice).
   */
  drain(): void {
    this.#session.close();
  }

  goAway(): void {
    let hasTunnel = false;
    for (const exchange of this.#exchanges) {
      if (!exchange.isTunnel) continue;
      hasTunnel = true;
      exchange.goAway();
    }
    if (!hasTunnel) this.closeNow();
  }

  closeNow(): void {
    this.#session.destroy();
    this.facts.rawSocket.destroy();
  }

  check(nowMs: number): void {
    if (this.#session.destroyed) return;
    const { stalledMs } = this.#door.timeouts;
    let expected = this.#expectedBytes;
    let bodies = this.#movedBytes;
    let moved = bodies;
    let held = 0;
    for (const exchange of this.#exchanges) {
      const movedNow = exchange.movedBytes;
      moved += movedNow;
      bodies += exchange.carriedBytes;
      held += exchange.heldBytes;
      expected += exchange.unreadBytes;
      if (movedNow !== exchange.bytesMoved || !exchange.waitsForClient) {
        exchange.bytesMoved = movedNow;
        exchange.movedAtMs = nowMs;
      } else if (nowMs - exchange.movedAtMs > stalledMs) {
        exchange.timeOut();
      }
    }
    const { bytesRead } = this.#socket;
    if (this.#ledger.countOverhead(bytesRead, expected, bodies, nowMs)) {
      this.#end('overhead', 'more bytes than its requests need', constants.NGHTTP2_ENHANCE_YOUR_CALM);
    } else if (this.#holdsTooLong(held, moved, nowMs)) {
      this.#end('held_responses', `${held} bytes wait for its windows`, constants.NGHTTP2_ENHANCE_YOUR_CALM);
    } else if (!this.#isSettled(nowMs)) {
      this.#end('settings_timeout', 'no SETTINGS, or no acknowledgement of ours', constants.NGHTTP2_SETTINGS_TIMEOUT);
    } else if (this.#hasOpenHead(bytesRead, nowMs)) {
      this.#end('head_timeout', 'a head that does not end', constants.NGHTTP2_ENHANCE_YOUR_CALM);
    } else if (this.#exchanges.length === 0 && nowMs - this.#idleSinceMs > this.facts.keepAliveTimeoutMs) {
      this.#session.close();
    }
  }

  #onStream(stream: ServerHttp2Stream, flags: number, rawHeaders: readonly string[]): void {
    this.#lastStreamId = stream.id ?? 0;
    if (stream.destroyed || stream.closed) {
      stream.on('error', ignore);
      this.#countReset(); // taken back in the same read that brought it: nobody is bothered with it
      return;
    }
    const endStream = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    const head = readHttp2Head(rawHeaders, endStream);
    if (this.#openHeadBytes + head.bytes > MAX_OPEN_HEAD_BYTES) {
      stream.on('error', ignore);
      stream.close(constants.NGHTTP2_REFUSED_STREAM); // not begun: its client may repeat it (RFC 9113 section 8.7)
      this.#countReset();
      return;
    }
    this.#requests++;
    if (this.#requests >= this.facts.proxy.limits.requestsPerConnection) this.drain();
    this.#expectedBytes += head.bytes;
    this.#openHeadBytes += head.bytes;
    const exchange = new Http2Exchange(this, stream, head, endStream, this.#door.clock.monotonicMs());
    exchange.place = this.#exchanges.length;
    this.#exchanges.push(exchange);
    this.facts.deliver(exchange);
  }

  #forget(exchange: Http2Exchange): void {
    const last = this.#exchanges.pop()!;
    if (last === exchange) return;
    this.#exchanges[exchange.place] = last;
    last.place = exchange.place;
  }

  /** RFC 9113 section 6.5.3: limits that were not acknowledged are limits that the client need not keep. */
  #isSettled(nowMs: number): boolean {
    if (this.#hasSettings && !this.#session.pendingSettingsAck) return true;
    return nowMs - this.#openedAtMs <= this.#door.timeouts.headMs;
  }

  /**
   * A head that has begun and does not end shows only in nghttp2's count of streams, and so does one that it refused. A ping tells
   * them apart: between HEADERS and the last CONTINUATION nothing else may be sent, the answer included (RFC 9113 section 6.10).
   */
  #hasOpenHead(bytesRead: number, nowMs: number): boolean {
    if (bytesRead === this.#readAtCheck && this.#unseenSinceMs === 0) return false;
    this.#readAtCheck = bytesRead;
    const latest = this.#session.state.lastProcStreamID ?? 0;
    if (latest <= this.#lastStreamId) {
      this.#unseenSinceMs = 0;
      return false;
    }
    if (this.#unseenSinceMs === 0) this.#unseenSinceMs = nowMs;
    if (!this.#isProbing && !this.#session.closed) {
      this.#isProbing = this.#session.ping((error: Error | null) => {
        this.#isProbing = false;
        if (error === null) this.#lastStreamId = latest;
      });
    }
    return nowMs - this.#unseenSinceMs > this.#door.timeouts.headMs;
  }

  #holdsTooLong(held: number, moved: number, nowMs: number): boolean {
    if (held <= MAX_HELD_BYTES) {
      this.#heldSinceMs = 0;
      return false;
    }
    if (this.#heldSinceMs === 0 || moved !== this.#movedAtHeld) {
      this.#heldSinceMs = nowMs;
      this.#movedAtHeld = moved;
    }
    return nowMs - this.#heldSinceMs > this.#door.timeouts.heldMs;
  }

  #countReset(): void {
    if (!this.#ledger.countReset(this.#door.clock.monotonicMs())) return;
    this.#end('resets', 'streams that end by RST_STREAM', constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }

  /** GOAWAY with a code; node:http2 takes the code where its types have an error. */
  #end(reason: SessionEndReason, detail: string, code: number): void {
    this.#report(reason, detail);
    if (!this.#session.destroyed) this.#session.destroy(code as unknown as Error);
  }

  /** nghttp2 or node:http2 gave up on the session, or its socket broke, which is nobody's abuse. */
  #onError(error: Error & { readonly code?: string; readonly errno?: number }): void {
    if (error.code === 'ERR_HTTP2_TOO_MANY_INVALID_FRAMES' || error.errno === NGHTTP2_ERR_FLOODED) {
      this.#report('flood', error.message);
    } else if (error.code === 'ERR_HTTP2_ERROR') {
      this.#report('protocol_error', error.message);
    }
  }

  #report(reason: SessionEndReason, detail: string): void {
    if (this.#isReported) return;
    this.#isReported = true;
    this.facts.events.onSessionEnd({ connection: this.facts, reason, detail });
  }
}

function ignore(): void {}

export const STREAM_WINDOW_BYTES = 256 * 1024; // what one unread upload may hold in memory; 20 Mbit/s at 100 ms
const SESSION_WINDOW_BYTES = 1024 * 1024;
const MAX_OPEN_HEAD_BYTES = 1024 * 1024; // 8 KiB for each of 128 streams; a few bytes of HPACK can stand for 60 KiB
const MAX_HELD_BYTES = 4 * 1024 * 1024; // a stream holds up to some 80 KiB
const NGHTTP2_ERR_FLOODED = -904;
