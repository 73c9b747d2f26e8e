// hot path
import type { Endpoint } from '../contract.ts';
import type { Candidate } from './balancer.ts';

export function mayServe(candidate: Candidate, tried: readonly Endpoint[], ignoresHealth: boolean): boolean {
  return candidate.weight > 0 && (candidate.isWell || ignoresHealth) && !tried.includes(candidate);
}

/** From `start` on, once round: the first that may serve and is not failing, else the first that may serve. */
export function firstFrom<C extends Candidate>(
  endpoints: readonly C[],
  start: number,
  tried: readonly Endpoint[],
  ignoresHealth: boolean,
): C | null {
  let failing: C | null = null;
  for (let i = 0; i < endpoints.length; i++) {
    const candidate = endpoints[(start + i) % endpoints.length]!;
    if (!mayServe(candidate, tried, ignoresHealth)) continue;
    if (!candidate.isFailing) return candidate;
    failing ??= candidate;
  }
  return failing;
}
