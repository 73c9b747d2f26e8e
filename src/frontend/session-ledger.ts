/**
 * What one HTTP/2 session has cost, in two leaky buckets. node:http2 shows no frames, and needs not to: whatever a client sends
 * that is neither a head nor a body is overhead, and every flood of RFC 9113 section 10.5 is made of it.
 */
export class SessionLedger {
  #resets = 0;
  #resetsAtMs: number;
  #overhead = 0;
  #overheadAtMs: number;
  #readBytes = 0;
  #expectedBytes = 0;
  #movedBytes = 0;

  constructor(nowMs: number) {
    this.#resetsAtMs = nowMs;
    this.#overheadAtMs = nowMs;
  }

  /** A stream that ended by RST_STREAM, whichever side sent it. True: there were too many. */
  countReset(nowMs: number): boolean {
    const leaked = ((nowMs - this.#resetsAtMs) / 1000) * RESETS_PER_SECOND;
    this.#resets = Math.max(0, this.#resets - leaked) + 1;
    this.#resetsAtMs = nowMs;
    return this.#resets >= RESET_BURST;
  }

  /**
   * All three since the session began: `readBytes` as the client sent them; `expectedBytes`, of them heads that were taken and bodies
   * that nobody reads; `movedBytes` of bodies in both directions, which pay for the frames around them. True: there is more overhead
   * than any client needs.
   */
  countOverhead(readBytes: number, expectedBytes: number, movedBytes: number, nowMs: number): boolean {
    const leaked = ((nowMs - this.#overheadAtMs) / 1000) * OVERHEAD_BYTES_PER_SECOND;
    const expected = expectedBytes - this.#expectedBytes;
    const paid = (movedBytes - this.#movedBytes) * OVERHEAD_PER_BODY_BYTE;
    this.#overhead = Math.max(0, this.#overhead + readBytes - this.#readBytes - expected - paid - leaked);
    this.#overheadAtMs = nowMs;
    this.#readBytes = readBytes;
    this.#expectedBytes = expectedBytes;
    this.#movedBytes = movedBytes;
    return this.#overhead > OVERHEAD_BURST_BYTES;
  }
}

export const RESET_BURST = 100; // node:http2 itself stops after about 1,100 (measured on 26.10)
export const RESETS_PER_SECOND = 33; // nghttp2's default
// 80,000 empty frames of 9 bytes: some 40 ms of a core. A browser's whole session has less than 10 KiB.
const OVERHEAD_BURST_BYTES = 768 * 1024;
const OVERHEAD_BYTES_PER_SECOND = 64 * 1024; // 7,000 empty frames a second
const OVERHEAD_PER_BODY_BYTE = 8; // gRPC messages of a few bytes, each with its frame, its window updates and its ping
