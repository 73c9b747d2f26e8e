// hot path: types only. What frontend and forward share of a connection whose bytes are carried as they come.
import type { Duplex } from 'node:stream';
import type { ProxyError } from '../base/errors.ts';
import type { ConnectionFacts } from './exchange.ts';

/**
 * A connection from a client, secured if its proxy ends TLS, of which no application byte has been read. Whoever gets it owns the
 * socket, attaches at once, and ends it.
 */
export interface ClientStream {
  readonly connection: ConnectionFacts;
  /** Half-open: what the client's end means to the other direction is its owner's business. */
  readonly socket: Duplex;
  /** Monotonic milliseconds when its bytes may flow: after the handshake. */
  readonly startedAtMs: number;
  attach(handler: ClientStreamHandler): void;
  /** Ends it so that the client cannot take what it got for complete: a TCP reset, under TLS as well. */
  reset(): void;
}

export interface ClientStreamHandler {
  /** The proxy ends it: drain is over, or its listener is gone. */
  onAbort(error: ProxyError): void;
}
