import { type Deadline, startDeadline } from '../base/deadline.ts';
import type { ClientAuthentication } from './client-auth.ts';
import { type ClientConnection, clientAuthenticationOf } from './client-connection.ts';
import type { FrontendProxy } from './contract.ts';

/**
 * Verdicts on clients outlive neither the trust that they were made under nor the certificates (security rule 21). Connections
 * whose client does not verify any more, or was never asked where the newest proxy asks, end after their current exchange, and what
 * then still runs (WebSocket, tunnel) after `drain.timeoutSec`.
 */
export class ClientReview {
  readonly #connections: ReadonlySet<ClientConnection>;
  readonly #deadlines = new Map<ClientConnection, Deadline>();

  /** `connections`: those that are there at the moment; who is still in its handshake is judged when that is over. */
  constructor(connections: ReadonlySet<ClientConnection>) {
    this.#connections = connections;
  }

  closed(connection: ClientConnection): void {
    if (!connection.isExpelled) return;
    this.#deadlines.get(connection)?.cancel();
    this.#deadlines.delete(connection);
  }

  /** The proxy may have changed: every connection that it has not judged yet is judged, some at a time. */
  review(proxy: FrontendProxy, atMs: number, timeoutMs: number): void {
    this.#reviewSome([...this.#connections], 0, proxy, atMs, timeoutMs);
  }

  reviewOne(connection: ClientConnection, proxy: FrontendProxy, atMs: number, timeoutMs: number): void {
    const wanted = clientAuthenticationOf(proxy);
    if (connection.judgedBy === wanted || connection.isExpelled) return;
    // where nobody asks any more, what was verified stays so until it runs out
    if (wanted === null || isStillAuthenticated(connection, wanted, atMs)) connection.judgedBy = wanted;
    else this.#expel(connection, timeoutMs);
  }

  /** A connection whose turn has not come is judged before its next exchange (client-connection.ts). */
  #reviewSome(
    all: readonly ClientConnection[],
    from: number,
    proxy: FrontendProxy,
    atMs: number,
    timeoutMs: number,
  ): void {
    const to = Math.min(from + AT_A_TIME, all.length);
    for (let i = from; i < to; i++) {
      const connection = all[i]!;
      if (isOpen(connection) && this.#connections.has(connection)) this.reviewOne(connection, proxy, atMs, timeoutMs);
    }
    if (to < all.length) setImmediate(() => this.#reviewSome(all, to, proxy, atMs, timeoutMs));
  }

  /** Ends connections whose certificate, or one above it, has run out, unless another path still verifies. */
  sweep(atMs: number, timeoutMs: number): void {
    for (const connection of this.#connections) {
      if (connection.validUntilMs >= atMs || connection.isExpelled || !isOpen(connection)) continue;
      const { judgedBy } = connection;
      if (judgedBy === null || !isStillAuthenticated(connection, judgedBy, atMs)) this.#expel(connection, timeoutMs);
    }
  }

  #expel(connection: ClientConnection, timeoutMs: number): void {
    if (connection.isExpelled) return;
    connection.isExpelled = true;
    this.#deadlines.set(
      connection,
      startDeadline(timeoutMs, () => connection.rawSocket.destroy()),
    );
    connection.draining?.drain();
  }
}

function isOpen({ draining }: ClientConnection): boolean {
  return draining !== null;
}

/** Judges the chain that the client sent in its handshake; a verdict that stands is what its next exchanges show. */
function isStillAuthenticated(connection: ClientConnection, wanted: ClientAuthentication, atMs: number): boolean {
  const before = connection.tls?.clientCertificate ?? null;
  if (before === null) return false;
  const { facts, validUntilMs } = wanted.judge(before.chain, atMs);
  if (!facts.verified && (wanted.rejectsInvalid || before.verified)) return false;
  connection.tls?.authenticated(facts, connection.tls.servedNames);
  connection.serialised = null; // what a log made of the facts before
  connection.validUntilMs = validUntilMs;
  return true;
}

const AT_A_TIME = 16; // a chain takes up to 1 ms, a hostile one 50
