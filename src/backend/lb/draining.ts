import { type Deadline, startDeadline } from '../../base/deadline.ts';

/** The time that a drained endpoint (capacityScaler 0) has to finish. Outlives a reload that leaves it drained. */
export class Draining {
  /** Affinity to the endpoint ends as well. */
  isOver = false;
  #deadline: Deadline | null = null;

  /** `afterMs` null: it is never over. A second time has no effect. */
  start(afterMs: number | null, onOver: () => void): void {
    if (afterMs === null || this.#deadline !== null) return;
    this.#deadline = startDeadline(afterMs, () => {
      this.isOver = true;
      onOver();
    });
  }

  cancel(): void {
    this.#deadline?.cancel();
  }
}
