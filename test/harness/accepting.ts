import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { until } from './until.ts';

/** Until a server that was just started accepts on this port of 127.0.0.1; rejects with `errors` when it ends before. */
export async function accepting(port: number, server: ChildProcess, errors: () => string): Promise<void> {
  await until(async () => {
    if (server.exitCode !== null) throw new Error(`${server.spawnfile} does not listen on ${port}: ${errors()}`);
    return accepts(port);
  }, 50);
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const open = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'error').then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return open;
}
