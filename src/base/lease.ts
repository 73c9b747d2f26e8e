/**
 * Counts who still uses a thing that is to be retired: a snapshot that connections were accepted under, a pool with busy
 * exchanges. `whenUnused` runs once, after `retire()` was called and the last holder let go.
 */
export class Lease<T> {
  readonly value: T;
  #holders = 0;
  #retired = false;
  readonly #whenUnused: (value: T) => void;

  constructor(value: T, whenUnused: (value: T) => void) {
    this.value = value;
    this.#whenUnused = whenUnused;
  }

  get holders(): number {
    return this.#holders;
  }

  take(): T {
    this.#holders++;
    return this.value;
  }

  release(): void {
    this.#holders--;
    this.#settle();
  }

  retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    this.#settle();
  }

  #settle(): void {
    if (this.#retired && this.#holders === 0) this.#whenUnused(this.value);
  }
}
