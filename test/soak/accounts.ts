import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { LogLine } from '../harness/run-sallyport.ts';
import { type Entry, idOf, type Ledger, REFUSED_PATH } from './ledger.ts';

/** What the access log holds. */
export interface Logged {
  /** By id: lines, and the status of the first. */
  readonly lines: ReadonlyMap<number, { count: number; status: number; statusDetails: string }>;
  readonly requests: number;
  /** Heads that were refused; what was no request at all has no path. */
  readonly refused: number;
  readonly connections: number;
  /** `targetProxy statusDetails`, of requests and connections. */
  readonly words: ReadonlyMap<string, number>;
  readonly handshakeFailures: number;
}

interface RequestLine extends LogLine {
  readonly httpRequest?: { readonly requestUrl?: string; readonly status: number };
  readonly statusDetails?: string;
  readonly targetProxy?: string;
  readonly level?: string;
  readonly suppressed?: number;
}

/** Reads an access log, and the lines of the process beside it. */
export async function readLog(file: string, others: readonly LogLine[]): Promise<Logged> {
  const lines = new Map<number, { count: number; status: number; statusDetails: string }>();
  const words = new Map<string, number>();
  const sums = { requests: 0, refused: 0, connections: 0, handshakeFailures: 0 };
  const take = (line: RequestLine) => {
    if (line.msg === 'handshake') sums.handshakeFailures += 1 + (line.suppressed ?? 0);
    if (line.msg === 'handshakes') sums.handshakeFailures += line.suppressed ?? 0;
    if (line.msg !== 'request' && line.msg !== 'connection') return;
    const word = `${line.targetProxy} ${line.statusDetails}`;
    words.set(word, (words.get(word) ?? 0) + 1);
    if (line.msg === 'connection') return void sums.connections++;
    sums.requests++;
    const url = line.httpRequest?.requestUrl;
    if (url === undefined || url.endsWith(REFUSED_PATH)) return void sums.refused++;
    const kept = lines.get(idOf(url));
    if (kept !== undefined) kept.count++;
    else lines.set(idOf(url), { count: 1, status: line.httpRequest!.status, statusDetails: line.statusDetails ?? '' });
  };
  for await (const text of createInterface({ input: createReadStream(file) })) take(JSON.parse(text) as RequestLine);
  for (const line of others) take(line);
  return { lines, words, ...sums };
}

export interface Accounts {
  readonly begun: number;
  readonly logged: number;
  /** Neither an answer nor a backend told the driver whether the proxy had read the head: these may have a line or none. */
  readonly unknowable: number;
  readonly mistakes: readonly string[];
}

/**
 * Sent = logged. Who got a head, or whose head a backend saw, has exactly one line, with the status that he saw. Who left or was
 * cut off before either has one or none. No line is about anything that was not asked. Clients that waited were answered.
 */
export function settle(ledger: Ledger, logged: Logged): Accounts {
  const mistakes: string[] = [];
  let unknowable = 0;
  for (const [id, entry] of ledger.entries.entries()) {
    const line = logged.lines.get(id);
    const count = line?.count ?? 0;
    const what = `request ${id} (${entry.kind})`;
    if (count > 1) mistakes.push(`${what} has ${count} lines, expected one`);
    if (entry.status === 0 && !entry.seen) unknowable++;
    else if (count === 0) mistakes.push(`${what} has no line, and its client saw ${entry.status || 'nothing yet'}`);
    if (line !== undefined && entry.status !== 0 && !isSame(entry, line.status))
      mistakes.push(`${what} is logged with ${line.status} ${line.statusDetails}, and its client saw ${entry.status}`);
    if (entry.failure !== null && entry.status === 0 && !MAY_GO_UNANSWERED.test(entry.kind))
      mistakes.push(`${what} got no answer: ${entry.failure}${line ? `, logged as ${line.statusDetails}` : ''}`);
  }
  for (const id of logged.lines.keys()) {
    if (ledger.entries[id] === undefined) mistakes.push(`a line is about request ${id}, which nobody sent`);
  }
  const { carried, unsure } = ledger.streams;
  if (logged.refused !== ledger.refused)
    mistakes.push(`${ledger.refused} heads were refused, and ${logged.refused} lines say so`);
  if (logged.connections < carried || logged.connections > carried + unsure)
    mistakes.push(`${carried} streams (and ${unsure} that may not have begun), and ${logged.connections} lines`);
  for (const [word, count] of logged.words) {
    if (word.endsWith(' internal_error')) mistakes.push(`${count} lines say '${word}'`);
  }
  return { begun: ledger.entries.length, logged: logged.requests, unknowable, mistakes };
}

/** Two are 200 to the client only: a WebSocket over HTTP/2 is 101 in the log, and a gRPC failure the status that others would get. */
function isSame({ status, isGrpcFailure }: Entry, logged: number): boolean {
  if (status === 200 && isGrpcFailure) return logged >= 500;
  return status === logged || (status === 200 && logged === 101);
}

/**
 * They leave on purpose, keep sending to somebody who has answered and gone, or get a response that is cut: a reset takes what they
 * had not read, the head included.
 */
const MAY_GO_UNANSWERED = /\(left|^early|^cut/;
