// hot path: target() runs once per request of a route with a urlRewrite.
import { inspectPath } from '../http/normalize-path.ts';
import { newTarget, type PathSplice } from './path-splice.ts';

/** What is forwarded instead of what was matched. */
export class UrlRewrite {
  /** null: the authority stays. */
  readonly authority: string | null;
  readonly #splice: PathSplice | null;

  constructor(authority: string | null, splice: PathSplice | null) {
    this.authority = authority;
    this.#splice = splice;
  }

  /**
   * The new target of one that the route matched. Null where it has dot segments: `/a../x` with `/a` rewritten to `/files/` would
   * leave /files, behind every rule that looked at it (security rule 33).
   */
  target(target: string): string | null {
    if (this.#splice === null) return target;
    const rewritten = newTarget(this.#splice, target);
    return inspectPath(rewritten) === 'clean' ? rewritten : null;
  }
}
