import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';

/** A server process pinned to a core, its output in a file. */
export interface Child {
  readonly pid: number;
  /** SIGTERM, then SIGKILL after two seconds. */
  readonly stop: () => Promise<void>;
}

/** Starts it and waits until it accepts on `port`. Rejects with the end of its output when it exits instead. */
export async function startChild(
  core: string,
  command: readonly string[],
  logFile: string,
  port: number,
): Promise<Child> {
  const log = openSync(logFile, 'a');
  const child = spawn('taskset', ['-c', core, ...command], { stdio: ['ignore', log, log] });
  closeSync(log);
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await accepts(port))) {
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
      child.kill('SIGKILL');
      const output = readFileSync(logFile, 'utf8').slice(-2000);
      throw new Error(`Cannot start ${command.join(' ')}: it does not accept on port ${port}\n${output}`);
    }
    await delay(50);
  }
  return { pid: child.pid!, stop: () => stop(child) };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const killer = setTimeout(() => child.kill('SIGKILL'), 2000);
  await ended;
  clearTimeout(killer);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

const START_TIMEOUT_MS = 15_000;
