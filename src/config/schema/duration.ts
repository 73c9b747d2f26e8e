import { z } from 'zod';

/** A duration as Google writes it: `{seconds: "10", nanos: 500000000}` in exports, or "10.5s". Read by `durationMs()`. */
export function duration(description: string) {
  const expected = 'expected a duration such as "10s", "0.5s" or {seconds: 10, nanos: 0}';
  const seconds = z.union([z.int().min(0).max(MOST_SECONDS), z.string().regex(/^\d{1,12}$/)]);
  return z
    .union(
      [
        z.string().regex(/^\d{1,12}(?:\.\d{1,9})?s$/, expected),
        z.strictObject({ seconds: seconds.optional(), nanos: z.int().min(0).max(999_999_999).optional() }),
      ],
      expected,
    )
    .refine((value) => durationMs(value) <= MOST_SECONDS * 1000, `expected at most ${MOST_SECONDS} seconds`)
    .meta({ description });
}

/** One of a limit: there is no deadline of 0. */
export function limitDuration(description: string) {
  const expected = 'expected more than 0 seconds; leave it out where there is to be no limit';
  return duration(description).refine((value) => durationMs(value) > 0, expected);
}

export type Duration = string | { readonly seconds?: number | string | undefined; readonly nanos?: number | undefined };

/** Whole milliseconds, rounded up: what is more than nothing stays more than nothing. */
export function durationMs(duration: Duration): number {
  if (typeof duration !== 'string') {
    return Number(duration.seconds ?? 0) * 1000 + Math.ceil((duration.nanos ?? 0) / 1e6);
  }
  const [seconds = '', fraction = ''] = duration.slice(0, -1).split('.');
  return Number(seconds) * 1000 + Math.ceil(Number(fraction.padEnd(9, '0')) / 1e6);
}

const MOST_SECONDS = 315_576_000_000; // google.protobuf.Duration: 10,000 years
