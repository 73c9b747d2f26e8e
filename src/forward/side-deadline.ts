import { Expiring } from '../base/deadline-queue.ts';

/** A deadline of an exchange beside the one that it is itself. */
export class SideDeadline extends Expiring {
  readonly #run: () => void;

  constructor(run: () => void) {
    super();
    this.#run = run;
  }

  override onExpired(): void {
    this.#run();
  }
}
