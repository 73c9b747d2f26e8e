import { constants, createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { startDeadline } from '../base/deadline.ts';
import { readHttp2Head } from '../http/request-head.ts';
import type { ClientConnection } from './client-connection.ts';
import { Http2Exchange, type Http2Owner } from './http2-exchange.ts';
import type { FrontendTimeouts } from './timeouts.ts';

/** HTTP/2 over sockets that others accepted: node:http2 servers that never listen, one per limit of concurrent streams. */
export class Http2Door {
  readonly timeouts: FrontendTimeouts;
  readonly clock: Clock;
  readonly #servers = new Map<number, Http2Server>();
  readonly #sessions = new Set<Http2Connection>();
  readonly #sweep: NodeJS.Timeout;
  /** Whose session is being made: the server's 'session' event comes before emit('connection') returns. */
  #accepting: ClientConnection | null = null;

  constructor(timeouts: FrontendTimeouts, clock: Clock) {
    this.timeouts = timeouts;
    this.clock = clock;
    this.#sweep = setInterval(() => this.#checkAll(), timeouts.checkIntervalMs);
    this.#sweep.unref();
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** `socket`: the TLS socket after its handshake. Returns how to end it after its exchanges. */
  accept(socket: Socket, facts: ClientConnection): () => void {
    socket.on('error', ignore); // the session's 'close' follows and says enough
    this.#accepting = facts;
    this.#serverFor(facts.proxy.limits.concurrentStreams).emit('connection', socket);
    this.#accepting = null;
    return () => this.#drainOne(facts);
  }

  drain(): void {
    for (const session of this.#sessions) session.drain();
  }

  closeNow(): void {
    for (const session of this.#sessions) session.closeNow();
  }

  /** Ends the sweeps; sessions are closed by drain() or closeNow(). */
  stop(): void {
    clearInterval(this.#sweep);
  }

  #drainOne(facts: ClientConnection): void {
    for (const session of this.#sessions) if (session.facts === facts) session.drain();
  }

  #serverFor(concurrentStreams: number): Http2Server {
    const known = this.#servers.get(concurrentStreams);
    if (known !== undefined) return known;
    const server = createServer({
      settings: {
        maxConcurrentStreams: concurrentStreams,
        maxHeaderListSize: MAX_HEADER_LIST_BYTES,
        initialWindowSize: STREAM_WINDOW_BYTES,
        enableConnectProtocol: false,
        enablePush: false,
      },
      maxHeaderListPairs: MAX_HEADER_PAIRS,
      streamResetBurst: RESET_BURST,
      streamResetRate: RESETS_PER_SECOND,
      strictSingleValueFields: false, // a backend's odd response is passed on, not turned into an exception
    });
    server.on('session', (session) => this.#onSession(session));
    server.on('sessionError', ignore);
    this.#servers.set(concurrentStreams, server);
    return server;
  }

  #onSession(session: ServerHttp2Session): void {
    const facts = this.#accepting;
    if (facts === null) {
      session.destroy();
      return;
    }
    const connection = new Http2Connection(this, session, facts);
    this.#sessions.add(connection);
    session.on('close', () => {
      this.#sessions.delete(connection);
      // our side is closed; a client that keeps its own open (allowHalfOpen) would hold the socket for ever
      if (!facts.rawSocket.destroyed) startDeadline(this.timeouts.discardMs, () => facts.rawSocket.destroy());
    });
  }

  #checkAll(): void {
    const nowMs = this.clock.monotonicMs();
    for (const session of this.#sessions) session.check(nowMs);
  }
}

class Http2Connection implements Http2Owner {
  readonly facts: ClientConnection;
  readonly #door: Http2Door;
  readonly #session: ServerHttp2Session;
  readonly #exchanges = new Set<Http2Exchange>();
  #requests = 0;
  #idleSinceMs: number;
  #hasSettings = false;
  /** A leaky bucket of streams that the client took back: CVE-2023-44487. */
  #resets = 0;
  #resetsAtMs: number;

  constructor(door: Http2Door, session: ServerHttp2Session, facts: ClientConnection) {
    this.facts = facts;
    this.#door = door;
    this.#session = session;
    this.#idleSinceMs = door.clock.monotonicMs();
    this.#resetsAtMs = this.#idleSinceMs;
    session.on('error', ignore);
    session.on('stream', (stream, _headers, flags, rawHeaders) => this.#onStream(stream, flags, rawHeaders));
    session.once('remoteSettings', () => {
      this.#hasSettings = true;
    });
    session.setLocalWindowSize(SESSION_WINDOW_BYTES);
  }

  onExchangeOver(exchange: Http2Exchange, reset: boolean): void {
    this.#exchanges.delete(exchange);
    if (this.#exchanges.size === 0) this.#idleSinceMs = this.#door.clock.monotonicMs();
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

  closeNow(): void {
    this.#session.destroy();
    this.facts.rawSocket.destroy();
  }

  check(nowMs: number): void {
    const { stalledMs, headMs } = this.#door.timeouts;
    for (const exchange of this.#exchanges) {
      const moved = exchange.movedBytes;
      if (moved !== exchange.bytesMoved || !exchange.waitsForClient) {
        exchange.bytesMoved = moved;
        exchange.movedAtMs = nowMs;
      } else if (nowMs - exchange.movedAtMs > stalledMs) {
        exchange.timeOut();
      }
    }
    if (this.#exchanges.size > 0) return;
    const idleMs = nowMs - this.#idleSinceMs;
    if (!this.#hasSettings && idleMs > headMs) this.#end(constants.NGHTTP2_SETTINGS_TIMEOUT);
    else if (idleMs > this.facts.keepAliveTimeoutMs) this.#session.close();
  }

  #onStream(stream: ServerHttp2Stream, flags: number, rawHeaders: readonly string[]): void {
    if (stream.destroyed || stream.closed) {
      stream.on('error', ignore);
      this.#countReset(); // taken back in the same read that brought it: nobody is bothered with it
      return;
    }
    this.#requests++;
    if (this.#requests >= this.facts.proxy.limits.requestsPerConnection) this.drain();
    const endStream = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    const head = readHttp2Head(rawHeaders, endStream);
    const exchange = new Http2Exchange(this, stream, head, endStream, this.#door.clock.monotonicMs());
    this.#exchanges.add(exchange);
    this.facts.deliver(exchange);
  }

  /** GOAWAY with a code; node:http2 takes the code where its types have an error. */
  #end(code: number): void {
    this.#session.destroy(code as unknown as Error);
  }

  #countReset(): void {
    const nowMs = this.#door.clock.monotonicMs();
    const leaked = ((nowMs - this.#resetsAtMs) / 1000) * RESETS_PER_SECOND;
    this.#resets = Math.max(0, this.#resets - leaked) + 1;
    this.#resetsAtMs = nowMs;
    if (this.#resets > RESET_BURST) this.#end(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }
}

function ignore(): void {}

// A head over 60 KiB (request-head.ts) gets 413. This is the size in RFC 9113's counting, 32 bytes more per field, over which
// the stream is reset unread: room for 60 KiB in 1000 fields.
const MAX_HEADER_LIST_BYTES = 96 * 1024;
const MAX_HEADER_PAIRS = 1010; // beyond the 1000 of request-head.ts and the four pseudo-header fields
const STREAM_WINDOW_BYTES = 256 * 1024; // what one unread upload may hold in memory; 20 Mbit/s at 100 ms
const SESSION_WINDOW_BYTES = 1024 * 1024;
const RESET_BURST = 100; // node:http2 itself stops after about 1,100 (measured on 26.10)
const RESETS_PER_SECOND = 33; // nghttp2's default
