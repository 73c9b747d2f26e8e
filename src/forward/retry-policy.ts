// hot path: only exchanges of a route with a retryPolicy come here, and only when an attempt has ended badly.
import type { RetrySlots } from '../backend/contract.ts';
import type { ProxyError } from '../base/errors.ts';
import type { LinkedRetryPolicy, RetryCondition } from '../config/linked-url-map.ts';
import type { HeaderList } from '../http/exchange.ts';
import { isIdempotent } from './retry.ts';

/** How an attempt ended that may be followed by another: it failed, or it was answered. */
export interface EndedAttempt {
  /** null: it was answered. */
  readonly error: ProxyError | null;
  /** 0: it failed. */
  readonly status: number;
  /** Of a response that is all head (gRPC: Trailers-Only); -1 where there is none. */
  readonly grpcStatus: number;
  /** Any request byte may have reached the backend. */
  readonly sent: boolean;
  /** What was taken of the request body can be sent again. */
  readonly canRestart: boolean;
  /** The client has seen a part of a response, if only a 1xx. */
  readonly answered: boolean;
}

/**
 * The retryPolicy of a route for one exchange, beside what is repeated without one (retry.ts). A condition says when an attempt is worth
 * repeating; whether it may be is not configurable: a request that may have had an effect is sent again only if its method is
 * idempotent (RFC 9110 section 9.2.2), but for a gRPC status that the policy names, which is the server's own word for it.
 */
export class PolicyRetries {
  readonly #policy: LinkedRetryPolicy;
  readonly #slots: RetrySlots | null;
  readonly #method: string;
  #left: number;
  #holdsSlot = false;

  constructor(policy: LinkedRetryPolicy, slots: RetrySlots | null, method: string) {
    this.#policy = policy;
    this.#slots = slots;
    this.#method = method;
    this.#left = policy.numRetries;
  }

  /** True: another attempt is to be made; it is counted, and has a slot of the service's budget until it has ended. */
  takes(attempt: EndedAttempt): boolean {
    this.attemptEnded();
    if (this.#left === 0 || attempt.answered || !attempt.canRestart) return false;
    if (!this.#wants(attempt) || !this.#isSafe(attempt)) return false;
    if (this.#slots !== null && !this.#slots.take()) return false;
    this.#holdsSlot = this.#slots !== null;
    this.#left--;
    return true;
  }

  attemptEnded(): void {
    if (!this.#holdsSlot) return;
    this.#holdsSlot = false;
    this.#slots!.release();
  }

  #wants(attempt: EndedAttempt): boolean {
    const conditions = this.#policy.retryConditions.length === 0 ? DEFAULT_CONDITIONS : this.#policy.retryConditions;
    for (let i = 0; i < conditions.length; i++) if (isMet(conditions[i]!, attempt)) return true;
    return false;
  }

  #isSafe(attempt: EndedAttempt): boolean {
    const { error, sent, grpcStatus } = attempt;
    if (error !== null && (!sent || error.retry === 'yes')) return true; // nothing was processed
    return grpcStatus > 0 || isIdempotent(this.#method);
  }
}

/** The grpc-status of a response head; -1: none, or one that is no number. */
export function grpcStatusOf(headers: HeaderList): number {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== 'grpc-status') continue;
    const status = Number(headers[i + 1]);
    return Number.isInteger(status) ? status : -1;
  }
  return -1;
}

/** The documented meanings (compute API, HttpRetryPolicy). A 425 is in none of them (security rule 37). */
function isMet(condition: RetryCondition, { error, status, grpcStatus }: EndedAttempt): boolean {
  switch (condition) {
    case '5xx':
      return status >= 500 || (error !== null && isSilence(error));
    case 'gateway-error':
      return (status >= 502 && status <= 504) || (error !== null && isSilence(error));
    case 'reset':
      return error !== null && isSilence(error);
    case 'connect-failure':
      return error !== null && error.retry === 'yes' && error.code !== CLOSED;
    case 'refused-stream':
      return error !== null && error.retry === 'yes' && error.code === CLOSED;
    case 'retriable-4xx':
      return status === 409;
    default:
      return grpcStatus === GRPC_STATUS[condition];
  }
}

/** No response: it could not be connected to, it closed or reset, or it took too long. */
function isSilence({ retry, code }: ProxyError): boolean {
  return retry === 'yes' || code === CLOSED || code === 'backend_timeout';
}

const CLOSED = 'backend_connection_closed_before_data_sent_to_client';
const DEFAULT_CONDITIONS: readonly RetryCondition[] = ['gateway-error']; // spec 4.5
/** The status codes of gRPC (grpc/doc/statuscodes.md). */
const GRPC_STATUS = {
  cancelled: 1,
  'deadline-exceeded': 4,
  'resource-exhausted': 8,
  internal: 13,
  unavailable: 14,
} as const;
