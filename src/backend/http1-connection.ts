import { Client } from 'undici';
import type { AcceptedConnection } from './connect.ts';
import type { CloseReason } from './events.ts';
import { MAX_RESPONSE_HEAD_BYTES } from './header-list.ts';

/**
 * One connection and the undici Client that speaks HTTP/1.1 on it. One Client per socket, handed over after the verdict, and
 * never a second one: so a request knows on which connection it goes, undici cannot reconnect behind our back, and a wait
 * queue of its own, one that fails every request at each failed connect, never forms.
 *
 * The origin says http: even over TLS. undici looks at it for one thing only: with https: it compares the Host header of each
 * request with the connection's server name and drops the connection when they differ.
 */
export class Http1Connection {
  readonly accepted: AcceptedConnection;
  readonly client: Client;
  /** Exchanges that have begun on it. */
  exchanges = 0;
  /** It is logged in as one client's user, or about to be: no other exchange may follow (security rule 34). */
  isLoggedIn = false;
  /** Its parser has lost its way: no other exchange may follow. */
  isSpent = false;
  /** Set where this side decided to close it. */
  closeReason: CloseReason | null = null;
  #handedOver = false;

  constructor(accepted: AcceptedConnection) {
    this.accepted = accepted;
    this.client = new Client('http://backend.invalid', {
      ...CLIENT_OPTIONS,
      connect: (_options, callback) => {
        // Not from within: undici asks in the middle of a resume and would not look again.
        if (this.#handedOver) process.nextTick(callback, new ConnectionGoneError(), null);
        else process.nextTick(callback, null, accepted.socket);
        this.#handedOver = true;
      },
    });
  }

  get usable(): boolean {
    return !this.accepted.socket.destroyed && this.accepted.socket.readable;
  }

  /** Waits, unused, outside undici: a byte or an end that comes now belongs to no exchange. */
  park(): void {
    const { socket } = this.accepted;
    socket.on('data', destroySocket).on('end', destroySocket).resume();
    socket.unref();
  }

  unpark(): void {
    const { socket } = this.accepted;
    socket.off('data', destroySocket).off('end', destroySocket).pause();
    socket.ref();
  }

  get unused(): boolean {
    return !this.#handedOver;
  }

  /** Once it is closed. */
  reasonOfClose(): CloseReason {
    const { failure } = this.accepted;
    return this.closeReason ?? (failure === null ? 'backend' : informationalReason(failure));
  }

  /** Now, whatever it carries. */
  breakOff(reason: CloseReason): void {
    this.closeReason = reason;
    this.accepted.socket.destroy();
  }

  close(reason: CloseReason): void {
    this.closeReason = reason;
    this.accepted.socket.destroySoon();
  }
}

/** undici's word for a close of its own making. */
function informationalReason(failure: Error): CloseReason {
  if ((failure as NodeJS.ErrnoException).code !== 'UND_ERR_INFO') {
    return (failure as NodeJS.ErrnoException).code === 'UND_ERR_SOCKET' ? 'backend' : 'error';
  }
  return failure.message === 'socket idle timeout' ? 'idle' : 'not-reusable';
}

/** The pooled connection turned out to be closed before a byte of the request was written. */
class ConnectionGoneError extends Error {
  override name = 'ConnectionGoneError';
}

function destroySocket(this: { destroy(): void }): void {
  this.destroy();
}

/** Spec 4.4: the keep-alive timeout towards backends is fixed; undici goes below it when a backend's Keep-Alive header says so. */
export const IDLE_TIMEOUT_MS = 600_000;

const CLIENT_OPTIONS = {
  allowH2: false,
  pipelining: 1,
  headersTimeout: 0, // forward owns the deadline of an exchange (spec 10.23)
  bodyTimeout: 0,
  maxHeaderSize: MAX_RESPONSE_HEAD_BYTES, // undici counts names and values only: what is a little too long is refused after it
  keepAliveTimeout: IDLE_TIMEOUT_MS,
  keepAliveMaxTimeout: IDLE_TIMEOUT_MS,
} as const;
