// hot path
import { EventEmitter } from 'node:events';
import type { Readable } from 'node:stream';

/**
 * The request body as undici wants it, without the weight of a Readable: undici listens for 'data', 'end', 'error' and 'close'
 * and calls pause(), resume() and destroy(). Each chunk goes from the client's parser to the backend's socket in one call,
 * with no queue, promise or closure between; nothing of the client's connection is ever in undici's hands to destroy.
 */
export class RequestBody extends EventEmitter {
  paused = false;
  destroyed = false;
  readonly #onWanted: BodyConsumer;

  constructor(consumer: BodyConsumer) {
    super();
    this.#onWanted = consumer;
  }

  /** undici tells streams from other bodies by this method; it never calls it. */
  pipe(): never {
    throw new Error('Cannot pipe a request body: it is written by its exchange');
  }

  pause(): this {
    this.paused = true;
    return this;
  }

  resume(): this {
    this.paused = false;
    this.#onWanted.bodyWanted();
    return this;
  }

  destroy(error?: Error | null): this {
    if (this.destroyed) return this;
    this.destroyed = true;
    process.nextTick(close, this, error ?? null);
    return this;
  }

  /** False: the socket's buffer is full; wait for `bodyWanted`. */
  write(chunk: Buffer): boolean {
    if (this.destroyed) return true;
    this.emit('data', chunk);
    return !this.paused;
  }

  end(): void {
    if (!this.destroyed) this.emit('end');
  }

  asReadable(): Readable {
    return this as unknown as Readable;
  }
}

export interface BodyConsumer {
  bodyWanted(): void;
}

function close(body: RequestBody, error: Error | null): void {
  if (error !== null && body.listenerCount('error') > 0) body.emit('error', error);
  body.emit('close');
}
