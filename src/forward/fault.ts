// hot path: once per exchange of a route with a faultInjectionPolicy.
import type { LinkedFault } from '../config/linked-url-map.ts';
import type { RandomSource } from '../routing/destination.ts';

export interface DrawnFault {
  /** 0: none. */
  readonly delayMs: number;
  /** What the client is answered instead of being forwarded; 0: nothing. */
  readonly abortStatus: number;
}

/** Whether this exchange is hit. Delay and abort are drawn apart; one that is hit by both is delayed, then answered. */
export function drawFault({ delay, abort }: LinkedFault, random: RandomSource): DrawnFault {
  return {
    delayMs: delay !== null && isHit(delay.percentage, random) ? delay.delayMs : 0,
    abortStatus: abort !== null && isHit(abort.percentage, random) ? abort.httpStatus : 0,
  };
}

/** `percentage` 0 never, 100 always. */
export function isHit(percentage: number, random: RandomSource): boolean {
  return random() * 100 < percentage;
}
