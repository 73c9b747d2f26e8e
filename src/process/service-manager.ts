import { spawn } from 'node:child_process';

/**
 * Tells a service manager that waits for it (systemd, `Type=notify`) how far the process is: sd_notify(3). Through
 * systemd-notify(1), which every system with systemd has: Node cannot write to a datagram socket in the file system. Nothing is
 * said where `NOTIFY_SOCKET` is not set; what fails is reported once and costs nothing else.
 *
 * MAINPID makes this process the main one, whoever started it: SIGTERM then reaches it once, and not its launcher.
 */
export function notifyServiceManager(
  state: 'READY=1' | 'STOPPING=1',
  status: string,
  onFailure: (why: string) => void,
  env: NodeJS.ProcessEnv = process.env,
): void {
  if (!env['NOTIFY_SOCKET']) return;
  const child = spawn('systemd-notify', [state, `MAINPID=${process.pid}`, `STATUS=${status}`], {
    env: { NOTIFY_SOCKET: env['NOTIFY_SOCKET'], PATH: env['PATH'] },
    stdio: 'ignore',
    timeout: TIMEOUT_MS,
  });
  child.once('error', (error) => onFailure(error.message));
  child.once('exit', (code, signal) => {
    if (code !== 0) onFailure(`systemd-notify ended with ${code ?? signal}`);
  });
  child.unref();
}

/** sd_listen_fds(3): sockets that a `.socket` unit handed over are not used, and keep their addresses from being bound. null: none were. */
export function inheritedSocketsWarning(env: NodeJS.ProcessEnv, pids: readonly number[]): string | null {
  const { LISTEN_FDS: count, LISTEN_PID: pid } = env;
  if (!count || !pids.map(String).includes(pid ?? '')) return null;
  return `Sockets are handed over (LISTEN_FDS=${count}), which is not supported: Sallyport binds its addresses itself; disable the .socket unit`;
}

const TIMEOUT_MS = 5000; // it waits until the manager has taken the message, which is at once
