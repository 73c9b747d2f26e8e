// hot path: one object per exchange that is routed.
import type { BackendService, Endpoint } from '../backend/contract.ts';
import type { Exchange } from '../http/exchange.ts';

/** Where the attempts of one exchange went, and where the next one goes. */
export class AttemptedEndpoints {
  /** Of the attempt that runs, or ran last; null before the first. */
  current: Endpoint | null = null;
  /** Attempts so far. */
  count = 0;
  #tried: Endpoint[] = NONE_TRIED;

  /** Another than those that were left; null: there is none. */
  next(service: BackendService, exchange: Exchange): Endpoint | null {
    return service.pick(this.#tried, exchange);
  }

  /** Preferably one that was not left, else one that was. */
  again(service: BackendService, exchange: Exchange): Endpoint {
    const last = this.current!;
    return service.pick(this.#tried, exchange) ?? service.pick(NONE_TRIED, exchange) ?? last;
  }

  begin(endpoint: Endpoint): void {
    this.current = endpoint;
    this.count++;
  }

  /** The attempt that runs is given up. */
  leave(): void {
    if (this.#tried === NONE_TRIED) this.#tried = [this.current!];
    else this.#tried.push(this.current!);
  }
}

const NONE_TRIED: Endpoint[] = []; // never written to
