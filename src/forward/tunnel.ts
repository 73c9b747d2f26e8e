// hot path: onClientData and onBackendData run per chunk.
import { randomBytes } from 'node:crypto';
import { addAbortSignal, type Duplex } from 'node:stream';
import type { Clock } from '../base/clock.ts';
import { type Deadline, startDeadline } from '../base/deadline.ts';
import { goingAwayFrame, WebSocketFrames } from '../http/websocket-frames.ts';

/** How a tunnel ended: both sides said goodbye, one of them broke off, nothing moved for too long, or we were told to. */
export type TunnelEnd = 'closed' | 'client-broke' | 'backend-broke' | 'idle' | 'aborted';

export interface TunnelOptions {
  /** 'websocket': frames are followed, so that goAway() can say its word between two. */
  readonly carries?: 'bytes' | 'websocket';
  /** Bumped by every chunk that comes from the client, and for it. */
  readonly received?: { value: number };
  readonly sent?: { value: number };
  /** How a side is cut off when one of them broke off; by default it is destroyed, which can look like an end. */
  readonly cutClient?: () => void;
  readonly cutBackend?: () => void;
}

/**
 * Bytes both ways between two sockets, with back-pressure and half-close, until both directions ended, one side broke, or
 * neither sent anything for `idleMs`. `onClosed` runs once, when both sockets are closed or destroyed.
 */
export class Tunnel {
  clientBytes = 0;
  backendBytes = 0;
  readonly #client: Duplex;
  readonly #backend: Duplex;
  readonly #idleMs: number;
  readonly #clock: Clock;
  readonly #onClosed: (end: TunnelEnd) => void;
  readonly #received: { value: number };
  readonly #sent: { value: number };
  readonly #options: TunnelOptions;
  #idle: Deadline | null;
  #activeAtMs: number;
  #end: TunnelEnd | null = null;
  #isLeaving = false;
  /** What passes to each side; null: no frames that this proxy knows. */
  readonly #toClient: WebSocketFrames | null;
  readonly #toBackend: WebSocketFrames | null;
  #open = 2;

  constructor(
    client: Duplex,
    backend: Duplex,
    idleMs: number,
    clock: Clock,
    onClosed: (end: TunnelEnd) => void,
    options: TunnelOptions = {},
  ) {
    this.#client = client;
    this.#backend = backend;
    this.#idleMs = idleMs;
    this.#clock = clock;
    this.#onClosed = onClosed;
    this.#toClient = options.carries === 'websocket' ? new WebSocketFrames() : null;
    this.#toBackend = options.carries === 'websocket' ? new WebSocketFrames() : null;
    this.#options = options;
    this.#received = options.received ?? { value: 0 };
    this.#sent = options.sent ?? { value: 0 };
    this.#activeAtMs = clock.monotonicMs();
    this.#idle = startDeadline(idleMs, () => this.#checkIdle());

    client.on('error', () => this.#break('client-broke'));
    backend.on('error', () => this.#break('backend-broke'));
    client.on('close', () => this.#sideClosed(client, backend, 'client-broke'));
    backend.on('close', () => this.#sideClosed(backend, client, 'backend-broke'));
    client.on('end', () => backend.end());
    backend.on('end', () => client.end());
    client.on('drain', () => backend.resume());
    backend.on('drain', () => client.resume());
    client.on('data', (chunk: Buffer) => this.#onClientData(chunk));
    backend.on('data', (chunk: Buffer) => this.#onBackendData(chunk));
    if (client.closed) this.#sideClosed(client, backend, 'client-broke');
    if (backend.closed) this.#sideClosed(backend, client, 'backend-broke');
  }

  abort(): void {
    this.#break('aborted');
  }

  /**
   * The proxy ends: both sides are told 1001 where their last frame is whole and was not a close frame, and then get FIN. What
   * still comes is for nobody; who does not close is the caller's to cut.
   */
  goAway(): void {
    if (this.#isLeaving || this.#end !== null) return;
    this.#isLeaving = true;
    this.#end = 'closed';
    if (mayTakeFrame(this.#toClient, this.#client)) this.#client.write(goingAwayFrame(null));
    if (mayTakeFrame(this.#toBackend, this.#backend)) this.#backend.write(goingAwayFrame(randomBytes(4)));
    this.#client.end();
    this.#backend.end();
    this.#client.resume();
    this.#backend.resume();
  }

  #onClientData(chunk: Buffer): void {
    if (this.#isLeaving) return;
    this.clientBytes += chunk.length;
    this.#toBackend?.push(chunk);
    this.#received.value += chunk.length;
    this.#activeAtMs = this.#clock.monotonicMs();
    if (!this.#backend.write(chunk)) this.#client.pause();
  }

  #onBackendData(chunk: Buffer): void {
    if (this.#isLeaving) return;
    this.backendBytes += chunk.length;
    this.#toClient?.push(chunk);
    this.#sent.value += chunk.length;
    this.#activeAtMs = this.#clock.monotonicMs();
    if (!this.#client.write(chunk)) this.#backend.pause();
  }

  #checkIdle(): void {
    const restMs = this.#activeAtMs + this.#idleMs - this.#clock.monotonicMs();
    if (restMs <= 0) this.#break('idle');
    else this.#idle = startDeadline(Math.ceil(restMs), () => this.#checkIdle());
  }

  #break(end: TunnelEnd): void {
    this.#end ??= end;
    cut(this.#client, this.#options.cutClient);
    cut(this.#backend, this.#options.cutBackend);
  }

  /** After an orderly end the other side still gets what was written to it; otherwise it is cut as this one was. */
  #sideClosed(side: Duplex, other: Duplex, broke: TunnelEnd): void {
    this.#open--;
    if (this.#open > 0) {
      if (!side.readableEnded) {
        this.#break(broke);
      } else if (other.writableFinished) {
        other.destroy();
      } else {
        other.end(() => other.destroy());
        other.resume(); // what it still sends has nowhere to go
      }
      return;
    }
    this.#idle?.cancel();
    this.#idle = null;
    this.#onClosed(this.#end ?? 'closed');
  }
}

function mayTakeFrame(frames: WebSocketFrames | null, side: Duplex): boolean {
  if (frames === null) return false;
  return frames.isAtBoundary && !frames.hasClose && side.writable;
}

/** With an AbortError, which node:http2 sends as RST_STREAM(CANCEL) (RFC 8441 section 5); a plain destroy() would say NO_ERROR. */
function cut(side: Duplex, byOwner: (() => void) | undefined): void {
  if (side.destroyed) return;
  if (byOwner === undefined) {
    addAbortSignal(CUT, side);
    return;
  }
  side.pause();
  byOwner();
}

const CUT = AbortSignal.abort();
