import type { Duplex } from 'node:stream';
import { ProxyError } from '../base/errors.ts';
import { resetSocket } from '../tls/reset-socket.ts';
import { type AcceptedConnection, type ConnectTerms, connectStream } from './connect.ts';
import { ConnectQueue } from './connect-queue.ts';
import type {
  BackendConnectionFacts,
  BackendStream,
  BackendStreamAttempt,
  BackendStreamHandler,
  Endpoint,
} from './contract.ts';
import type { EndpointPool, PoolLimits, RetireOrder } from './endpoint-pool.ts';
import type { CloseReason, RetireCause } from './events.ts';
import { readmit } from './readmit.ts';
import { refusedError, streamError } from './translate-error.ts';

/**
 * The connections of streams to one endpoint: one each, opened for it and never used for another (security rule 35). Streams wait
 * only as the gate demands; a failed attempt fails one of them, or, when nothing else is open or on its way, all that wait.
 */
export class StreamPool implements EndpointPool {
  readonly #terms: ConnectTerms;
  readonly #endpoint: Endpoint;
  #limits: PoolLimits;
  readonly #queue: ConnectQueue;
  readonly #waiting = new Set<Attempt>();
  readonly #open = new Set<OpenStream>();
  #retired: RetireOrder | null = null;

  constructor(terms: ConnectTerms, endpoint: Endpoint, limits: PoolLimits) {
    this.#terms = terms;
    this.#endpoint = endpoint;
    this.#limits = limits;
    this.#queue = new ConnectQueue(
      terms.clock,
      () => this.#waiting.size > 0,
      () => this.#dialForFirst(),
    );
  }

  get isFailing(): boolean {
    return this.#queue.isFailing;
  }

  get size(): number {
    return this.#open.size + this.#queue.underWay;
  }

  get inFlight(): number {
    return this.size + this.#waiting.size;
  }

  get pending(): number {
    return this.#waiting.size;
  }

  send(): never {
    throw new Error(`${this.#terms.service} carries streams, not requests`);
  }

  openStream(preamble: Buffer | null, handler: BackendStreamHandler): BackendStreamAttempt {
    const attempt = new Attempt(preamble, handler, (gone) => this.#withdraw(gone));
    if (this.#isFull) {
      process.nextTick(failFull, attempt, this.#endpoint.name);
      return attempt;
    }
    this.#waiting.add(attempt);
    this.#queue.dialWanted();
    return attempt;
  }

  /** Streams run on: what they carry cannot be asked to move. */
  retire(order: RetireOrder): void {
    this.#retired = order;
    this.#terms.sessions = null;
    this.#settle();
  }

  breakOff(cause: RetireCause): void {
    for (const stream of this.#open) {
      stream.closeReason = cause;
      stream.accepted.failure ??= new ProxyError('proxy_draining', { phase: 'relay', detail: LEAVING });
      stream.reset();
    }
  }

  useLimits(limits: PoolLimits): void {
    this.#limits = limits;
  }

  review(): void {
    const { identity, service, events } = this.#terms;
    for (const stream of this.#open) {
      const revoked = readmit(identity, stream.accepted);
      if (revoked === null) continue;
      events.onRevoked(service, stream.facts.endpoint, revoked);
      stream.accepted.failure ??= refusedError(revoked, stream.facts.endpoint);
      stream.closeReason = 'revocation';
      stream.reset();
    }
  }

  get #isFull(): boolean {
    const { maxConnections, service } = this.#limits;
    return this.inFlight >= maxConnections || (this.inFlight > 0 && service !== null && !service.mayOpenStream());
  }

  #withdraw(attempt: Attempt): void {
    this.#waiting.delete(attempt);
    this.#settle();
  }

  #dialForFirst(): void {
    const [attempt] = this.#waiting;
    this.#waiting.delete(attempt!);
    connectStream(this.#terms, this.#endpoint, attempt!.preamble, (error, accepted) => {
      if (accepted !== null) this.#onConnected(attempt!, accepted);
      else this.#onConnectFailed(attempt!, error!);
    });
  }

  #onConnected(attempt: Attempt, accepted: AcceptedConnection): void {
    this.#queue.succeeded();
    const stream = new OpenStream(accepted);
    this.#open.add(stream);
    accepted.socket.once('close', () => this.#onClose(stream));
    attempt.succeeded(stream);
    this.#queue.dialWanted();
  }

  #onConnectFailed(attempt: Attempt, error: ProxyError): void {
    this.#queue.failed();
    attempt.failed(error);
    if (this.size === 0) {
      for (const waiting of this.#waiting) {
        this.#waiting.delete(waiting);
        waiting.failed(error); // one outcome for all who waited for it (security rule 29)
      }
    }
    this.#queue.dialWanted();
    this.#settle();
  }

  #onClose(stream: OpenStream): void {
    this.#open.delete(stream);
    if (stream.wasRefusedLate) this.#queue.refusedLate();
    this.#terms.events.onClose(this.#terms.service, stream.facts.endpoint, stream.reasonOfClose);
    this.#settle();
  }

  #settle(): void {
    if (this.#retired !== null && this.size === 0 && this.#waiting.size === 0) this.#retired.onEmpty();
  }
}

class Attempt implements BackendStreamAttempt {
  readonly preamble: Buffer | null;
  readonly #onAbort: (attempt: Attempt) => void;
  #handler: BackendStreamHandler | null;

  constructor(preamble: Buffer | null, handler: BackendStreamHandler, onAbort: (attempt: Attempt) => void) {
    this.preamble = preamble;
    this.#handler = handler;
    this.#onAbort = onAbort;
  }

  abort(): void {
    this.#handler = null;
    this.#onAbort(this);
  }

  succeeded(stream: OpenStream): void {
    const handler = this.#handler;
    this.#handler = null;
    if (handler === null)
      stream.reset(); // made for a client that has left; its preamble speaks of nobody else
    else handler.onOpen(stream);
  }

  failed(error: ProxyError): void {
    const handler = this.#handler;
    this.#handler = null;
    handler?.onError(error);
  }
}

class OpenStream implements BackendStream {
  readonly accepted: AcceptedConnection;
  readonly socket: Duplex;
  readonly facts: BackendConnectionFacts;
  closeReason: CloseReason | null = null;

  constructor(accepted: AcceptedConnection) {
    this.accepted = accepted;
    this.socket = accepted.socket;
    this.facts = accepted.fresh;
  }

  reset(): void {
    const { rawSocket, socket } = this.accepted;
    if (!socket.destroyed) this.closeReason ??= 'aborted';
    resetSocket(rawSocket, socket);
  }

  failure(responded: boolean): ProxyError {
    const { endpoint, tls } = this.facts;
    return streamError(this.accepted.failure, { dialled: endpoint, responded, freshTls: tls !== null });
  }

  /** TLS 1.3: the refusal of our certificate comes after the handshake, and is a failed attempt as well. */
  get wasRefusedLate(): boolean {
    const { failure, socket } = this.accepted;
    const code = (failure as NodeJS.ErrnoException | null)?.code;
    return socket.bytesRead === 0 && code?.startsWith('ERR_SSL_') === true && code.includes('_ALERT_');
  }

  /** Once it is closed; 'not-reusable' is its ordinary end. */
  get reasonOfClose(): CloseReason {
    return this.closeReason ?? (this.accepted.failure === null ? 'not-reusable' : 'error');
  }
}

function failFull(attempt: Attempt, endpoint: string): void {
  const detail = `${endpoint}: as many connections as may be are open`;
  attempt.failed(new ProxyError('backend_queue_full', { phase: 'pick', detail }));
}

const LEAVING = 'the endpoint has left, and the time that its streams had to end is over';
