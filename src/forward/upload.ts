// hot path: onData runs per chunk of a request body.
import type { BackendCall } from '../backend/contract.ts';
import type { Exchange, HeaderList } from '../http/exchange.ts';
import { forwardableTrailers } from '../http/hop-by-hop.ts';
import type { RemovedFields } from '../http/removed-fields.ts';
import { BodyCopy } from './body-copy.ts';
import { type BodyOwner, type Debtor, MeteredBody } from './rate-floor.ts';

/**
 * The request body on its way from the exchange to one call after another. Nothing is read before a backend wants it; once a
 * byte was given to a backend (`taken`), there is a second attempt only with a copy of all that was given. `call` is null between attempts.
 */
export class Upload extends MeteredBody {
  taken = false;
  ended = false;
  /** Trailer fields that an HTTP/1.1 backend cannot get (spec 10.22). */
  droppedTrailers = 0;
  private readonly exchange: Exchange;
  private readonly trailersTo: 'http1' | 'http2';
  private readonly removed: RemovedFields;
  /** A gRPC request: the client sends a message when it has one. */
  private readonly isMessageStream: boolean;
  private started = false;
  private stopped = false;
  private paused = false;
  private backendIsFull = false;
  private held: Buffer[] | null = null;
  private copy: BodyCopy | null = null;
  private copyLimitBytes = 0;
  private trailers: HeaderList | null = null;

  constructor(owner: BodyOwner, exchange: Exchange, trailersTo: 'http1' | 'http2', removed: RemovedFields) {
    super(owner);
    this.exchange = exchange;
    this.trailersTo = trailersTo;
    this.removed = removed;
    this.isMessageStream = trailersTo === 'http2' && exchange.contentLength === -1 && isGrpc(exchange.headers);
  }

  /** From now on what goes to a backend is copied, so that it can go to another; over `limitBytes` it cannot. */
  keepForRetry(limitBytes: number): void {
    this.copyLimitBytes = limitBytes;
    this.copy = this.exchange.contentLength <= limitBytes ? new BodyCopy(limitBytes) : null;
  }

  /** No byte has gone to a backend, or all that have can go to another one. */
  get canRestart(): boolean {
    return !this.taken || (this.copy !== null && this.copy.whole !== null);
  }

  /** No attempt will follow: the response is on its way to the client. */
  dropCopy(): void {
    this.copy = null;
  }

  /**
   * A body of known length is owed from the first byte to the last. One of unknown length is owed until the response begins, and never
   * where it is a stream of messages: there, silence is no debt (spec 10.23 bounds it all the same).
   */
  override get debtor(): Debtor | null {
    if (!this.started || this.ended || this.stopped) return null;
    if (this.paused) return this.backendIsFull ? 'backend' : null;
    if (this.exchange.contentLength === -1 && (this.isMessageStream || this.exchange.responded)) return null;
    return 'client';
  }

  override get movedBytes(): number {
    return this.exchange.requestBytes;
  }

  onWanted(call: BackendCall): void {
    if (this.stopped) return;
    this.backendIsFull = false;
    if (this.held !== null && !this.writeHeld(call, this.held)) return;
    if (this.ended) {
      call.endBody(this.trailers);
    } else if (this.started) {
      this.paused = false;
      this.exchange.resumeBody();
    } else {
      this.started = true;
      this.exchange.readBody(!this.isMessageStream);
    }
  }

  onData(call: BackendCall | null, chunk: Buffer): void {
    if (this.stopped) return;
    if (call === null || this.held !== null) {
      this.held ??= []; // what was on its way when the body was paused between two attempts
      this.held.push(chunk);
      this.pauseClient();
      return;
    }
    this.taken = true;
    this.copy?.append(chunk);
    if (call.writeBody(chunk)) return;
    this.backendIsFull = true;
    this.pauseClient();
  }

  onEnd(call: BackendCall | null, trailers: HeaderList): void {
    this.ended = true;
    if (this.stopped) return;
    if (trailers.length > 0) {
      if (this.trailersTo === 'http2') this.trailers = forwardableTrailers(trailers, this.removed);
      else this.droppedTrailers = trailers.length / 2;
    }
    if (call !== null && this.held === null) call.endBody(this.trailers);
  }

  /** Between two attempts; the next onWanted goes on, from the beginning if anything was taken. */
  pause(): void {
    this.backendIsFull = false;
    if (this.started && !this.ended) this.pauseClient();
    const given = this.taken && this.copy !== null ? this.copy.whole : null;
    if (given === null) return;
    this.held = this.held === null ? [given] : [given, ...this.held];
    this.keepForRetry(this.copyLimitBytes);
    this.taken = false;
  }

  /** For good: the rest is for nobody, and the exchange will discard it. */
  stop(): void {
    this.stopped = true;
    this.held = null;
    this.copy = null;
    if (this.started && !this.ended) this.pauseClient();
  }

  private pauseClient(): void {
    this.paused = true;
    this.exchange.pauseBody();
  }

  private writeHeld(call: BackendCall, held: readonly Buffer[]): boolean {
    this.held = null;
    this.taken = true;
    let wantsMore = true;
    for (let i = 0; i < held.length; i++) {
      this.copy?.append(held[i]!);
      wantsMore = call.writeBody(held[i]!);
    }
    this.backendIsFull = !wantsMore;
    if (!wantsMore && this.ended) call.endBody(this.trailers);
    return wantsMore;
  }
}

function isGrpc(headers: HeaderList): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === 'content-type') return headers[i + 1]!.toLowerCase().startsWith('application/grpc');
  }
  return false;
}
