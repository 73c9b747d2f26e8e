// hot path: made when a client is first found not to keep up with its response.
import type { Exchange } from '../http/exchange.ts';
import { type BodyOwner, type Debtor, MeteredBody } from './rate-floor.ts';

/** The response body as the rate floor sees it: the client owes while something that was written waits for it. */
export class Download extends MeteredBody {
  private readonly exchange: Exchange;

  constructor(owner: BodyOwner, exchange: Exchange) {
    super(owner);
    this.exchange = exchange;
  }

  override get debtor(): Debtor | null {
    return this.exchange.unsentBytes > 0 ? 'client' : null;
  }

  override get movedBytes(): number {
    return this.exchange.responseBytes - this.exchange.unsentBytes;
  }
}
