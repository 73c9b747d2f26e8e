import { type Deadline, startDeadline } from '../base/deadline.ts';
import type { ProxyError } from '../base/errors.ts';
import type { HeaderList } from '../http/exchange.ts';
import type {
  BackendCall,
  BackendHandler,
  BackendRequest,
  BackendStreamAttempt,
  BackendStreamHandler,
} from './contract.ts';
import type { EndpointPool, RetireOrder } from './endpoint-pool.ts';
import type { StreamPool } from './stream-pool.ts';
import { connectTimeout } from './translate-error.ts';

export interface UnresolvedPoolOptions {
  /** `name:port`. */
  readonly endpoint: string;
  readonly timeoutMs: number;
  /** Somebody waits for the name: it has to be looked up. */
  readonly onWanted: () => void;
}

/**
 * Stands for a name that has no address: none yet, none any more, or none that may be dialled. What is sent to it waits while the
 * first look-up runs, within the time that connecting may take, and fails at once where the name is known to lead nowhere.
 */
export class UnresolvedPool implements EndpointPool {
  /** Every endpoint with an address is to be preferred. */
  readonly isFailing = true;
  readonly #options: UnresolvedPoolOptions;
  readonly #waiting = new Set<Awaited>();
  #error: ProxyError | null = null;
  #retired: RetireOrder | null = null;

  constructor(options: UnresolvedPoolOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#waiting.size;
  }

  get inFlight(): number {
    return this.#waiting.size;
  }

  /** Their wait is bounded by the time that connecting may take. */
  readonly pending = 0;

  send(request: BackendRequest, handler: BackendHandler): BackendCall {
    const call = new AwaitedCall(request, handler, (gone) => this.#forget(gone));
    this.#await(call);
    return call;
  }

  openStream(preamble: Buffer | null, handler: BackendStreamHandler): BackendStreamAttempt {
    const stream = new AwaitedStream(preamble, handler, (gone) => this.#forget(gone));
    this.#await(stream);
    return stream;
  }

  /** The name leads nowhere. */
  fail(error: ProxyError): void {
    this.#error = error;
    for (const call of this.#waiting) call.fail(error);
  }

  /** It has addresses now: what waits goes to them, in turn. */
  handOver(pools: readonly EndpointPool[]): void {
    this.#error = null;
    let next = 0;
    for (const call of this.#waiting) call.begin(pools[next++ % pools.length]!);
  }

  retire(order: RetireOrder): void {
    this.#retired = order;
    if (this.size === 0) order.onEmpty();
  }

  review(): void {} // no connections

  breakOff(): void {}

  useLimits(): void {}

  #await(what: Awaited): void {
    if (this.#error !== null) {
      process.nextTick(failAwaited, what, this.#error);
      return;
    }
    this.#waiting.add(what);
    const { endpoint, timeoutMs, onWanted } = this.#options;
    what.startDeadline(timeoutMs, () => what.fail(connectTimeout(endpoint, 'dns', timeoutMs)));
    process.nextTick(onWanted);
  }

  #forget(what: Awaited): void {
    this.#waiting.delete(what);
    if (this.size === 0) this.#retired?.onEmpty();
  }
}

/** What has no connection to wait for yet. */
abstract class Awaited {
  readonly #onOver: (what: Awaited) => void;
  #deadline: Deadline | null = null;
  #over = false;

  constructor(onOver: (what: Awaited) => void) {
    this.#onOver = onOver;
  }

  /** From now on it waits where others wait for a connection. */
  abstract begin(pool: EndpointPool): void;
  abstract fail(error: ProxyError): void;

  startDeadline(timeoutMs: number, onExpired: () => void): void {
    this.#deadline = startDeadline(timeoutMs, onExpired);
  }

  /** It waits no more; false: it did not. */
  protected end(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#deadline?.cancel();
    this.#onOver(this);
    return true;
  }
}

class AwaitedStream extends Awaited implements BackendStreamAttempt {
  readonly #preamble: Buffer | null;
  readonly #handler: BackendStreamHandler;
  #inner: BackendStreamAttempt | null = null;

  constructor(preamble: Buffer | null, handler: BackendStreamHandler, onOver: (what: Awaited) => void) {
    super(onOver);
    this.#preamble = preamble;
    this.#handler = handler;
  }

  begin(pool: EndpointPool): void {
    if (this.end()) this.#inner = (pool as StreamPool).openStream(this.#preamble, this.#handler);
  }

  fail(error: ProxyError): void {
    if (this.end()) this.#handler.onError(error);
  }

  abort(): void {
    if (this.#inner !== null) this.#inner.abort();
    else this.end();
  }
}

/** A call that has no connection to wait for yet; from begin() on, another one's. */
class AwaitedCall extends Awaited implements BackendCall {
  readonly #request: BackendRequest;
  readonly #handler: BackendHandler;
  #inner: BackendCall | null = null;

  constructor(request: BackendRequest, handler: BackendHandler, onOver: (what: Awaited) => void) {
    super(onOver);
    this.#request = request;
    this.#handler = handler;
  }

  get sent(): boolean {
    return this.#inner?.sent ?? false;
  }

  begin(pool: EndpointPool): void {
    if (!this.end()) return;
    this.#inner = pool.send(this.#request, this.#handler);
  }

  fail(error: ProxyError): void {
    if (this.end()) this.#handler.onError(error);
  }

  writeBody(chunk: Buffer): boolean {
    return this.#inner?.writeBody(chunk) ?? true;
  }

  endBody(trailers: HeaderList | null): void {
    this.#inner?.endBody(trailers);
  }

  pause(): void {
    this.#inner?.pause();
  }

  resume(): void {
    this.#inner?.resume();
  }

  abort(error: ProxyError): void {
    if (this.#inner !== null) this.#inner.abort(error);
    else this.end();
  }
}

function failAwaited(what: Awaited, error: ProxyError): void {
  what.fail(error);
}
