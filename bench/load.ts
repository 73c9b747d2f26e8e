import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { LOAD_CORE } from './cores.ts';
import type { RowName } from './options.ts';

export interface Target {
  readonly host: string;
  readonly port: number;
  readonly rootFile: string;
}

export interface LoadResult {
  /** Requests answered with 2xx. */
  readonly requests: number;
  readonly perSecond: number;
}

/** Loads the target from the load core for that long. Rejects when any request fails: a failing proxy is cheap. */
export async function load(row: RowName, target: Target, seconds: number): Promise<LoadResult> {
  const url = `https://${target.host}:${target.port}${PATHS[row]}`;
  if (row === 'handshake') return loadHandshakes(url, seconds);
  if (row === 'h2-small')
    return parseH2load(await run('h2load', ['-c', '8', '-m', '16', '-D', `${seconds}`, url], seconds));
  return parseWrk(await run('wrk', ['-t', '1', '-c', '32', '-d', `${seconds}s`, url], seconds));
}

/**
 * One request a connection, in batches of connections; h2load keeps no TLS sessions. (wrk with `Connection: close` trusts the
 * response's Connection header, which some proxies copy from the backend, and then counts read errors.)
 */
async function loadHandshakes(url: string, seconds: number): Promise<LoadResult> {
  const startedAtMs = performance.now();
  let requests = 0;
  let elapsedSeconds = 0;
  while (elapsedSeconds < seconds) {
    const batch = `${HANDSHAKE_BATCH}`;
    requests += parseH2load(await run('h2load', ['--h1', '-n', batch, '-c', batch, url], seconds)).requests;
    elapsedSeconds = (performance.now() - startedAtMs) / 1000;
  }
  return { requests, perSecond: requests / elapsedSeconds };
}

/** What each row asks for. */
export const PATHS: Readonly<Record<RowName, string>> = {
  small: '/small',
  '100k': '/100k',
  'h2-small': '/small',
  handshake: '/small',
};

export const ROW_TITLES: Readonly<Record<RowName, string>> = {
  small: 'HTTP/1.1 keep-alive, small',
  '100k': 'HTTP/1.1 keep-alive, 100 KiB',
  'h2-small': 'HTTP/2, small',
  handshake: 'full handshake + request',
};

export function parseWrk(output: string): LoadResult {
  const total = /(\d+) requests in ([\d.]+)(ms|s|m),/.exec(output);
  if (total === null) throw new Error(`Cannot read the output of wrk:\n${output}`);
  const failures = /Socket errors: .*|Non-2xx or 3xx responses: .*/.exec(output);
  if (failures !== null) throw new Error(`Cannot count this measurement: wrk reports '${failures[0].trim()}'`);
  const unit = { ms: 0.001, s: 1, m: 60 }[total[3] as 'ms' | 's' | 'm'];
  const requests = Number(total[1]);
  if (requests === 0) throw new Error('Cannot count this measurement: wrk reports no answered request');
  return { requests, perSecond: requests / (Number(total[2]) * unit) };
}

export function parseH2load(output: string): LoadResult {
  const total = /requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored/.exec(
    output,
  );
  const rate = /finished in [\d.]+\S+, ([\d.]+) req\/s/.exec(output);
  const codes = /status codes: (\d+) 2xx/.exec(output);
  if (total === null || rate === null || codes === null)
    throw new Error(`Cannot read the output of h2load:\n${output}`);
  const [, done, succeeded, failed, errored] = total.map(Number);
  if (failed !== 0 || errored !== 0 || Number(codes[1]) !== done || succeeded !== done) {
    throw new Error(`Cannot count this measurement: h2load reports '${total[0]}' and '${codes[0]}'`);
  }
  if (done === 0) throw new Error('Cannot count this measurement: h2load reports no answered request');
  return { requests: done!, perSecond: Number(rate[1]) };
}

async function run(command: string, args: readonly string[], seconds: number): Promise<string> {
  const timeoutMs = (seconds + OVERTIME_SECONDS) * 1000;
  const options = { timeout: timeoutMs, killSignal: 'SIGKILL' } as const;
  const { stdout } = await promisify(execFile)('taskset', ['-c', LOAD_CORE, command, ...args], options);
  return stdout;
}

const HANDSHAKE_BATCH = 50;
const OVERTIME_SECONDS = 10; // h2load waits for streams that are open when its time ends
