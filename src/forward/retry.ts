// hot path: asked only when an attempt failed.
import type { ProxyError } from '../base/errors.ts';

/** What is known when an attempt fails before its final response head. */
export interface FailedAttempt {
  readonly error: ProxyError;
  readonly method: string;
  /** The attempt had a connection, and that had carried an exchange before. */
  readonly reused: boolean;
  /** Any request byte may have reached the backend. */
  readonly sent: boolean;
  /** Body bytes were taken from the client; they cannot be sent a second time. */
  readonly bodyTaken: boolean;
  /** A response byte arrived, an interim response included. */
  readonly answered: boolean;
  /** A reset was retried before. */
  readonly resetRetried: boolean;
  /** Since the first attempt. */
  readonly elapsedMs: number;
}

/** `next-endpoint`: one that was not tried, or give up. `once-more`: preferably another, else the same one. */
export type RetryDecision = 'no' | 'next-endpoint' | 'once-more';

/**
 * Retries only what cannot have happened (spec 10.21): a failed connect goes to the next endpoint; a reset before any response
 * byte is retried once, on a reused connection (where it is most likely the idle close that crossed with us), if the method is
 * idempotent, nothing was sent, or the server said that it did nothing. Never after a response byte, never when body bytes were taken.
 */
export function decideRetry(attempt: FailedAttempt): RetryDecision {
  if (attempt.answered || attempt.bodyTaken) return 'no';
  switch (attempt.error.retry) {
    case 'yes':
      // a stream that the server says it has not processed (RFC 9113 section 8.7): its connection is fine, or another will be
      if (attempt.error.code === 'backend_connection_closed_before_data_sent_to_client') {
        return attempt.resetRetried ? 'no' : 'once-more';
      }
      return attempt.elapsedMs < CONNECT_RETRY_WINDOW_MS ? 'next-endpoint' : 'no';
    case 'if-reused':
      if (!attempt.reused || attempt.resetRetried) return 'no';
      return isIdempotent(attempt.method) || !attempt.sent ? 'once-more' : 'no';
    default:
      return 'no';
  }
}

/** RFC 9110 section 9.2.2. */
export function isIdempotent(method: string): boolean {
  switch (method) {
    case 'GET':
    case 'HEAD':
    case 'OPTIONS':
    case 'TRACE':
    case 'PUT':
    case 'DELETE':
      return true;
    default:
      return false;
  }
}

/** Two connect timeouts (spec 10.23: 5 s each): endpoints that refuse are all tried, silent ones do not add up to minutes. */
export const CONNECT_RETRY_WINDOW_MS = 10_000;
