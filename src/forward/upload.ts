// hot path: onData runs per chunk of a request body.
import type { BackendCall } from '../backend/contract.ts';
import type { Exchange, HeaderList } from '../http/exchange.ts';
import { forwardableTrailers } from '../http/hop-by-hop.ts';
import type { RemovedFields } from '../http/removed-fields.ts';

/**
 * The request body on its way from the exchange to one call after another. Nothing is read before a backend wants it; once a
 * byte was given to a backend (`taken`), there is no second attempt. `call` is null between attempts.
 */
export class Upload {
  taken = false;
  ended = false;
  /** Trailer fields that an HTTP/1.1 backend cannot get (spec 10.22). */
  droppedTrailers = 0;
  private readonly exchange: Exchange;
  private readonly trailersTo: 'http1' | 'http2';
  private readonly removed: RemovedFields;
  private started = false;
  private stopped = false;
  private held: Buffer[] | null = null;
  private trailers: HeaderList | null = null;

  constructor(exchange: Exchange, trailersTo: 'http1' | 'http2', removed: RemovedFields) {
    this.exchange = exchange;
    this.trailersTo = trailersTo;
    this.removed = removed;
  }

  onWanted(call: BackendCall): void {
    if (this.stopped) return;
    if (this.held !== null && !this.writeHeld(call, this.held)) return;
    if (this.ended) {
      call.endBody(this.trailers);
    } else if (this.started) {
      this.exchange.resumeBody();
    } else {
      this.started = true;
      this.exchange.readBody();
    }
  }

  onData(call: BackendCall | null, chunk: Buffer): void {
    if (this.stopped) return;
    if (call === null || this.held !== null) {
      this.held ??= []; // what was on its way when the body was paused between two attempts
      this.held.push(chunk);
      this.exchange.pauseBody();
      return;
    }
    this.taken = true;
    if (!call.writeBody(chunk)) this.exchange.pauseBody();
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

  /** Between two attempts; the next onWanted goes on. */
  pause(): void {
    if (this.started && !this.ended) this.exchange.pauseBody();
  }

  /** For good: the rest is for nobody, and the exchange will discard it. */
  stop(): void {
    this.stopped = true;
    this.held = null;
    this.pause();
  }

  private writeHeld(call: BackendCall, held: readonly Buffer[]): boolean {
    this.held = null;
    this.taken = true;
    let wantsMore = true;
    for (let i = 0; i < held.length; i++) wantsMore = call.writeBody(held[i]!);
    if (!wantsMore && this.ended) call.endBody(this.trailers);
    return wantsMore;
  }
}
