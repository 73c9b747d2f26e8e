// hot path: onClientData and onBackendData run per chunk.
import type { Duplex } from 'node:stream';
import type { Clock } from '../base/clock.ts';
import { type Deadline, startDeadline } from '../base/deadline.ts';

/** How a tunnel ended: both sides said goodbye, one of them broke off, nothing moved for too long, or we were told to. */
export type TunnelEnd = 'closed' | 'client-broke' | 'backend-broke' | 'idle' | 'aborted';

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
  #idle: Deadline | null;
  #activeAtMs: number;
  #end: TunnelEnd | null = null;
  #open = 2;

  constructor(client: Duplex, backend: Duplex, idleMs: number, clock: Clock, onClosed: (end: TunnelEnd) => void) {
    this.#client = client;
    this.#backend = backend;
    this.#idleMs = idleMs;
    this.#clock = clock;
    this.#onClosed = onClosed;
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

  #onClientData(chunk: Buffer): void {
    this.clientBytes += chunk.length;
    this.#activeAtMs = this.#clock.monotonicMs();
    if (!this.#backend.write(chunk)) this.#client.pause();
  }

  #onBackendData(chunk: Buffer): void {
    this.backendBytes += chunk.length;
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
    this.#client.destroy();
    this.#backend.destroy();
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
