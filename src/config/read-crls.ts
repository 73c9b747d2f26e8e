import { hash } from 'node:crypto';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { Crl, parseCrls } from '../pki/crl.ts';
import { DerError } from '../pki/der.ts';
import type { CrlWorkerAnswer } from './crl-worker.ts';

/**
 * Every CRL of a file (PEM or DER), or what is wrong with it. A file with the contents of one that is still in use is that one: a reload
 * for another reason parses nothing again, and keeps no second copy. Files over 1 MiB are parsed by a thread of their own (security rule 22).
 */
export async function readCrls(file: Uint8Array): Promise<readonly Crl[] | string> {
  const digest = hash('sha256', file);
  const known = inUse.get(digest)?.deref();
  if (known !== undefined) return known;
  const crls = file.length > MOST_BYTES_HERE ? await parseInThread(file) : parseHere(file);
  if (typeof crls === 'string') return crls;
  for (const [other, reference] of inUse) if (reference.deref() === undefined) inUse.delete(other);
  inUse.set(digest, new WeakRef(crls));
  return crls;
}

function parseHere(file: Uint8Array): readonly Crl[] | string {
  try {
    return parseCrls(file);
  } catch (error) {
    if (error instanceof DerError) return error.message;
    throw error;
  }
}

async function parseInThread(file: Uint8Array): Promise<readonly Crl[] | string> {
  const worker = new Worker(new URL(WORKER, import.meta.url), { workerData: file, execArgv: [] });
  try {
    const [{ parts, problem }] = (await once(worker, 'message')) as [CrlWorkerAnswer];
    return parts === null ? problem : parts.map((part) => new Crl(part));
  } catch (error) {
    return `a list that could not be parsed (${error instanceof Error ? error.message : String(error)})`;
  } finally {
    await worker.terminate();
  }
}

/** By the digest of the file; whoever uses the lists keeps them. */
const inUse = new Map<string, WeakRef<readonly Crl[]>>();

const WORKER = import.meta.url.endsWith('.ts') ? './crl-worker.ts' : './crl-worker.js'; // the sources run as they are
const MOST_BYTES_HERE = 1024 * 1024; // about 30,000 entries, 30 ms: what starting a thread takes
