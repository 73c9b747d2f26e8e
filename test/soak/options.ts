import { parseArgs } from 'node:util';

export interface SoakOptions {
  readonly minutes: number;
  readonly workers: number;
  /** Operations that run at once, each followed by a pause: the rate. */
  readonly users: number;
  /** Of every random choice; printed with the result. */
  readonly seed: number;
}

export const USAGE = `npm run soak [-- options]
A proxy under mixed traffic with faults and reloads, and an account of it at the end; docs/operations.md says what is looked at.

  --minutes N   of traffic; 30 by default, fractions allowed; growth is judged from 10 minutes on
  --workers N   processes of the proxy; 1 by default
  --users N     clients at once; 20 by default, some 45 operations a second
  --seed N      repeats the choices of another run; its own by default
  --help        this text`;

/** @throws Error when an argument is not one of ours. */
export function parseOptions(args: readonly string[]): SoakOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '30' },
      workers: { type: 'string', default: '1' },
      users: { type: 'string', default: '20' },
      seed: { type: 'string' },
    },
  });
  const minutes = Number(values.minutes);
  if (!(minutes > 0 && minutes <= MAX_MINUTES)) {
    throw new Error(`Cannot soak for ${values.minutes} minutes: expected more than 0, ${MAX_MINUTES} at the most`);
  }
  return {
    minutes,
    workers: whole('workers', values.workers),
    users: whole('users', values.users),
    seed: values.seed === undefined ? Date.now() % 2 ** 31 : whole('seed', values.seed),
  };
}

function whole(what: string, text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 1) return number;
  throw new Error(`Cannot soak with --${what} ${text}: expected a whole number from 1`);
}

const MAX_MINUTES = 24 * 60;
