import type { Clock } from '../base/clock.ts';

/**
 * Calls `onStepBack` when the wall clock has stepped back by more than a minute against the monotonic one. Certificates are
 * judged by wall time: verdicts from the other side of the step say nothing about now (the verdict cache forgets them by
 * itself), and an operator has to know why something expired is valid again. Returns how to stop.
 */
export function watchClock(clock: Clock, onStepBack: (byMs: number) => void): () => void {
  let offsetMs = clock.wallMs() - clock.monotonicMs();
  const timer = setInterval(() => {
    const nowMs = clock.wallMs() - clock.monotonicMs();
    if (nowMs < offsetMs - LARGEST_STEP_BACK_MS) onStepBack(offsetMs - nowMs);
    offsetMs = nowMs;
  }, CHECK_INTERVAL_MS);
  timer.unref();
  return () => clearInterval(timer);
}

const LARGEST_STEP_BACK_MS = 60_000; // security: time; less is a clock being disciplined
const CHECK_INTERVAL_MS = 1000;
