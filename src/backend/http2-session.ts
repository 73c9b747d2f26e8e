import { type ClientHttp2Session, type ClientSessionOptions, connect, constants } from 'node:http2';
import type { AcceptedConnection } from './connect.ts';
import type { CloseReason } from './events.ts';
import { MAX_RESPONSE_HEAD_BYTES } from './header-list.ts';
import { IDLE_TIMEOUT_MS } from './http1-connection.ts';

/** One HTTP/2 connection to a backend and how many exchanges it may carry at once. */
export class Http2Session {
  readonly accepted: AcceptedConnection;
  readonly session: ClientHttp2Session;
  /** Exchanges that have begun on it. */
  exchanges = 0;
  /** A response has come: the backend has accepted the handshake, our certificate included. */
  answered = false;
  /** Exchanges that were given to it; each is in flight first. */
  assigned = 0;
  /** Exchanges in flight. */
  active = 0;
  /** The backend sent GOAWAY, or we want to close: no new exchange. */
  draining = false;
  /** Of a GOAWAY with an error, at which node:http2 ends all streams alike: the last that was processed, -1 without one. */
  processedUpTo = -1;
  /** One of its streams carried a connection's login: no new exchange (security rule 34). */
  isLoggedIn = false;
  closeReason: CloseReason | null = null;
  readonly #idleTimer: NodeJS.Timeout;
  readonly #maxExchanges: number;
  #maxStreams = MAX_STREAMS;

  constructor(accepted: AcceptedConnection, maxExchanges: number) {
    this.accepted = accepted;
    this.#maxExchanges = maxExchanges;
    this.session = connect('http://backend.invalid', { ...SESSION_OPTIONS, createConnection: () => accepted.socket });
    this.session.once('connect', () => {
      if (!this.session.destroyed) this.session.setLocalWindowSize(SESSION_WINDOW_BYTES);
    });
    this.session.on('remoteSettings', (settings) => {
      this.#maxStreams = Math.min(MAX_STREAMS, settings.maxConcurrentStreams ?? MAX_STREAMS);
    });
    this.session.on('goaway', (code, lastStreamId) => {
      this.draining = true;
      if (code !== constants.NGHTTP2_NO_ERROR) this.processedUpTo = lastStreamId;
      this.closeReason ??= code === constants.NGHTTP2_NO_ERROR ? 'backend' : 'error';
    });
    this.session.on('error', (error: Error) => {
      this.draining = true;
      accepted.failure ??= error;
    });
    accepted.socket.once('error', () => {
      this.draining = true;
    });
    this.#idleTimer = setTimeout(() => {
      if (this.active === 0) this.close('idle');
    }, IDLE_TIMEOUT_MS).unref();
    this.session.once('close', () => clearTimeout(this.#idleTimer));
  }

  /**
   * Its last exchange is over. Not session.setTimeout(): what a broken session's streams do last starts that timer again, and it
   * holds the session with all it refers to for its ten minutes (measured on Node 26.10).
   */
  becameIdle(): void {
    if (!this.session.destroyed) this.#idleTimer.refresh();
  }

  get capacity(): number {
    if (this.draining || this.isLoggedIn || this.session.closed || this.session.destroyed) return 0;
    return Math.min(this.#maxStreams - this.active, this.#maxExchanges - this.assigned);
  }

  /** It has carried as many exchanges as it may. */
  get isWornOut(): boolean {
    return this.assigned >= this.#maxExchanges;
  }

  /** GOAWAY; running exchanges finish first. */
  close(reason: CloseReason): void {
    this.closeReason ??= reason;
    this.draining = true;
    if (!this.session.closed && !this.session.destroyed) this.session.close();
  }

  /** Now, whatever it carries. */
  breakOff(reason: CloseReason): void {
    this.closeReason ??= reason;
    this.draining = true;
    this.accepted.socket.destroy();
  }

  reasonOfClose(): CloseReason {
    return this.closeReason ?? (this.accepted.failure === null ? 'backend' : 'error');
  }
}

/** Per connection: one stream's trouble should not be everybody's; nginx and Apache allow 128 and 100. */
const MAX_STREAMS = 100;
/** What one slow client can make us buffer per stream. Node gives back the connection's window at once, the stream's as it is read. */
const STREAM_WINDOW_BYTES = 128 * 1024;
const SESSION_WINDOW_BYTES = 1024 * 1024;
const MAX_REQUEST_HEAD_BYTES = 128 * 1024; // 60 KiB from the client (spec 4.3), and what is added to it
const MAX_HEADER_PAIRS = 1000; // the size limit is the one that is specified; Node's own 128 pairs are few
/** RFC 9113 §6.5.2 counts 32 bytes on top of each field: heads within our limit must not be over this one. */
const MAX_HEADER_LIST_BYTES = MAX_RESPONSE_HEAD_BYTES + 32 * MAX_HEADER_PAIRS;

/** The type does not know strictSingleValueFields yet. */
const SESSION_OPTIONS: ClientSessionOptions & { readonly strictSingleValueFields: boolean } = {
  settings: {
    enablePush: false,
    initialWindowSize: STREAM_WINDOW_BYTES,
    maxHeaderListSize: MAX_HEADER_LIST_BYTES,
  },
  maxHeaderListPairs: MAX_HEADER_PAIRS,
  maxSendHeaderBlockLength: MAX_REQUEST_HEAD_BYTES,
  strictSingleValueFields: false, // a client's repeated field goes on as it came: Node would throw
};
