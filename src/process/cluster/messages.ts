import type { FileReadings } from '../../config/file-reader.ts';

/** What a worker has to load. Goes over IPC only: it holds keys and secrets (security rule 20). */
export interface PrepareMessage {
  readonly type: 'prepare';
  readonly version: number;
  /** Everything the primary read: a worker sees the same bytes, now and when it starts later. */
  readonly readings: FileReadings;
  /** Wall time that certificates were judged at. */
  readonly nowMs: number;
  /** What it has to come to. */
  readonly digest: string;
  /** Of session tickets where no file is configured: one for all workers. */
  readonly ticketSecret: Uint8Array;
  /** Among how many the limits of the process are divided. */
  readonly workers: number;
}

export type PrimaryMessage =
  | PrepareMessage
  | { readonly type: 'commit' | 'abort'; readonly version: number }
  | { readonly type: 'ask'; readonly id: number; readonly what: Question }
  | { readonly type: 'drain' | 'go-away' | 'close-now' | 'reopen-access-log' };

/** `metrics`: JSON of a registry. `status`: JSON of a WorkerStatus. */
export type Question = 'metrics' | 'status';

export type WorkerMessage =
  | { readonly type: 'prepared' | 'committed'; readonly version: number }
  | { readonly type: 'refused'; readonly version: number; readonly message: string }
  /** `id` 0: sent unasked, once a second. It is what says that the event loop turns. */
  | { readonly type: 'metrics'; readonly id: number; readonly connections: number; readonly text: string }
  | { readonly type: 'status'; readonly id: number; readonly text: string };

/**
 * A worker reads what strangers send; the primary holds the secrets and outlives it. So it takes nothing from a worker but these
 * shapes, each bounded, none with a path or an address to act on (security rule 39). null: anything else.
 */
export function parseWorkerMessage(value: unknown): WorkerMessage | null {
  if (typeof value !== 'object' || value === null) return null;
  const { type, version, id, connections, message, text } = value as Readonly<Record<string, unknown>>;
  switch (type) {
    case 'prepared':
    case 'committed':
      return isCount(version) ? { type, version } : null;
    case 'refused':
      return isCount(version) && isText(message, MAX_REASON) ? { type, version, message } : null;
    case 'metrics':
      return isCount(id) && isCount(connections) && isText(text, MAX_METRICS) ? { type, id, connections, text } : null;
    case 'status':
      return isCount(id) && isText(text, MAX_STATUS) ? { type, id, text } : null;
    default:
      return null;
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isText(value: unknown, most: number): value is string {
  return typeof value === 'string' && value.length <= most;
}

export const MAX_REASON = 8192; // a bind error or OpenSSL's words: some hundred characters
export const MAX_METRICS = 32 * 1024 * 1024; // about 200,000 samples: more than Prometheus takes by default
export const MAX_STATUS = 8 * 1024 * 1024; // 500 failures of 6 KiB, and some thousand endpoints
