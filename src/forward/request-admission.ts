// hot path: once per request, where a limit is configured.
import type { Clock } from '../base/clock.ts';
import type { ErrorCode } from '../base/errors.ts';
import { addressKey } from '../http/client-network.ts';

/** What one address (of IPv6 a /64) may ask of this process; undefined: as much as it likes. */
export interface RequestLimits {
  /** `burst` at once, then `perSecond`. */
  readonly requestsPerAddress?: { readonly perSecond: number; readonly burst?: number | undefined } | undefined;
  /** In flight. */
  readonly concurrentRequestsPerAddress?: number | undefined;
}

/** Counts requests by client address, over all listeners and across reloads. */
export class RequestAdmission {
  readonly #clock: Clock;
  /**
   * By address, the moment at which its burst is whole again (the generic cell rate algorithm, ITU-T I.371), least recently
   * used first. An entry from the past says nothing, so the oldest can go.
   */
  readonly #wholeAtMs = new Map<string, number>();
  /** Every entry belongs to an exchange in flight, so the map is as bounded as they are. */
  readonly #inFlight = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Addresses that are remembered. */
  get size(): number {
    return this.#wholeAtMs.size + this.#inFlight.size;
  }

  /** Null: counted in, and leave() must follow. */
  enter(address: string, limits: RequestLimits): ErrorCode | null {
    const key = addressKey(address);
    const inFlight = this.#inFlight.get(key) ?? 0;
    const { concurrentRequestsPerAddress: most, requestsPerAddress: rate } = limits;
    if (most !== undefined && inFlight >= most) return 'client_concurrency_exceeded';
    if (rate !== undefined && !this.#takeFrom(key, rate.perSecond, rate.burst ?? rate.perSecond)) {
      return 'client_rate_exceeded';
    }
    this.#inFlight.set(key, inFlight + 1);
    return null;
  }

  leave(address: string): void {
    const key = addressKey(address);
    const inFlight = this.#inFlight.get(key) ?? 0;
    if (inFlight <= 1) this.#inFlight.delete(key);
    else this.#inFlight.set(key, inFlight - 1);
  }

  #takeFrom(key: string, perSecond: number, burst: number): boolean {
    const nowMs = this.#clock.monotonicMs();
    const eachMs = 1000 / perSecond;
    const wholeAtMs = Math.max(this.#wholeAtMs.get(key) ?? nowMs, nowMs);
    this.#wholeAtMs.delete(key);
    const isTaken = wholeAtMs - nowMs <= (burst - 1) * eachMs + ROUNDING_MS;
    this.#wholeAtMs.set(key, isTaken ? wholeAtMs + eachMs : wholeAtMs);
    if (this.#wholeAtMs.size > MAX_ADDRESSES) this.#forgetOldest();
    return isTaken;
  }

  #forgetOldest(): void {
    for (const oldest of this.#wholeAtMs.keys()) {
      this.#wholeAtMs.delete(oldest);
      return;
    }
  }
}

/** What every exchange of a forwarder is admitted by. */
export interface RequestGate {
  readonly admission: RequestAdmission;
  readonly limits: RequestLimits;
}

/** Null where nothing is limited, so that the usual request pays a null check. */
export function requestGate(admission: RequestAdmission, limits: RequestLimits): RequestGate | null {
  if (limits.requestsPerAddress === undefined && limits.concurrentRequestsPerAddress === undefined) return null;
  return { admission, limits };
}

const MAX_ADDRESSES = 65_536; // some 8 MiB
const ROUNDING_MS = 1e-6;
