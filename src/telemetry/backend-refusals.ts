import type { ProxyError } from '../base/errors.ts';

/** The last certificate of an endpoint that was not trusted; gone when a connection to it is accepted again. */
export interface BackendRefusal {
  /** As dialled. */
  readonly endpoint: string;
  /** ISO 8601. */
  readonly time: string;
  readonly statusDetails: string;
  readonly rule: string;
  readonly depth: number;
  /** The text of the log and of `explain backend`; the verifier has escaped and capped what strangers wrote of it. */
  readonly reason: string;
  /** False where enforcement is REPORT_ONLY: it was forwarded all the same. */
  readonly isEnforced: boolean;
}

/** By service and endpoint: what /backends says of certificates. Bounded per service, because a name can have any number of addresses. */
export class BackendRefusals {
  readonly #byService = new Map<string, Map<string, BackendRefusal>>();

  accepted(service: string, endpoint: string): void {
    this.#byService.get(service)?.delete(endpoint);
  }

  refused(service: string, endpoint: string, verdict: RefusedVerdict, isEnforced: boolean, wallMs: number): void {
    const known = this.#byService.get(service) ?? new Map<string, BackendRefusal>();
    this.#byService.set(service, known);
    known.delete(endpoint);
    if (known.size >= MAX_ENDPOINTS) known.delete(known.keys().next().value!);
    const { statusDetails, rule, depth, reason } = verdict;
    known.set(endpoint, {
      endpoint,
      time: new Date(wallMs).toISOString(),
      statusDetails,
      rule,
      depth,
      reason,
      isEnforced,
    });
  }

  of(service: string): readonly BackendRefusal[] {
    return [...(this.#byService.get(service)?.values() ?? [])];
  }
}

export interface RefusedVerdict {
  readonly statusDetails: string;
  readonly rule: string;
  readonly depth: number;
  readonly reason: string;
}

/** A verdict of src/pki travels as the cause of the error that it led to; null: the certificate was not the reason. */
export function refusedVerdict(error: ProxyError): RefusedVerdict | null {
  const { cause } = error;
  if (typeof cause !== 'object' || cause === null || !('ok' in cause) || cause.ok !== false) return null;
  return 'statusDetails' in cause && 'rule' in cause ? (cause as unknown as RefusedVerdict) : null;
}

const MAX_ENDPOINTS = 256;
