// hot path: runs for every plaintext connection, before anything is known of the client.
import type { Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { plainProtocol } from '../http/http2-preface.ts';
import type { ClientConnection } from './client-connection.ts';
import { FirstBytes } from './first-bytes.ts';
import { type RefusalReason, refuseConnection } from './handshake-failure.ts';
import type { FrontendTimeouts } from './timeouts.ts';

/** What the beginning of a plaintext connection needs of the listener. */
export interface PlainStartOwner {
  readonly timeouts: FrontendTimeouts;
  readonly clock: Clock;
  /** It ended, one way or the other. */
  onHandshakeOver(): void;
  onOpen(socket: Socket, connection: ClientConnection, protocol: 'http1' | 'http2'): void;
}

/**
 * From accept to the first bytes of a plaintext HTTP connection, under the deadline of a handshake: HTTP/2 with prior knowledge
 * or HTTP/1. `Upgrade: h2c` is not one of the ways (security rule 9). A client that speaks TLS is told nothing: an alert would
 * need a TLS of ours.
 */
export class PlainStart {
  readonly #owner: PlainStartOwner;
  readonly #connection: ClientConnection;
  readonly #acceptedAtMs: number;
  /** So far: less than a preface of HTTP/2. */
  #seen: Buffer | null = null;
  #protocol: 'http1' | 'http2' | 'tls' = 'http1';

  constructor(owner: PlainStartOwner, connection: ClientConnection, acceptedAtMs: number) {
    this.#owner = owner;
    this.#connection = connection;
    this.#acceptedAtMs = acceptedAtMs;
    connection.rawSocket.on('error', ignore); // 'close' follows
    new FirstBytes(
      connection.rawSocket,
      acceptedAtMs + owner.timeouts.handshakeMs - owner.clock.monotonicMs(),
      (chunk) => this.#read(chunk),
      (end) => {
        owner.onHandshakeOver();
        if (end === 'read') this.#onRead();
        else if (end === 'timeout') this.#refuse('first_bytes_timeout', 'no request began in time');
        else this.#refuse('peer_closed', 'closed before a request');
      },
    );
  }

  #read(chunk: Buffer): boolean {
    const bytes = this.#seen === null ? chunk : Buffer.concat([this.#seen, chunk]);
    const protocol = plainProtocol(bytes);
    if (protocol === 'need-more') {
      this.#seen = bytes;
      return false;
    }
    this.#protocol = protocol;
    this.#connection.rawSocket.unshift(bytes);
    return true;
  }

  #onRead(): void {
    if (this.#protocol === 'tls') this.#refuse('tls_on_plain_port', 'a TLS record where plain HTTP is expected');
    else this.#owner.onOpen(this.#connection.rawSocket, this.#connection, this.#protocol);
  }

  #refuse(reason: RefusalReason, detail: string): void {
    refuseConnection(this.#connection, reason, detail, this.#owner.clock.monotonicMs() - this.#acceptedAtMs);
  }
}

function ignore(): void {}
