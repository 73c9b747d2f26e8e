import { createServer, type Http2Server, type ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { startDeadline } from '../base/deadline.ts';
import { Turn } from '../base/turn.ts';
import type { ClientConnection, Draining } from './client-connection.ts';
import type { FrontendProxy } from './contract.ts';
import { Http2Connection, STREAM_WINDOW_BYTES } from './http2-connection.ts';
import { RESET_BURST, RESETS_PER_SECOND } from './session-ledger.ts';
import type { FrontendTimeouts } from './timeouts.ts';

/** HTTP/2 over sockets that others accepted: node:http2 servers that never listen, one per limit of concurrent streams. */
export class Http2Door {
  readonly timeouts: FrontendTimeouts;
  readonly clock: Clock;
  readonly turn = new Turn();
  /** By concurrent streams, and whether WebSockets are offered. */
  readonly #servers = new Map<string, Http2Server>();
  readonly #sessions = new Set<Http2Connection>();
  readonly #sweep: NodeJS.Timeout;
  /** Whose session is being made: the server's 'session' event comes before emit('connection') returns. */
  #accepting: { readonly socket: Socket; readonly facts: ClientConnection } | null = null;

  constructor(timeouts: FrontendTimeouts, clock: Clock) {
    this.timeouts = timeouts;
    this.clock = clock;
    this.#sweep = setInterval(() => this.#checkAll(), timeouts.checkIntervalMs);
    this.#sweep.unref();
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** `socket`: the TLS socket after its handshake. Returns what ends it after its exchanges. */
  accept(socket: Socket, facts: ClientConnection): Draining {
    socket.on('error', ignore); // the session's 'close' follows and says enough
    this.#accepting = { socket, facts };
    this.#serverFor(facts.proxy).emit('connection', socket);
    this.#accepting = null;
    return { drain: () => this.#drainOne(facts) };
  }

  drain(): void {
    for (const session of this.#sessions) session.drain();
  }

  /** The time to drain is over: tunnels are told, sessions without one are cut. */
  goAway(): void {
    for (const session of this.#sessions) session.goAway();
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

  #serverFor({ limits: { concurrentStreams }, traffic }: FrontendProxy): Http2Server {
    const webSockets = traffic.kind === 'http' && traffic.webSockets;
    const key = `${concurrentStreams} ${webSockets}`;
    const known = this.#servers.get(key);
    if (known !== undefined) return known;
    const server = createServer({
      settings: {
        maxConcurrentStreams: concurrentStreams,
        maxHeaderListSize: MAX_HEADER_LIST_BYTES,
        initialWindowSize: STREAM_WINDOW_BYTES,
        enableConnectProtocol: webSockets, // RFC 8441 section 3; without it nghttp2 refuses :protocol
        enablePush: false,
      },
      maxHeaderListPairs: MAX_HEADER_PAIRS,
      streamResetBurst: RESET_BURST * 2, // ends the session with INTERNAL_ERROR: ours comes first unless all is in one read
      streamResetRate: RESETS_PER_SECOND,
      strictSingleValueFields: false, // a backend's odd response is passed on, not turned into an exception
    });
    server.on('session', (session) => this.#onSession(session));
    server.on('sessionError', ignore);
    this.#servers.set(key, server);
    return server;
  }

  #onSession(session: ServerHttp2Session): void {
    const accepting = this.#accepting;
    if (accepting === null) {
      session.destroy();
      return;
    }
    const { facts } = accepting;
    const connection = new Http2Connection(this, session, accepting.socket, facts);
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

function ignore(): void {}

// A head over 60 KiB (request-head.ts) gets 413. This is the size in RFC 9113's counting, 32 bytes more per field, over which
// the stream is reset unread: room for 60 KiB in 1000 fields.
const MAX_HEADER_LIST_BYTES = 96 * 1024;
const MAX_HEADER_PAIRS = 1010; // beyond the 1000 of request-head.ts and the four pseudo-header fields
