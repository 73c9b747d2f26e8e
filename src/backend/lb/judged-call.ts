// hot path where outlierDetection is configured: one object per attempt.
import type { Duplex } from 'node:stream';
import type { ProxyError } from '../../base/errors.ts';
import type { HeaderList } from '../../http/exchange.ts';
import type { BackendCall, BackendConnectionFacts, BackendHandler, BackendRequest } from '../contract.ts';
import type { EndpointPool } from '../endpoint-pool.ts';
import type { AttemptOutcome, OutlierDetection, Suspect } from './outlier-detection.ts';

/** Stands between an attempt and its handler, and tells the outlier detection once how it went. */
export class JudgedCall implements BackendCall, BackendHandler {
  readonly #detection: OutlierDetection;
  readonly #endpoint: Suspect;
  readonly #handler: BackendHandler;
  readonly #call: BackendCall;
  #isJudged = false;

  constructor(
    detection: OutlierDetection,
    endpoint: Suspect & { readonly pool: EndpointPool },
    request: BackendRequest,
    handler: BackendHandler,
  ) {
    this.#detection = detection;
    this.#endpoint = endpoint;
    this.#handler = handler;
    this.#call = endpoint.pool.send(request, this);
  }

  get sent(): boolean {
    return this.#call.sent;
  }

  writeBody(chunk: Buffer): boolean {
    return this.#call.writeBody(chunk);
  }

  endBody(trailers: HeaderList | null): void {
    this.#call.endBody(trailers);
  }

  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  /** A client that leaves says nothing about the endpoint; a deadline does. */
  abort(error: ProxyError): void {
    if (error.code === 'backend_timeout') this.#judge('gateway');
    this.#isJudged = true;
    this.#call.abort(error);
  }

  onConnection(facts: BackendConnectionFacts): void {
    this.#handler.onConnection(facts);
  }

  onBodyWanted(): void {
    this.#handler.onBodyWanted();
  }

  onInterim(status: number, headers: HeaderList): void {
    this.#handler.onInterim(status, headers);
  }

  onResponse(status: number, headers: HeaderList): void {
    this.#judge(outcomeOf(status));
    this.#handler.onResponse(status, headers);
  }

  onData(chunk: Buffer): void {
    this.#handler.onData(chunk);
  }

  onEnd(trailers: HeaderList): void {
    this.#handler.onEnd(trailers);
  }

  onUpgrade(status: number, headers: HeaderList, socket: Duplex): void {
    this.#judge('success');
    this.#handler.onUpgrade(status, headers, socket);
  }

  /** What this side refused (phase 'pick') never got to the endpoint. */
  onError(error: ProxyError): void {
    if (error.phase !== 'pick') this.#judge('gateway');
    this.#handler.onError(error);
  }

  #judge(outcome: AttemptOutcome): void {
    if (this.#isJudged) return;
    this.#isJudged = true;
    this.#detection.record(this.#endpoint, outcome);
  }
}

function outcomeOf(status: number): AttemptOutcome {
  if (status < 500) return 'success';
  return status >= 502 && status <= 504 ? 'gateway' : 'error';
}
