import type { Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { ProxyError } from '../base/errors.ts';
import type { ClientStream, ClientStreamHandler } from '../http/client-stream.ts';
import type { ConnectionFacts } from '../http/exchange.ts';
import { resetSocket } from '../tls/reset-socket.ts';
import type { ClientConnection, Draining } from './client-connection.ts';

/** Connections whose bytes are carried as they come. */
export class StreamDoor {
  readonly #clock: Clock;
  readonly #open = new Set<OpenStream>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `socket`: the TLS socket after its handshake, or a plain one. Returns what ends it in order, which nobody can. */
  accept(socket: Socket, connection: ClientConnection): Draining {
    const { traffic } = connection.proxy;
    if (traffic.kind !== 'stream') throw new Error(`${connection.targetProxy} carries requests, not streams`);
    socket.allowHalfOpen = true; // one direction may end long before the other
    const stream = new OpenStream(socket, connection, this.#clock.monotonicMs());
    this.#open.add(stream);
    socket.on('close', () => this.#open.delete(stream));
    socket.on('error', ignore); // 'close' follows
    traffic.onStream(stream);
    return this;
  }

  /** A stream has no moment at which it could be asked to leave: it runs until it ends, or closeNow() comes. */
  drain(): void {}

  closeNow(): void {
    for (const stream of this.#open) stream.abort();
  }
}

class OpenStream implements ClientStream {
  readonly connection: ConnectionFacts;
  readonly socket: Socket;
  readonly startedAtMs: number;
  readonly #rawSocket: Socket;
  #handler: ClientStreamHandler | null = null;

  constructor(socket: Socket, connection: ClientConnection, startedAtMs: number) {
    this.socket = socket;
    this.connection = connection;
    this.startedAtMs = startedAtMs;
    this.#rawSocket = connection.rawSocket;
  }

  attach(handler: ClientStreamHandler): void {
    this.#handler = handler;
  }

  reset(): void {
    resetSocket(this.#rawSocket, this.socket);
  }

  abort(): void {
    this.#handler?.onAbort(new ProxyError('proxy_draining', { phase: 'relay' }));
    this.reset();
  }
}

function ignore(): void {}
