// hot path
import { startDeadline } from '../base/deadline.ts';
import { ProxyError } from '../base/errors.ts';
import { type AcceptedConnection, type ConnectTerms, connect } from './connect.ts';
import { ConnectQueue } from './connect-queue.ts';
import type { BackendCall, BackendHandler, BackendRequest, Endpoint } from './contract.ts';
import type { EndpointPool, PoolLimits, RetireOrder } from './endpoint-pool.ts';
import type { RetireCause } from './events.ts';
import { Http2Exchange, type Http2PoolOfExchange } from './http2-exchange.ts';
import { Http2Session } from './http2-session.ts';
import { reasonToClose } from './readmit.ts';

/**
 * The HTTP/2 connections to one endpoint. Exchanges share a session up to its stream limit; only then is another opened.
 * Those that wait for a session share the outcome of the attempt.
 */
export class Http2Pool implements EndpointPool, Http2PoolOfExchange {
  readonly #terms: ConnectTerms;
  readonly #endpoint: Endpoint;
  #limits: PoolLimits;
  readonly #queue: ConnectQueue;
  readonly #sessions: Http2Session[] = [];
  readonly #waiting = new Set<Http2Exchange>();
  #retired: RetireOrder | null = null;

  constructor(terms: ConnectTerms, endpoint: Endpoint, limits: PoolLimits) {
    this.#terms = terms;
    this.#endpoint = endpoint;
    this.#limits = limits;
    this.#queue = new ConnectQueue(
      terms.clock,
      () => this.#waiting.size > this.#queue.underWay * STREAMS_PER_ATTEMPT && this.#mayOpen(),
      () => this.#dial(),
    );
  }

  get isFailing(): boolean {
    return this.#queue.isFailing;
  }

  get size(): number {
    return this.#sessions.length + this.#queue.underWay;
  }

  get inFlight(): number {
    let streams = this.#waiting.size;
    for (let i = 0; i < this.#sessions.length; i++) streams += this.#sessions[i]!.active;
    return streams;
  }

  get pending(): number {
    return Math.max(0, this.#waiting.size - this.#queue.underWay * STREAMS_PER_ATTEMPT);
  }

  send(request: BackendRequest, handler: BackendHandler): BackendCall {
    const exchange = new Http2Exchange(this, request, handler);
    this.#assign(exchange);
    return exchange;
  }

  reassign(exchange: Http2Exchange): void {
    this.#assign(exchange);
  }

  retire(order: RetireOrder): void {
    this.#retired = order;
    this.#terms.sessions = null;
    for (const session of this.#sessions) {
      // Busy ones send GOAWAY now: their last stream closes them. Idle ones take no new stream either, and leave at their moment.
      session.draining = true;
      if (session.active > 0 || order.spreadMs === 0) session.close(order.cause);
      else startDeadline(Math.random() * order.spreadMs, () => session.close(order.cause));
    }
    this.#settle();
  }

  breakOff(cause: RetireCause): void {
    for (const session of this.#sessions) if (session.active > 0) session.breakOff(cause);
  }

  useLimits(limits: PoolLimits): void {
    this.#limits = limits;
  }

  review(): void {
    for (let at = this.#sessions.length - 1; at >= 0; at--) {
      const session = this.#sessions[at]!;
      const reason = session.draining ? null : reasonToClose(this.#terms, session.accepted);
      if (reason !== null) session.close(reason);
    }
  }

  release(session: Http2Session): void {
    session.active--;
    if (session.isLoggedIn && session.active === 0) session.close('not-reusable');
    if (this.#waiting.size > 0) this.#serveWaiting(session);
    if (session.active > 0) return;
    session.becameIdle();
    if (this.#retired !== null) session.close(this.#retired.cause);
    else if (session.isWornOut) session.close('max-requests');
  }

  withdraw(exchange: Http2Exchange): void {
    this.#waiting.delete(exchange);
    this.#settle();
  }

  #assign(exchange: Http2Exchange): void {
    const session = this.#freeSession();
    if (session !== null) {
      exchange.start(session);
      return;
    }
    this.#waiting.add(exchange);
    this.#queue.dialWanted();
    if (this.pending > 0 && !this.#mayWait()) {
      this.#waiting.delete(exchange);
      process.nextTick(failQueueFull, exchange, this.#endpoint.name);
    }
  }

  #freeSession(): Http2Session | null {
    const sessions = this.#sessions;
    for (let i = 0; i < sessions.length; i++) {
      const session = sessions[i]!;
      if (session.capacity <= 0) continue;
      const reason = reasonToClose(this.#terms, session.accepted);
      if (reason === null) return session;
      session.close(reason);
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

  #dial(): void {
    connect(this.#terms, this.#endpoint, (error, accepted) => {
      if (accepted !== null) this.#onConnected(accepted);
      else this.#onConnectFailed(error!);
    });
  }

  #onConnected(accepted: AcceptedConnection): void {
    this.#queue.succeeded();
    const session = new Http2Session(accepted, this.#limits.maxRequestsPerConnection);
    this.#sessions.push(session);
    accepted.socket.once('close', () => this.#onClose(session));
    this.#serveWaiting(session);
    this.#queue.dialWanted();
    if (this.#retired !== null && session.active === 0) session.close(this.#retired.cause);
  }

  #serveWaiting(session: Http2Session): void {
    for (const exchange of this.#waiting) {
      if (session.capacity <= 0) return;
      this.#waiting.delete(exchange);
      exchange.start(session);
    }
  }

  #onConnectFailed(error: ProxyError): void {
    this.#queue.failed();
    if (this.#queue.underWay === 0) {
      const failed = [...this.#waiting];
      this.#waiting.clear();
      for (const exchange of failed) exchange.failWaiting(error);
    }
    this.#settle();
  }

  #onClose(session: Http2Session): void {
    this.#sessions.splice(this.#sessions.indexOf(session), 1);
    if (refusedLate(session)) this.#queue.refusedLate();
    this.#terms.events.onClose(this.#terms.service, session.accepted.fresh.endpoint, session.reasonOfClose());
    this.#queue.dialWanted();
    this.#settle();
  }

  #settle(): void {
    if (this.#retired !== null && this.size === 0 && this.#waiting.size === 0) this.#retired.onEmpty();
  }
}

/** TLS 1.3: the backend's refusal of our certificate comes after the handshake; it is a failed attempt as well. */
function refusedLate({ answered, accepted }: Http2Session): boolean {
  const code = (accepted.failure as NodeJS.ErrnoException | null)?.code;
  return !answered && code?.startsWith('ERR_SSL_') === true && code.includes('_ALERT_');
}

function failQueueFull(exchange: Http2Exchange, endpoint: string): void {
  const detail = `${endpoint}: every connection is busy and the wait queue is full`;
  exchange.failWaiting(new ProxyError('backend_queue_full', { phase: 'pick', detail }));
}

/** How many of those that wait one attempt is for. */
const STREAMS_PER_ATTEMPT = 100;
