// hot path
import { startDeadline } from '../base/deadline.ts';
import { ProxyError } from '../base/errors.ts';
import { type AcceptedConnection, type ConnectTerms, connect } from './connect.ts';
import { ConnectQueue } from './connect-queue.ts';
import type { BackendCall, BackendHandler, BackendRequest, Endpoint } from './contract.ts';
import type { EndpointPool, PoolLimits, RetireOrder } from './endpoint-pool.ts';
import type { RetireCause } from './events.ts';
import { Http1Connection } from './http1-connection.ts';
import { Http1Exchange, type Http1Pool as Http1PoolOfExchange } from './http1-exchange.ts';
import { reasonToClose } from './readmit.ts';
import { http1Error } from './translate-error.ts';

/**
 * The HTTP/1.1 connections to one endpoint: one exchange each, the one used last is used next. An exchange that finds none
 * free waits; a connection is opened for each that waits, up to the limit and as the gate allows, and whichever connection is free
 * first takes the first that waits. A failed attempt fails one of them, or, when nothing else is open or on its way, all.
 */
export class Http1Pool implements EndpointPool, Http1PoolOfExchange {
  readonly #terms: ConnectTerms;
  readonly #endpoint: Endpoint;
  #limits: PoolLimits;
  readonly #queue: ConnectQueue;
  readonly #connections = new Set<Http1Connection>();
  readonly #idle: Http1Connection[] = [];
  readonly #waiting = new Set<Http1Exchange>();
  #retired: RetireOrder | null = null;

  constructor(terms: ConnectTerms, endpoint: Endpoint, limits: PoolLimits) {
    this.#terms = terms;
    this.#endpoint = endpoint;
    this.#limits = limits;
    this.#queue = new ConnectQueue(
      terms.clock,
      () => this.#queue.underWay < this.#waiting.size && this.#mayOpen(),
      () => this.#dial(),
    );
  }

  get isFailing(): boolean {
    return this.#queue.isFailing;
  }

  get size(): number {
    return this.#connections.size + this.#queue.underWay;
  }

  get inFlight(): number {
    return this.#connections.size - this.#idle.length + this.#waiting.size;
  }

  get pending(): number {
    return Math.max(0, this.#waiting.size - this.#queue.underWay);
  }

  send(request: BackendRequest, handler: BackendHandler): BackendCall {
    const exchange = new Http1Exchange(this, request, handler);
    const connection = this.#takeIdle();
    if (connection !== null) {
      exchange.start(connection);
      return exchange;
    }
    this.#waiting.add(exchange);
    this.#queue.dialWanted();
    if (this.#waiting.size > this.#queue.underWay && !this.#mayWait()) {
      this.#waiting.delete(exchange);
      process.nextTick(failQueueFull, exchange, this.#endpoint.name);
    }
    return exchange;
  }

  retire(order: RetireOrder): void {
    this.#retired = order;
    this.#terms.sessions = null;
    for (const connection of this.#idle) {
      // Until its moment it may still serve what was routed before.
      startDeadline(Math.random() * order.spreadMs, () => this.#closeIdle(connection, order));
    }
    if (order.spreadMs === 0) for (const connection of this.#idle.splice(0)) connection.close(order.cause);
    this.#settle();
  }

  breakOff(cause: RetireCause): void {
    for (const connection of this.#connections) if (!this.#idle.includes(connection)) connection.breakOff(cause);
  }

  useLimits(limits: PoolLimits): void {
    this.#limits = limits;
  }

  review(): void {
    // Busy ones are asked when they come back.
    for (let at = this.#idle.length - 1; at >= 0; at--) {
      const connection = this.#idle[at]!;
      const reason = reasonToClose(this.#terms, connection.accepted);
      if (reason === null) continue;
      this.#idle.splice(at, 1);
      connection.close(reason);
    }
  }

  #closeIdle(connection: Http1Connection, { cause }: RetireOrder): void {
    const at = this.#idle.indexOf(connection);
    if (at === -1) return;
    this.#idle.splice(at, 1);
    connection.close(cause);
  }

  reassign(exchange: Http1Exchange, error: Error): void {
    if (exchange.misses > MAX_MISSES) {
      const progress = { dialled: this.#endpoint.name, responded: false, missingBytes: 0, freshTls: false };
      exchange.failWaiting(http1Error(error, progress));
      return;
    }
    const connection = this.#takeIdle();
    if (connection !== null) {
      exchange.start(connection);
      return;
    }
    this.#waiting.add(exchange);
    this.#queue.dialWanted();
  }

  release(connection: Http1Connection): void {
    if (!connection.usable) return; // its 'close' does the accounts
    if (connection.isLoggedIn || connection.isSpent) {
      connection.close('not-reusable');
      return;
    }
    const reason = this.#isWornOut(connection) ? 'max-requests' : reasonToClose(this.#terms, connection.accepted);
    if (reason !== null) {
      connection.close(reason);
      return;
    }
    const next = this.#takeWaiting();
    if (next !== null) {
      next.start(connection);
      return;
    }
    if (this.#retired !== null) {
      connection.close(this.#retired.cause);
      return;
    }
    if (connection.unused) connection.park();
    this.#idle.push(connection);
  }

  withdraw(exchange: Http1Exchange): void {
    this.#waiting.delete(exchange);
    this.#settle();
  }

  #takeWaiting(): Http1Exchange | null {
    if (this.#waiting.size === 0) return null;
    for (const exchange of this.#waiting) {
      this.#waiting.delete(exchange);
      return exchange;
    }
    return null;
  }

  #takeIdle(): Http1Connection | null {
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      if (!connection.usable) continue;
      const reason = reasonToClose(this.#terms, connection.accepted);
      if (reason !== null) {
        connection.close(reason);
        continue;
      }
      if (connection.unused) connection.unpark();
      return connection;
    }
    return null;
  }

  #mayOpen(): boolean {
    const { maxConnections, service } = this.#limits;
    if (this.size >= maxConnections) return false;
    return service === null || this.size === 0 || service.mayConnect();
  }

  #mayWait(): boolean {
    const { maxPending, service } = this.#limits;
    return this.pending <= maxPending && (service === null || service.mayWait());
  }

  #isWornOut({ exchanges }: Http1Connection): boolean {
    return exchanges >= this.#limits.maxRequestsPerConnection;
  }

  #dial(): void {
    connect(this.#terms, this.#endpoint, (error, accepted) => {
      if (accepted !== null) this.#onConnected(accepted);
      else this.#onConnectFailed(error!);
    });
  }

  #onConnected(accepted: AcceptedConnection): void {
    this.#queue.succeeded();
    const connection = new Http1Connection(accepted);
    this.#connections.add(connection);
    accepted.socket.once('close', () => this.#onClose(connection));
    this.release(connection);
    this.#queue.dialWanted();
  }

  #onConnectFailed(error: ProxyError): void {
    this.#queue.failed();
    const sharing = this.size === 0 ? this.#waiting.size : 1;
    for (let i = 0; i < sharing; i++) this.#takeWaiting()?.failWaiting(error);
    this.#queue.dialWanted();
    this.#settle();
  }

  #onClose(connection: Http1Connection): void {
    this.#connections.delete(connection);
    if (refusedLate(connection)) this.#queue.refusedLate();
    const at = this.#idle.indexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
    this.#terms.events.onClose(this.#terms.service, connection.accepted.fresh.endpoint, connection.reasonOfClose());
    this.#queue.dialWanted();
    this.#settle();
  }

  #settle(): void {
    if (this.#retired !== null && this.size === 0 && this.#waiting.size === 0) this.#retired.onEmpty();
  }
}

/** TLS 1.3: the backend's refusal of our certificate comes after the handshake; it is a failed attempt as well. */
function refusedLate({ exchanges, accepted }: Http1Connection): boolean {
  const code = (accepted.failure as NodeJS.ErrnoException | null)?.code;
  return exchanges <= 1 && code?.startsWith('ERR_SSL_') === true && code.includes('_ALERT_');
}

function failQueueFull(exchange: Http1Exchange, endpoint: string): void {
  const detail = `${endpoint}: every connection is busy and the wait queue is full`;
  exchange.failWaiting(new ProxyError('backend_queue_full', { phase: 'pick', detail }));
}

const MAX_MISSES = 3; // pooled connections found closed in a row; the last ones were opened for this request
