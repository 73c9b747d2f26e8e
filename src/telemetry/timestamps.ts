// hot path: toISOString() once a second instead of once a line.

/** ISO 8601 UTC with milliseconds. */
export class Timestamps {
  #second = -1;
  #prefix = '';

  /** `{"time":"2026-11-21T21:31:11.552Z"`: how a line begins. */
  member(wallMs: number): string {
    const ms = Math.max(0, Math.floor(wallMs));
    const second = Math.floor(ms / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#prefix = `{"time":"${new Date(second * 1000).toISOString().slice(0, -4)}`; // up to and including the dot
    }
    return `${this.#prefix}${String(1000 + (ms - second * 1000)).slice(1)}Z"`;
  }
}
