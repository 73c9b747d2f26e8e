import type { Worker } from 'node:cluster';

/**
 * A connection that is on its way to a worker when that dies is forgotten by node:cluster (Node 26.10, RoundRobinHandle.handoff: only
 * the worker's answer closes the primary's copy): its client would wait for ever on a socket that nobody reads, and the primary would
 * lose a descriptor. One for each worker and listener, at most. This closes them. Returns what to call when the worker has ended.
 */
export function watchHandover(worker: Worker): () => void {
  const { process: child } = worker;
  const send = child.send.bind(child) as (message: unknown, ...rest: unknown[]) => boolean;
  const last = new Map<string, Closable>();
  const watched = (message: unknown, handle?: unknown, ...rest: unknown[]): boolean => {
    const { act, key } = message as { act?: unknown; key?: unknown };
    if (act === 'newconn' && isClosable(handle)) {
      last.set(String(key), handle); // the one before was answered: a worker has one of each listener at a time
      holders.set(handle, child);
    }
    return send(message, handle, ...rest);
  };
  child.send = watched as typeof child.send;
  return () => {
    // closing a closed one does nothing; one that this worker sent back is another's now
    for (const handle of last.values()) if (holders.get(handle) === child) handle.close();
    last.clear();
  };
}

interface Closable {
  close(): void;
}

function isClosable(value: unknown): value is Closable {
  return typeof value === 'object' && value !== null && 'close' in value && typeof value.close === 'function';
}

const holders = new WeakMap<Closable, object>();
