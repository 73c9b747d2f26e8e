import { CODES } from './error-codes.ts';

export type ErrorCode = keyof typeof CODES;
export type ErrorSource = 'client' | 'backend' | 'proxy';

/** `if-reused`: only when the connection had carried an exchange before, where a reset says nothing about this request. */
export type Retry = 'no' | 'yes' | 'if-reused';

/** What the one table says of a code. `status` 0: no response can be sent (the handshake failed, or the client is gone). */
export interface CodeSpec {
  readonly status: number;
  /** Google's log word (spec 2.8); several codes of ours can share one. */
  readonly statusDetails: string;
  /** RFC 9209 error token, or null where the proxy is not the origin of the failure. */
  readonly proxyStatus: string | null;
  readonly source: ErrorSource;
  readonly retry: Retry;
  readonly level: 'info' | 'warn' | 'error';
  readonly doc: string;
  /** Why no request or handshake leads to it; absent: one does, and a test has it. */
  readonly unreachable?: string;
  /** Sent as Retry-After (RFC 9110 section 10.2.3): the refusal is about load, and a request that comes later may be served. */
  readonly retryAfterSec?: number;
}

export interface ErrorFacts {
  /** For the log, never for a client. */
  readonly detail?: string;
  readonly cause?: unknown;
  readonly retry?: Retry;
  /** Where it happened: 'head', 'route', 'pick', 'connect', 'tls', 'verify', 'send', 'relay', 'finish'. */
  readonly phase?: string;
}

/** The one error class. Node, undici and OpenSSL errors are translated into it once, where they enter. */
export class ProxyError extends Error {
  readonly code: ErrorCode;
  readonly source: ErrorSource;
  readonly phase: string;
  readonly retry: Retry;
  readonly detail: string;

  constructor(code: ErrorCode, facts: ErrorFacts = {}) {
    super(facts.detail === undefined ? code : `${code}: ${facts.detail}`, { cause: facts.cause });
    this.name = 'ProxyError';
    this.code = code;
    this.source = CODES[code].source;
    this.phase = facts.phase ?? '';
    this.retry = facts.retry ?? CODES[code].retry;
    this.detail = facts.detail ?? '';
  }

  get spec(): CodeSpec {
    return CODES[this.code];
  }
}

/** Wraps whatever was thrown; a ProxyError passes through unchanged. */
export function asProxyError(thrown: unknown, code: ErrorCode, facts: ErrorFacts = {}): ProxyError {
  if (thrown instanceof ProxyError) return thrown;
  const detail = facts.detail ?? (thrown instanceof Error ? thrown.message : String(thrown));
  return new ProxyError(code, { ...facts, detail, cause: thrown });
}
