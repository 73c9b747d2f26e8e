import type { Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { Turn } from '../base/turn.ts';
import type { ClientConnection, Draining } from './client-connection.ts';
import { Http1Connection } from './http1-connection.ts';
import type { FrontendTimeouts } from './timeouts.ts';

/** HTTP/1.x over sockets that others accepted. Deadlines are checked in one sweep over all connections instead of by timers per request. */
export class Http1Door {
  readonly timeouts: FrontendTimeouts;
  readonly clock: Clock;
  readonly turn = new Turn();
  readonly #connections = new Set<Http1Connection>();
  readonly #sweep: NodeJS.Timeout;

  constructor(timeouts: FrontendTimeouts, clock: Clock) {
    this.timeouts = timeouts;
    this.clock = clock;
    this.#sweep = setInterval(() => this.#checkAll(), timeouts.checkIntervalMs);
    this.#sweep.unref();
  }

  get size(): number {
    return this.#connections.size;
  }

  /** `socket`: the TLS socket after its handshake, or a plain one. Returns what ends it after its exchange. */
  accept(socket: Socket, facts: ClientConnection): Draining {
    const connection = new Http1Connection(this, socket, facts);
    this.#connections.add(connection);
    return connection;
  }

  onClosed(connection: Http1Connection): void {
    this.#connections.delete(connection);
  }

  /** Idle connections close, busy ones after their exchange. */
  drain(): void {
    for (const connection of this.#connections) connection.drain();
  }

  /** The time to drain is over: tunnels are told, everything else is cut. */
  goAway(): void {
    for (const connection of this.#connections) connection.goAway();
  }

  closeNow(): void {
    for (const { socket } of this.#connections) socket.destroy();
  }

  /** Ends the sweep; connections are closed by drain() or closeNow(). */
  stop(): void {
    clearInterval(this.#sweep);
  }

  #checkAll(): void {
    const nowMs = this.clock.monotonicMs();
    for (const connection of this.#connections) connection.check(nowMs);
  }
}
