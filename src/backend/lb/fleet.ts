// hot path: pick() runs once per attempt.
import type { LinkedBackendService, LinkedBalancing } from '../../config/linked.ts';
import type { Endpoint, Requester } from '../contract.ts';
import { CookieAffinity } from './affinity-cookie.ts';
import { type AffinitySecrets, AffinityTokens } from './affinity-tokens.ts';
import { type Balancer, type Candidate, createBalancer } from './balancer.ts';
import { NO_HASH } from './hash.ts';
import { type HashAffinity, requesterHash } from './requester-hash.ts';

/** A Candidate that may be drained. */
export interface Member extends Candidate {
  /** Its weight is 0 and the time of draining is over: affinity to it ends too. */
  readonly isDrained: boolean;
}

/** Which of the endpoints of a service, as they are now, a requester gets. */
export class Fleet<M extends Member> {
  /** null: no cookie is ever set. */
  readonly cookies: CookieAffinity<M> | null;
  readonly #tokens: AffinityTokens<M> | null;
  readonly #hashed: HashAffinity | null;
  readonly #balancing: LinkedBalancing;
  readonly #random: () => number;
  #endpoints: readonly M[];
  #balancers: readonly Balancer<M>[];

  constructor(
    { name, balancing }: Pick<LinkedBackendService, 'name' | 'balancing'>,
    tiers: readonly (readonly M[])[],
    { secrets, random }: { readonly secrets: AffinitySecrets; readonly random: () => number },
  ) {
    const { affinity } = balancing;
    this.#balancing = balancing;
    this.#random = random;
    this.#endpoints = tiers.flat();
    this.#balancers = tiers.map((endpoints) => createBalancer(balancing, endpoints, random));
    this.#hashed = affinity !== null && !('cookie' in affinity) ? affinity : null;
    const isCookie = affinity !== null && 'cookie' in affinity;
    this.#tokens = isCookie ? new AffinityTokens(secrets, name, this.#endpoints) : null;
    this.cookies = isCookie ? new CookieAffinity(affinity, this.#tokens!) : null;
  }

  /** `tiers`: in order of preference. Affinity to endpoints that stay is kept. */
  use(tiers: readonly (readonly M[])[]): void {
    this.#endpoints = tiers.flat();
    this.#balancers = tiers.map((endpoints) => createBalancer(this.#balancing, endpoints, this.#random));
    this.#tokens?.useEndpoints(this.#endpoints);
  }

  /** An endpoint that may be used and is not in `tried`: the one that a cookie names, else what the policy says; null: there is none. */
  pick(tried: readonly Endpoint[], requester: Requester): M | null {
    const ignoresHealth = this.#balancing.panicThresholdPercent > 0 && this.isInPanic;
    const { cookies } = this;
    if (cookies !== null) {
      const bound = cookies.boundTo(requester.headers);
      if (bound !== null && mayKeep(bound, tried, ignoresHealth)) return bound;
      return this.#choose(tried, cookies.hashOf(requester.headers), ignoresHealth);
    }
    const hash = this.#hashed === null ? NO_HASH : requesterHash(this.#hashed, requester);
    return this.#choose(tried, hash, ignoresHealth);
  }

  /** Of the first tier that has one; one that is failing only when no tier has another. */
  #choose(tried: readonly Endpoint[], hash: number, ignoresHealth: boolean): M | null {
    let failing: M | null = null;
    for (let tier = 0; tier < this.#balancers.length; tier++) {
      const picked = this.#balancers[tier]!.pick(tried, hash, ignoresHealth);
      if (picked === null) continue;
      if (!picked.isFailing) return picked;
      failing ??= picked;
    }
    return failing;
  }

  /** So few are well that health says more about the probes, or about what all have in common, than about endpoints. */
  get isInPanic(): boolean {
    let serving = 0;
    let well = 0;
    for (let i = 0; i < this.#endpoints.length; i++) {
      const endpoint = this.#endpoints[i]!;
      if (endpoint.weight === 0) continue;
      serving++;
      if (endpoint.isWell) well++;
    }
    return well * 100 < this.#balancing.panicThresholdPercent * serving;
  }
}

/** Whom a cookie binds stays with an endpoint that is being drained, and leaves one that cannot be reached. */
function mayKeep(bound: Member, tried: readonly Endpoint[], ignoresHealth: boolean): boolean {
  return (bound.isWell || ignoresHealth) && !bound.isDrained && !bound.isFailing && !tried.includes(bound);
}
