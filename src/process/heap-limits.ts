import { setFlagsFromString } from 'node:v8';

/**
 * Bytes of bodies live outside V8's heap. By default V8 begins a full collection for each 64 MiB of them that it has not yet seen
 * released, which under large bodies is several a second, each over the whole heap: a quarter of the CPU time of a 100 KiB
 * response. With this flag they count towards the same limit as the heap, and the scavenges that release them anyway suffice
 * (docs/decisions/0010-bodies-count-as-heap.md).
 */
export function countBodiesInHeapLimit(): void {
  setFlagsFromString(V8_FLAG);
}

export const V8_FLAG = '--external-memory-accounted-in-global-limit'; // off by default in the V8 of Node 26
