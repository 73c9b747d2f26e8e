import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** One line of the log, parsed. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly msg?: string };

export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface RunningSallyport {
  readonly pid: number;
  /** Every JSON line so far; grows. */
  readonly log: readonly LogLine[];
  /** The line with msg "listening" that made it ready. */
  readonly listening: LogLine;
  /** Resolves with the first line, past or to come, that fits. */
  waitForLog(fits: (line: LogLine) => boolean, timeoutMs?: number): Promise<LogLine>;
  /** Standard error, and what standard output held beside JSON. */
  text(): string;
  /** Resolves once that text contains `wanted`. */
  waitForText(wanted: string, timeoutMs?: number): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  /** Sends the signal (default SIGTERM) and resolves when the process has ended; SIGKILL after `timeoutMs`. */
  stop(signal?: NodeJS.Signals, timeoutMs?: number): Promise<ProcessEnd>;
  readonly ended: Promise<ProcessEnd>;
}

export interface RunOptions {
  readonly config: string;
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly nodeArgs?: readonly string[];
  readonly readyTimeoutMs?: number;
}

/** `sallyport run --config FILE` as a process of its own, once it listens. Rejects, with all it printed, if it ends or hangs before. */
export async function runSallyport(options: RunOptions): Promise<RunningSallyport> {
  const running = spawnSallyport(['run', '--config', options.config, ...(options.args ?? [])], options);
  try {
    const listening = await running.waitForLog((line) => line.msg === 'listening', options.readyTimeoutMs ?? 50_000);
    return { ...running, listening };
  } catch (error) {
    await running.stop('SIGKILL');
    throw error;
  }
}

/** The command line, to its end: exit code and both outputs. */
export async function sallyportOnce(
  args: readonly string[],
  options: Pick<RunOptions, 'env' | 'cwd'> & { readonly input?: string } = {},
): Promise<ProcessEnd & { readonly stdout: string; readonly stderr: string }> {
  const child = start(args, options);
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  child.stdin?.on('error', () => {}); // it may end before it has read its input
  child.stdin?.end(options.input ?? '');
  return { ...(await end(child)), stdout, stderr };
}

/** Any long-running command of the command line (`demo`), not waited for. */
export function spawnSallyport(
  args: readonly string[],
  options: Omit<RunOptions, 'config'> = {},
): Omit<RunningSallyport, 'listening'> {
  const child = start(args, options);
  child.stdin?.end();
  const log: LogLine[] = [];
  const waiting = new Set<(line: LogLine) => void>();
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const parsed = parseLine(line);
      if (parsed === null) {
        text += `${line}\n`;
        return;
      }
      log.push(parsed);
      for (const offer of waiting) offer(parsed);
    });
  }
  const ended = end(child);
  return {
    pid: child.pid ?? -1,
    log,
    ended,
    text: () => text,
    async waitForText(wanted, timeoutMs = 10_000) {
      const deadline = performance.now() + timeoutMs;
      while (!text.includes(wanted)) {
        if (performance.now() > deadline)
          throw new Error(`Cannot find '${wanted}' within ${timeoutMs} ms; it printed:\n${text}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    signal: (signal) => void child.kill(signal),
    waitForLog(fits, timeoutMs = 10_000) {
      const past = log.find(fits);
      if (past !== undefined) return Promise.resolve(past);
      return new Promise((resolve, reject) => {
        const done = () => {
          clearTimeout(timer);
          waiting.delete(offer);
        };
        const offer = (line: LogLine) => {
          if (!fits(line)) return;
          done();
          resolve(line);
        };
        const fail = (why: string) => {
          done();
          reject(new Error(`${why}; it printed:\n${text}\n${log.map((line) => JSON.stringify(line)).join('\n')}`));
        };
        const timer = setTimeout(() => fail(`Cannot find the awaited log line within ${timeoutMs} ms`), timeoutMs);
        waiting.add(offer);
        ended.then(
          ({ code, signal }) => fail(`Cannot find the awaited log line: sallyport ended with ${code ?? signal}`),
          (error: unknown) => fail(`Cannot start sallyport: ${String(error)}`),
        );
      });
    },
    async stop(signal = 'SIGTERM', timeoutMs = 20_000) {
      child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
      const result = await ended;
      clearTimeout(timer);
      return result;
    },
  };
}

function start(args: readonly string[], options: Omit<RunOptions, 'config'>): ChildProcess {
  // Jest runs its tests with NODE_OPTIONS of its own at times; the process under test starts as a user would start it.
  const { NODE_OPTIONS: _dropped, ...inherited } = process.env;
  const nodeArgs = ['--disable-sigusr1', '--v8-pool-size=1', ...(options.nodeArgs ?? [])]; // as bin/pinned-node.mjs
  const child = spawn(process.execPath, [...nodeArgs, MAIN, ...args], {
    cwd: options.cwd ?? ROOT,
    env: { ...inherited, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const kill = () => child.kill('SIGKILL'); // a test run that dies takes its children along
  process.once('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  return child;
}

function end(child: ChildProcess): Promise<ProcessEnd> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
}

function parseLine(line: string): LogLine | null {
  if (!line.startsWith('{')) return null;
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return null;
  }
}

const ROOT = join(import.meta.dirname, '..', '..');
const MAIN = join(ROOT, 'src', 'cli', 'main.ts');
