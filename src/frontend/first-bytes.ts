// hot path: runs for connections that begin with something else than TLS.
import type { Socket } from 'node:net';
import { type Deadline, startDeadline } from '../base/deadline.ts';

export type FirstBytesEnd = 'read' | 'timeout' | 'closed';

/** Takes a chunk; true: it needs no more. */
export type FirstBytesReader = (chunk: Buffer) => boolean;

/**
 * Reads what comes first on a socket, under a deadline, and lets go of the socket when `read` has enough. The reader puts back
 * what it does not want. `onOver` runs once.
 */
export class FirstBytes {
  readonly #socket: Socket;
  readonly #read: FirstBytesReader;
  readonly #onOver: (end: FirstBytesEnd) => void;
  readonly #deadline: Deadline;
  readonly #onReadable = () => this.#readAll();
  readonly #onClosed = () => this.#end('closed');

  constructor(socket: Socket, timeoutMs: number, read: FirstBytesReader, onOver: (end: FirstBytesEnd) => void) {
    this.#socket = socket;
    this.#read = read;
    this.#onOver = onOver;
    this.#deadline = startDeadline(Math.max(0, timeoutMs), () => this.#end('timeout'));
    socket.on('readable', this.#onReadable);
    socket.on('end', this.#onClosed);
    socket.on('close', this.#onClosed);
  }

  #readAll(): void {
    let chunk: Buffer | null;
    // biome-ignore lint/suspicious/noAssignInExpressions: the form that node:stream documents
    while ((chunk = this.#socket.read() as Buffer | null) !== null) {
      if (!this.#read(chunk)) continue;
      this.#end('read');
      return;
    }
  }

  #end(end: FirstBytesEnd): void {
    this.#deadline.cancel();
    this.#socket.removeListener('readable', this.#onReadable);
    this.#socket.removeListener('end', this.#onClosed);
    this.#socket.removeListener('close', this.#onClosed);
    this.#onOver(end);
  }
}
