import { type Deadline, startDeadline } from '../base/deadline.ts';
import type { DestinationTerms } from './destination-rules.ts';
import { type Families, type FoundAddresses, type NameLookup, NameLookupError, nameLookup } from './name-lookup.ts';

/** What is known of a name. */
export interface NameState {
  /** Sorted, none twice. Empty: unknown, or there are none. */
  readonly addresses: readonly string[];
  /** Of the last look-up; '' when it found something, or none has ended. */
  readonly error: string;
  /** A look-up has ended. */
  readonly isAsked: boolean;
}

export interface NameTerms extends DestinationTerms {
  readonly servers: readonly string[];
  readonly timeoutMs: number;
  /** A name is asked anew when its answer's time to live is over, no sooner and no later than these. */
  readonly minTtlMs: number;
  readonly maxTtlMs: number;
  /** For tests. */
  readonly hostsFile?: string;
}

/** What the resolver reports; telemetry implements it. Called synchronously; must not throw. */
export interface NameEvents {
  /** A look-up ended. `error` '': it found `addresses`; otherwise these are what is used all the same, from before. */
  onLookup(name: string, addresses: readonly string[], error: string): void;
  /** Nobody uses the name any more. */
  onForgotten(name: string): void;
}

export const noNameEvents: NameEvents = { onLookup: () => {}, onForgotten: () => {} };

/**
 * The names of endpoints, each looked up once for all services that use it and again when its answer has lived. A resolver that does not
 * answer changes nothing: the last addresses stay in use (RFC 8767). An answer that there are none does: nothing stays of the name.
 */
export class NameResolver {
  readonly #events: NameEvents;
  readonly #names = new Map<string, WatchedName>();
  #terms: NameTerms;
  #lookup: NameLookup;

  constructor(events: NameEvents, terms: NameTerms = DEFAULT_TERMS) {
    this.#events = events;
    this.#terms = terms;
    this.#lookup = nameLookup(terms);
  }

  /** Which addresses a name may lead to. */
  get destinations(): DestinationTerms {
    return this.#terms;
  }

  /** Other servers, bounds or permissions: every name is asked anew. The system's own servers are read again. */
  use(terms: NameTerms): void {
    this.#terms = terms;
    this.#lookup.cancel();
    this.#lookup = nameLookup(terms);
    for (const name of this.#names.values()) name.refresh(this.#lookup, terms);
  }

  /** What is known already; null when nobody watches it. */
  stateOf(host: string, families: Families): NameState | null {
    return this.#names.get(keyOf(host, families))?.state ?? null;
  }

  /** `onChange` runs after each look-up that changed something, and never from within. The returned function ends it. */
  watch(host: string, families: Families, onChange: () => void): () => void {
    const key = keyOf(host, families);
    let name = this.#names.get(key);
    if (name === undefined) {
      name = new WatchedName(host, families, this.#events);
      this.#names.set(key, name);
      name.refresh(this.#lookup, this.#terms);
    }
    const watched = name;
    const listener = () => onChange();
    watched.listeners.add(listener);
    return () => {
      if (!watched.listeners.delete(listener) || watched.listeners.size > 0) return;
      this.#names.delete(key);
      watched.stop();
      if (this.#names.size === 0) this.#lookup.cancel(); // nothing is left that waits for it
    };
  }
}

class WatchedName {
  state: NameState = { addresses: [], error: '', isAsked: false };
  readonly listeners = new Set<() => void>();
  readonly #host: string;
  readonly #families: Families;
  readonly #events: NameEvents;
  #terms: NameTerms = DEFAULT_TERMS;
  #lookup: NameLookup | null = null;
  #timer: Deadline | null = null;
  #failures = 0;

  constructor(host: string, families: Families, events: NameEvents) {
    this.#host = host;
    this.#families = families;
    this.#events = events;
  }

  refresh(lookup: NameLookup, terms: NameTerms): void {
    this.#lookup = lookup;
    this.#terms = terms;
    this.#failures = 0;
    this.#timer?.cancel();
    void this.#ask(lookup, true);
  }

  stop(): void {
    this.#lookup = null;
    this.#timer?.cancel();
    this.#events.onForgotten(this.#host);
  }

  async #ask(lookup: NameLookup, tellAnyway: boolean): Promise<void> {
    let found: FoundAddresses | null = null;
    let failure: NameLookupError | null = null;
    try {
      found = await lookup.lookUp(this.#host, this.#families);
    } catch (error) {
      failure = error instanceof NameLookupError ? error : new NameLookupError('ESERVFAIL', false);
    }
    if (lookup !== this.#lookup) return; // stopped, or asked elsewhere meanwhile
    const before = this.state;
    this.#failures = failure === null ? 0 : this.#failures + 1;
    this.state = {
      addresses: found !== null ? distinct(found.addresses) : failure!.isAnswer ? [] : before.addresses,
      error: failure?.code ?? '',
      isAsked: true,
    };
    this.#timer = startDeadline(this.#waitMs(found), () => void this.#ask(lookup, false));
    this.#events.onLookup(this.#host, this.state.addresses, this.state.error);
    const isNews = !before.isAsked || before.addresses.join() !== this.state.addresses.join();
    if (isNews || tellAnyway || this.state.addresses.length === 0) for (const listener of this.listeners) listener();
  }

  /** With up to a tenth on top, so that many names and many proxies do not ask in one moment. */
  #waitMs(found: FoundAddresses | null): number {
    const { minTtlMs, maxTtlMs } = this.#terms;
    const ms =
      found === null
        ? Math.min(FIRST_RETRY_MS * 2 ** Math.min(this.#failures - 1, MAX_DOUBLINGS), LONGEST_RETRY_MS)
        : Math.min(Math.max(found.ttlSec * 1000, minTtlMs), maxTtlMs);
    return ms * (1 + Math.random() / 10);
  }
}

function keyOf(host: string, families: Families): string {
  return `${families} ${host}`;
}

function distinct(addresses: readonly string[]): readonly string[] {
  return [...new Set(addresses)].sort().slice(0, MAX_ADDRESSES);
}

/** Of one name: each has connections and probes of its own, and an answer must not make thousands. */
const MAX_ADDRESSES = 64;
const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 10_000; // a name that comes back is noticed within it
const MAX_DOUBLINGS = 10;

export const DEFAULT_TERMS: NameTerms = {
  servers: [],
  timeoutMs: 2000,
  minTtlMs: 1000,
  maxTtlMs: 60_000,
  allowedNames: [],
  ownDoors: [],
};
