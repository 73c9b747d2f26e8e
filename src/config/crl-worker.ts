import { parentPort, workerData } from 'node:worker_threads';
import { type CrlParts, parseCrls } from '../pki/crl.ts';
import { DerError } from '../pki/der.ts';

/** What the thread answers, once: the CRLs of the file in parts, or what is wrong with it. */
export type CrlWorkerAnswer =
  | { readonly parts: readonly CrlParts[]; readonly problem: null }
  | { readonly parts: null; readonly problem: string };

function answer(file: Uint8Array): CrlWorkerAnswer {
  try {
    return { parts: parseCrls(file).map((crl) => crl.parts), problem: null };
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    return { parts: null, problem: error.message };
  }
}

const result = answer(workerData as Uint8Array);
const arrays = (result.parts ?? []).flatMap(({ der, serials }) => [
  der.buffer,
  serials.slots.buffer,
  serials.lengths.buffer,
]);
parentPort?.postMessage(result, arrays);
