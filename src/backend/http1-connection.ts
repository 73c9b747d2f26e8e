// hot path
import type { Clock } from '../base/clock.ts';
import { type Deadline, startDeadline } from '../base/deadline.ts';
import { type ReadFault, type ResponseListener, ResponseReader } from '../http/http1-response-reader.ts';
import type { AcceptedConnection } from './connect.ts';
import type { CloseReason } from './events.ts';
import { MAX_RESPONSE_HEAD_BYTES } from './header-list.ts';

/** The exchange that a connection carries. */
export interface CarriedExchange extends ResponseListener {
  readonly over: boolean;
  /** Something of its request was written. */
  readonly sent: boolean;
  onComplete(trailers: readonly string[]): void;
  /** 101 was accepted: the connection is its own. */
  onSwitched(): void;
  /** What came is no response; the connection is destroyed. */
  onFault(fault: ReadFault): void;
  /** One of the others threw. */
  onDefect(thrown: unknown): void;
  onDrain(): void;
  onClosed(error: Error): void;
}

/**
 * One connection to a backend, handed over after the verdict, and the HTTP/1.1 spoken on it: one exchange at a time. While it carries none,
 * bytes that come belong to nobody, and end it: the next exchange must not be answered with them (security rule 2).
 */
export class Http1Connection {
  readonly accepted: AcceptedConnection;
  /** Exchanges that have begun on it. */
  exchanges = 0;
  /** It is logged in as one client's user, or about to be: no other exchange may follow (security rule 34). */
  isLoggedIn = false;
  /** No other exchange may follow: by HTTP, or because more came than a response. */
  isSpent = false;
  /** Set where this side decided to close it. */
  closeReason: CloseReason | null = null;
  /** How long it may wait for its next exchange. */
  idleTimeoutMs = IDLE_TIMEOUT_MS;
  readonly #clock: Clock;
  readonly #reader: ResponseReader;
  #exchange: CarriedExchange | null = null;
  #isReading = false;
  #isPaused = false;
  /** Of the last chunk, while the response is paused. */
  #rest: Buffer | null = null;
  #idleUntilMs = Number.POSITIVE_INFINITY;
  #idleDeadline: Deadline | null = null;
  #deadlineAtMs = Number.POSITIVE_INFINITY;

  constructor(accepted: AcceptedConnection, clock: Clock) {
    this.accepted = accepted;
    this.#clock = clock;
    const listener: ResponseListener = {
      onHead: (status, fields) => this.#exchange!.onHead(status, fields),
      onBody: (piece) => this.#exchange!.onBody(piece),
    };
    this.#reader = new ResponseReader(listener, MAX_RESPONSE_HEAD_BYTES);
  }

  /** Once, after whoever accounts for it listens for its 'close'. */
  listen(): void {
    const { socket } = this.accepted;
    socket.on('data', this.#onData).on('end', this.#onEnd).on('drain', this.#onDrain).on('close', this.#onClose);
    socket.unref(); // who waits for an answer has a connection of its own, which keeps the process alive
  }

  get usable(): boolean {
    return !this.accepted.socket.destroyed && this.accepted.socket.readable;
  }

  /** What is written from now on is the exchange's request, what comes its response. */
  carry(exchange: CarriedExchange): void {
    this.#exchange = exchange;
    this.exchanges++;
    this.#idleUntilMs = Number.POSITIVE_INFINITY;
    this.#isPaused = false;
    this.#reader.expect();
  }

  /** The exchange is over; before the connection is released. */
  leave(): void {
    this.#exchange = null;
    if (this.#isPaused) this.resume();
  }

  /** False: wait for onDrain. */
  write(data: string | Buffer): boolean {
    return typeof data === 'string' ? this.accepted.socket.write(data, 'latin1') : this.accepted.socket.write(data);
  }

  cork(): void {
    this.accepted.socket.cork();
  }

  uncork(): void {
    this.accepted.socket.uncork();
  }

  pause(): void {
    this.#isPaused = true;
    this.#reader.pause();
    if (!this.#isReading) this.accepted.socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#reader.resume();
    if (this.#isReading) return;
    const rest = this.#rest;
    this.#rest = null;
    this.#read(rest ?? NOTHING);
    if (!this.#isPaused) this.accepted.socket.resume();
  }

  /** It waits for its next exchange. */
  rest(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#idleUntilMs = nowMs + this.idleTimeoutMs;
    if (this.#deadlineAtMs <= this.#idleUntilMs) return; // and begins anew then: no timer per exchange
    this.#idleDeadline?.cancel();
    this.#waitUntilIdle(this.idleTimeoutMs);
  }

  /** Once it is closed. */
  reasonOfClose(): CloseReason {
    return this.closeReason ?? (this.accepted.failure === null ? 'backend' : 'error');
  }

  /** Now, whatever it carries. */
  breakOff(reason: CloseReason): void {
    this.closeReason = reason;
    this.#reader.stop();
    this.accepted.socket.destroy();
  }

  close(reason: CloseReason): void {
    this.closeReason = reason;
    this.accepted.socket.destroySoon();
  }

  readonly #onData = (chunk: Buffer): void => {
    // What was on its way when it was paused
    if (this.#rest !== null) this.#rest = Buffer.concat([this.#rest, chunk]);
    else this.#read(chunk);
  };

  #read(chunk: Buffer): void {
    const exchange = this.#exchange;
    if (exchange === null || !exchange.sent) {
      // Nobody has asked for anything: an answer to this could only be one to somebody else.
      if (chunk.length > 0 && (this.exchanges === 0 || !isLineEnds(chunk, 0))) this.accepted.socket.destroy();
      return;
    }
    try {
      this.#readFor(exchange, chunk);
    } catch (thrown) {
      exchange.onDefect(thrown);
    } finally {
      this.#isReading = false;
    }
  }

  #readFor(exchange: CarriedExchange, chunk: Buffer): void {
    this.#isReading = true;
    const used = this.#reader.read(chunk);
    this.#isReading = false;
    if (typeof used !== 'number') {
      this.breakOff('error');
      exchange.onFault(used);
    } else if (exchange.over) {
      return;
    } else if (this.#reader.isSwitched) {
      this.#handOver(used === chunk.length ? null : chunk.subarray(used));
      exchange.onSwitched();
    } else if (this.#isPaused) {
      this.#rest = used === chunk.length ? null : chunk.subarray(used);
      this.accepted.socket.pause();
    } else if (this.#reader.isComplete) {
      if (!isLineEnds(chunk, used)) this.isSpent = true;
      exchange.onComplete(this.#reader.trailers);
    }
  }

  /** The socket as it was before listen(), for whoever takes it. */
  #handOver(early: Buffer | null): void {
    const { socket } = this.accepted;
    socket.off('data', this.#onData).off('end', this.#onEnd).off('drain', this.#onDrain).off('close', this.#onClose);
    socket.pause();
    if (early !== null) socket.unshift(early);
    socket.on('readable', ignore).off('readable', ignore); // so that it flows again when somebody listens for 'data'
    socket.ref();
    this.#idleDeadline?.cancel();
  }

  readonly #onEnd = (): void => {
    const exchange = this.#exchange;
    const isWhole = this.#reader.endsWithConnection && this.accepted.failure === null;
    if (isWhole) this.#reader.stop();
    this.accepted.socket.destroy();
    if (isWhole) exchange?.onComplete(NO_TRAILERS);
  };

  readonly #onDrain = (): void => {
    this.#exchange?.onDrain();
  };

  readonly #onClose = (): void => {
    this.#idleDeadline?.cancel();
    this.#exchange?.onClosed(this.accepted.failure ?? new Error('the backend closed the connection'));
  };

  readonly #onIdleDeadline = (): void => {
    this.#idleDeadline = null;
    this.#deadlineAtMs = Number.POSITIVE_INFINITY;
    if (this.#exchange !== null) return; // rest() begins anew
    const leftMs = this.#idleUntilMs - this.#clock.monotonicMs();
    if (leftMs > 1) this.#waitUntilIdle(leftMs);
    else this.breakOff('idle');
  };

  #waitUntilIdle(leftMs: number): void {
    this.#deadlineAtMs = this.#idleUntilMs;
    this.#idleDeadline = startDeadline(leftMs, this.#onIdleDeadline);
  }
}

/** Nothing but empty lines, which a client skips (RFC 9112 section 2.2). */
function isLineEnds(bytes: Buffer, from: number): boolean {
  for (let i = from; i < bytes.length; i++) if (bytes[i] !== CR && bytes[i] !== LF) return false;
  return true;
}

function ignore(): void {}

/** Spec 4.4: the keep-alive timeout towards backends is fixed; only a backend's Keep-Alive field makes it shorter. */
export const IDLE_TIMEOUT_MS = 600_000;

const NO_TRAILERS: readonly string[] = [];
const NOTHING = Buffer.alloc(0);
const LF = 0x0a;
const CR = 0x0d;
