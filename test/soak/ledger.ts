/** What the driver knows of one request, by the id in its path (`/s/BEHAVIOUR/ID`). */
export interface Entry {
  readonly kind: string;
  /** Of the response head that the client read; 0: none came. */
  status: number;
  /** A backend read its head, so the proxy did. */
  seen: boolean;
  /** The proxy's own failure said to a gRPC client: 200, and a grpc-status in the head. */
  isGrpcFailure: boolean;
  /** Why a client that waited for its answer got none. */
  failure: string | null;
}

/** Every request that was begun. What the log must hold follows: see `accounts.ts`. */
export class Ledger {
  readonly entries: Entry[] = [];
  /** Heads that are no requests, which the log has without a path: how many were answered. */
  refused = 0;
  /** Streams of target SSL and TCP proxies: those that carried a byte back, and those that may have ended before. */
  readonly streams = { carried: 0, unsure: 0 };
  /** Bodies that were not what they had to be, operations that did not end: each is a failure of the run. */
  readonly defects: string[] = [];
  readonly operations = new Map<string, number>();

  begin(kind: string): number {
    return this.entries.push({ kind, status: 0, seen: false, isGrpcFailure: false, failure: null }) - 1;
  }

  answered(id: number, status: number): void {
    const entry = this.entries[id]!;
    if (entry.status === 0) entry.status = status;
  }

  seen(id: number): void {
    const entry = this.entries[id];
    if (entry !== undefined) entry.seen = true;
  }

  failed(id: number, why: string): void {
    const entry = this.entries[id]!;
    if (entry.status === 0) entry.failure ??= why;
  }

  defect(text: string): void {
    if (this.defects.length < MAX_DEFECTS) this.defects.push(text);
  }

  done(operation: string): void {
    this.operations.set(operation, (this.operations.get(operation) ?? 0) + 1);
  }
}

export function idOf(path: string): number {
  const id = /\/s\/[^/]+\/(\d+)/.exec(path)?.[1];
  return id === undefined ? -1 : Number(id);
}

/** What heads ask for that are sent to be refused. */
export const REFUSED_PATH = '/refused';

const MAX_DEFECTS = 50;
