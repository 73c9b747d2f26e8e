// hot path: one object per response, takes() per chunk.
import type { Exchange, HeaderList } from '../http/exchange.ts';

/** What a response head says of the body that follows, and whether that came. */
export class ResponseBody {
  /** False: nothing follows the head. */
  readonly exists: boolean;
  /** It ends with the connection of the backend and might be cut short unseen (security rule 30). */
  readonly truncatable: boolean;
  /** -1: unknown. */
  readonly #length: number;
  #received = 0;

  /** `length` and `headers` as the backend sent them; `isAll`: its stream ended with the head; `endsByClose`: over TLS, in HTTP/1. */
  constructor(
    exchange: Pick<Exchange, 'method' | 'protocol'>,
    status: number,
    length: number,
    headers: HeaderList,
    isAll: boolean,
    endsByClose: boolean,
  ) {
    // END_STREAM goes on with the head it came with: gRPC tells a status instead of an answer by that
    const isEmpty = isAll && length <= 0 && exchange.protocol === 'HTTP/2';
    this.exists = !isEmpty && exchange.method !== 'HEAD' && status !== 204 && status !== 304;
    this.truncatable = this.exists && endsByClose && length === -1 && !isChunked(headers);
    this.#length = length;
  }

  /** False: more came than the head allows. */
  takes(bytes: number): boolean {
    this.#received += bytes;
    return this.exists && (this.#length === -1 || this.#received <= this.#length);
  }

  /** What the backend still owed when it ended; null: nothing. */
  missing(): string | null {
    if (!this.exists || this.#length === -1 || this.#received === this.#length) return null;
    return `${this.#received} of ${this.#length} body bytes`;
  }
}

function isChunked(headers: HeaderList): boolean {
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === 'transfer-encoding') return true;
  return false;
}
