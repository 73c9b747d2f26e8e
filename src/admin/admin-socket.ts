import { once } from 'node:events';
import { lstat, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';

/**
 * Listens on a UNIX socket that only this user can connect to (0600). A socket file that a killed process left behind is replaced, one at
 * which somebody answers is not. Rejects with the system's error, EADDRINUSE then.
 */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  try {
    await listen(server, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || !(await isStale(path))) throw error;
    await unlink(path);
    await listen(server, path);
  }
}

/** The file has its mode from its first moment: bind(2) is called within listen(), under this umask. */
async function listen(server: Server, path: string): Promise<void> {
  const listening = once(server, 'listening');
  const before = process.umask(0o177);
  try {
    server.listen({ path });
  } finally {
    process.umask(before);
  }
  await listening;
}

async function isStale(path: string): Promise<boolean> {
  const facts = await lstat(path).catch(() => null);
  if (facts?.isSocket() !== true) return false;
  const probe = connect({ path });
  try {
    await once(probe, 'connect');
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED';
  } finally {
    probe.destroy();
  }
}
