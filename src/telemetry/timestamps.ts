// hot path: toISOString() once a second, the rest once a millisecond instead of once a line.

/** ISO 8601 UTC with milliseconds. */
export class Timestamps {
  #second = -1;
  #prefix = '';
  #ms = -1;
  #member = '';

  /** `{"time":"2026-11-21T21:31:11.552Z"`: how a line begins. */
  member(wallMs: number): string {
    const ms = Math.max(0, Math.floor(wallMs));
    if (ms === this.#ms) return this.#member;
    this.#ms = ms;
    const second = Math.floor(ms / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#prefix = `{"time":"${new Date(second * 1000).toISOString().slice(0, -4)}`; // up to and including the dot
    }
    this.#member = `${this.#prefix}${String(1000 + (ms - second * 1000)).slice(1)}Z"`;
    return this.#member;
  }
}
