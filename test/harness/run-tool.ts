import { spawn } from 'node:child_process';

export interface ToolResult {
  /** null: ended by a signal, its timeout's included. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ToolOptions {
  /** What it reads; then its input ends. */
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Killed after this; default 30 s. */
  readonly timeoutMs?: number;
}

/** Runs a program to its end, with everything it started; never rejects for how it ended, only where it cannot be started. */
export function runTool(command: string, args: readonly string[], options: ToolOptions = {}): Promise<ToolResult> {
  return new Promise((resolve, reject) => {
    // A group of its own: a browser starts processes that would outlive it and hold the outputs open.
    const child = spawn(command, args, {
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, NODE_OPTIONS: '', ...options.env },
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
    child.stdin.on('error', () => {}); // it may end before it has read its input
    child.stdin.end(options.input ?? '');
    const killGroup = () => {
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // all of it has ended
      }
    };
    const timer = setTimeout(killGroup, options.timeoutMs ?? 30_000);
    process.once('exit', killGroup);
    child.once('error', reject);
    child.once('exit', killGroup);
    child.once('close', (exitCode) => {
      clearTimeout(timer);
      process.off('exit', killGroup);
      resolve({ exitCode, stdout, stderr });
    });
  });
}
