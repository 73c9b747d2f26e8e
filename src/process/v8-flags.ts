import { setFlagsFromString } from 'node:v8';

/** What V8 is told before anything else runs (docs/decisions/0010-bodies-count-as-heap.md, 0013-larger-caches.md). */
export function tuneV8(): void {
  for (const flag of V8_FLAGS) setFlagsFromString(flag);
}

export const V8_FLAGS: readonly string[] = [
  /*
   * Bytes of bodies live outside V8's heap. By default V8 begins a full collection for each 64 MiB of them that it has not yet seen
   * released, which under large bodies is several a second, each over the whole heap: a quarter of the CPU time of a 100 KiB
   * response. With this flag they count towards the same limit as the heap, and the scavenges that release them anyway suffice.
   */
  '--external-memory-accounted-in-global-limit',
  /*
   * V8 gives what a place in the code allocates to the old generation for good once most of it survived a collection. In the first
   * second, with a young generation of 1 MiB and a hundred requests in flight, that is true of every list of every request, and
   * from there each keeps alive what it holds until a full collection.
   */
  '--no-allocation-site-pretenuring',
  /*
   * A place in the code that has met more than four shapes of object looks every property up in a table from then on: 13 ns a
   * load instead of 5 where seven shapes come by. Node's streams do so here, for sockets of clients and of backends.
   */
  '--max-valid-polymorphic-map-count=8',
];
