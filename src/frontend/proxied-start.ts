import type { BlockList } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { ProxyHeaderReader } from '../http/proxy-protocol-reader.ts';
import type { ClientConnection } from './client-connection.ts';
import { FirstBytes } from './first-bytes.ts';
import { type RefusalReason, refuseConnection } from './handshake-failure.ts';
import type { FrontendTimeouts } from './timeouts.ts';

/** What a connection through a balancer needs of the listener. */
export interface ProxiedStartOwner {
  readonly timeouts: FrontendTimeouts;
  readonly clock: Clock;
  /** It ended without a header. */
  onHandshakeOver(): void;
  /** Who the client is, is known now; `conveyed` false: the balancer speaks for itself. */
  onIdentified(connection: ClientConnection, acceptedAtMs: number, conveyed: boolean): void;
}

/**
 * The header of the PROXY protocol, before anything else on a connection from a trusted source: mandatory there, under the
 * deadline of the handshake that follows (security rule 35).
 */
export class ProxiedStart {
  readonly #owner: ProxiedStartOwner;
  readonly #connection: ClientConnection;
  readonly #acceptedAtMs: number;
  readonly #reader = new ProxyHeaderReader();

  constructor(owner: ProxiedStartOwner, connection: ClientConnection, acceptedAtMs: number) {
    this.#owner = owner;
    this.#connection = connection;
    this.#acceptedAtMs = acceptedAtMs;
    connection.rawSocket.on('error', ignore); // 'close' follows
    new FirstBytes(
      connection.rawSocket,
      owner.timeouts.handshakeMs,
      (chunk) => this.#read(chunk),
      (end) => {
        if (end === 'read') this.#onRead();
        else if (end === 'timeout') this.#refuse('proxy_protocol_timeout', 'no whole PROXY header in time');
        else this.#refuse('peer_closed', 'closed before the end of the PROXY header');
      },
    );
  }

  #read(chunk: Buffer): boolean {
    const status = this.#reader.push(chunk);
    if (status === 'need-more') return false;
    if (this.#reader.rest.length > 0) this.#connection.rawSocket.unshift(this.#reader.rest);
    return true;
  }

  #onRead(): void {
    const { status, addresses, detail } = this.#reader;
    if (status === 'malformed') {
      this.#refuse('proxy_protocol_malformed', detail);
      return;
    }
    if (addresses !== null) this.#connection.convey(addresses);
    this.#owner.onIdentified(this.#connection, this.#acceptedAtMs, addresses !== null);
  }

  #refuse(reason: RefusalReason, detail: string): void {
    this.#owner.onHandshakeOver();
    refuseConnection(this.#connection, reason, detail, this.#owner.clock.monotonicMs() - this.#acceptedAtMs);
  }
}

/** Whether this socket may say for whom it speaks. `address` as of a ClientConnection. */
export function isTrusted(sources: BlockList, address: string): boolean {
  return sources.check(address, address.includes(':') ? 'ipv6' : 'ipv4');
}

function ignore(): void {}
