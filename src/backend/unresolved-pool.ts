import { type Deadline, startDeadline } from '../base/deadline.ts';
import type { ProxyError } from '../base/errors.ts';
import type { HeaderList } from '../http/exchange.ts';
import type { BackendCall, BackendHandler, BackendRequest } from './contract.ts';
import type { EndpointPool, RetireOrder } from './endpoint-pool.ts';
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
  readonly #waiting = new Set<AwaitedCall>();
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
    if (this.#error !== null) {
      process.nextTick(failCall, call, this.#error);
      return call;
    }
    this.#waiting.add(call);
    const { endpoint, timeoutMs, onWanted } = this.#options;
    call.startDeadline(timeoutMs, () => call.fail(connectTimeout(endpoint, 'dns', timeoutMs)));
    process.nextTick(onWanted);
    return call;
  }

  /** The name leads nowhere. */
  fail(error: ProxyError): void {
    this.#error = error;
    for (const call of [...this.#waiting]) call.fail(error);
  }

  /** It has addresses now: what waits goes to them, in turn. */
  handOver(pools: readonly EndpointPool[]): void {
    this.#error = null;
    let next = 0;
    for (const call of [...this.#waiting]) call.begin(pools[next++ % pools.length]!);
  }

  retire(order: RetireOrder): void {
    this.#retired = order;
    if (this.size === 0) order.onEmpty();
  }

  review(): void {} // no connections

  breakOff(): void {}

  useLimits(): void {}

  #forget(call: AwaitedCall): void {
    this.#waiting.delete(call);
    if (this.size === 0) this.#retired?.onEmpty();
  }
}

/** A call that has no connection to wait for yet; from begin() on, another one's. */
class AwaitedCall implements BackendCall {
  readonly #request: BackendRequest;
  readonly #handler: BackendHandler;
  readonly #onOver: (call: AwaitedCall) => void;
  #inner: BackendCall | null = null;
  #deadline: Deadline | null = null;
  #over = false;

  constructor(request: BackendRequest, handler: BackendHandler, onOver: (call: AwaitedCall) => void) {
    this.#request = request;
    this.#handler = handler;
    this.#onOver = onOver;
  }

  get sent(): boolean {
    return this.#inner?.sent ?? false;
  }

  startDeadline(timeoutMs: number, onExpired: () => void): void {
    this.#deadline = startDeadline(timeoutMs, onExpired);
  }

  begin(pool: EndpointPool): void {
    if (!this.#end()) return;
    this.#inner = pool.send(this.#request, this.#handler);
  }

  fail(error: ProxyError): void {
    if (this.#end()) this.#handler.onError(error);
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
    else this.#end();
  }

  /** It waits no more; false: it did not. */
  #end(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#deadline?.cancel();
    this.#onOver(this);
    return true;
  }
}

function failCall(call: { fail(error: ProxyError): void }, error: ProxyError): void {
  call.fail(error);
}
