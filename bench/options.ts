import { parseArgs } from 'node:util';

export interface Options {
  readonly rows: readonly RowName[];
  readonly proxies: readonly ProxyName[];
  readonly rounds: number;
  /** Per measurement. */
  readonly seconds: number;
  readonly warmUpSeconds: Readonly<Record<RowName, number>>;
}

export const ROW_NAMES = ['small', '100k', 'h2-small', 'handshake'] as const;
export type RowName = (typeof ROW_NAMES)[number];

export const PROXY_NAMES = ['nginx', 'haproxy', 'prototype', 'http-proxy-3', 'fastify', 'sallyport'] as const;
export type ProxyName = (typeof PROXY_NAMES)[number];

export const USAGE = `npm run bench [-- options]
CPU time of each proxy per request, interleaved; docs/benchmarks.md says what is measured and how to read it.

  --rows LIST      of ${ROW_NAMES.join(',')}; all by default
  --proxies LIST   of ${PROXY_NAMES.join(',')}; all by default
  --rounds N       measurements of each proxy in each row; 10 by default
  --quick          2 rounds of 1 s after 1 s of warm-up, within 2 minutes in all: a first look, no result
  --help           this text`;

/** @throws Error when an argument is not one of ours. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      rows: { type: 'string' },
      proxies: { type: 'string' },
      rounds: { type: 'string' },
    },
  });
  const rounds = Number(values.rounds ?? (values.quick ? 2 : 10));
  if (!Number.isSafeInteger(rounds) || rounds < 1) {
    throw new Error(`Cannot run ${values.rounds} rounds: expected a whole number from 1`);
  }
  return {
    rows: chosen('row', values.rows, ROW_NAMES),
    proxies: chosen('proxy', values.proxies, PROXY_NAMES),
    rounds,
    seconds: values.quick ? 1 : 2,
    warmUpSeconds: values.quick ? QUICK_WARM_UP_SECONDS : WARM_UP_SECONDS,
  };
}

/** In our order, whatever order they were given in. */
function chosen<Name extends string>(what: string, list: string | undefined, names: readonly Name[]): readonly Name[] {
  if (list === undefined) return names;
  const wanted = list.split(',').map((word) => word.trim());
  for (const word of wanted) {
    if (!names.some((name) => name === word)) {
      throw new Error(`Cannot measure ${what} '${word}': expected some of ${names.join(',')}`);
    }
  }
  return names.filter((name) => wanted.includes(name));
}

/*
 * Compiling is part of a handshake's CPU time until TurboFan has done with what runs once a connection: 50 to 80 µs each, with a last
 * burst between 15,000 and 20,000 connections (--trace-opt and schedstat, Node 26; the prototype's is 30 to 50 µs). So for as long as
 * 20,000 take at 1.5 ms; what runs once a request has run 40,000 times after 15 s of 100 KiB (at 0.35 ms), more often after 6 s of the
 * small ones. In one load: after a warm-up in many short ones http-proxy-3 had stopped answering.
 */
const WARM_UP_SECONDS: Readonly<Record<RowName, number>> = { small: 6, '100k': 15, 'h2-small': 6, handshake: 30 };
const QUICK_WARM_UP_SECONDS: Readonly<Record<RowName, number>> = { small: 1, '100k': 1, 'h2-small': 1, handshake: 1 };
