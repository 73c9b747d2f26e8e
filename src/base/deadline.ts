/** A cancelable one-shot timer that survives delays beyond Node's limit; `unref`ed, so that it never keeps the process alive. */
export interface Deadline {
  cancel(): void;
}

/**
 * Calls `onExpired` once after `delayMs`. A plain setTimeout of more than 2^31-1 ms fires at once (reproduced: a 60-day
 * timer fired after 6 ms), so long delays are slept in chunks.
 */
export function startDeadline(delayMs: number, onExpired: () => void): Deadline {
  let remainingMs = delayMs;
  let timer: NodeJS.Timeout;
  const sleep = () => {
    const chunkMs = Math.min(remainingMs, LONGEST_TIMER_MS);
    remainingMs -= chunkMs;
    timer = setTimeout(remainingMs > 0 ? sleep : onExpired, chunkMs);
    timer.unref();
  };
  sleep();
  return { cancel: () => clearTimeout(timer) };
}

const LONGEST_TIMER_MS = 2 ** 31 - 1; // Node stores timer delays in a signed 32-bit integer
