import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * A loopback port that nothing listens on, for what cannot be told to listen on port 0. Below the range from which the system takes
 * ports for outgoing connections (32768 and up), where one of thousands of test connections would take it before its user does;
 * each jest worker has a part of its own, and walks through it.
 */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (let attempt = 0; attempt < PORTS_PER_WORKER; attempt++) {
    const port = firstPort + next;
    next = (next + 1) % PORTS_PER_WORKER;
    if (await isFree(port, host)) return port;
  }
  throw new Error(`Cannot find a free port from ${firstPort} to ${firstPort + PORTS_PER_WORKER - 1} on ${host}`);
}

async function isFree(port: number, host: string): Promise<boolean> {
  const server = createServer().listen(port, host);
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}

const PORTS_PER_WORKER = 2000;
const firstPort = 12_000 + (Number(process.env['JEST_WORKER_ID'] ?? 1) % 10) * PORTS_PER_WORKER;
/** Each test file begins elsewhere: a module is loaded anew for each. */
let next = Math.floor(Math.random() * PORTS_PER_WORKER);
