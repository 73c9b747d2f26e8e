import type { Socket } from 'node:net';
import type { Records } from './_memory.ts';
import { type BackendSocket, rawBackend } from './_proxy.ts';

/** How a sloppy server reads HTTP/1.1: each of these is one that shipped somewhere. */
export interface Leniency {
  readonly name: string;
  /** Lines also end in a bare LF, or even a bare CR. */
  readonly lineEnd: 'crlf' | 'lf' | 'cr';
  /** A line that begins with whitespace belongs to the one before, or is a field of its own. */
  readonly fold: 'join' | 'field';
  /** Bytes around a field name that are cut off before it is compared; `_` counts as `-` where `dashes`. */
  readonly trimsNames: boolean;
  readonly dashes: boolean;
  /** Which Content-Length of several. */
  readonly length: 'first' | 'last';
  /** Transfer-Encoding: only exactly `chunked`, wherever the word stands, or never. */
  readonly coding: 'exact' | 'anywhere' | 'ignored';
  /** Which one frames where both are there. */
  readonly both: 'coding' | 'length';
  /** Chunk sizes and lengths overflow at 32 bits. */
  readonly overflows: boolean;
}

const BASE: Leniency = {
  name: 'strict',
  lineEnd: 'crlf',
  fold: 'join',
  trimsNames: false,
  dashes: false,
  length: 'first',
  coding: 'exact',
  both: 'coding',
  overflows: false,
};

const SLOPPY: Leniency = { ...BASE, lineEnd: 'lf', trimsNames: true, coding: 'anywhere' };

export const LENIENCIES: readonly Leniency[] = [
  BASE,
  { ...SLOPPY, name: 'bare LF, chunked anywhere' },
  { ...SLOPPY, name: 'bare CR', lineEnd: 'cr' },
  { ...SLOPPY, name: 'folds are fields', fold: 'field' },
  { ...SLOPPY, name: 'underscores are dashes', dashes: true },
  { ...SLOPPY, name: 'last Content-Length', length: 'last' },
  { ...SLOPPY, name: 'Content-Length wins', both: 'length' },
  { ...SLOPPY, name: 'last Content-Length wins', both: 'length', length: 'last' },
  { ...SLOPPY, name: 'no chunked at all where there is a length', both: 'length', dashes: true, lineEnd: 'cr' },
  { ...SLOPPY, name: '32-bit sizes', overflows: true },
];

/** The request lines that a server of this kind finds in what it was sent. `complete`: how many of them came with their whole body. */
export function requestsIn(
  text: string,
  how: Leniency,
): { readonly lines: readonly string[]; readonly complete: number } {
  const reader = new Reader(text, how);
  const lines: string[] = [];
  let complete = 0;
  for (;;) {
    const start = reader.line();
    if (start === null) break;
    if (start === '') continue; // RFC 9112 section 2.2
    const fields = reader.fields();
    if (fields === null) break;
    lines.push(start);
    if (!reader.body(fields)) break;
    complete++;
  }
  return { lines, complete };
}

/** A raw server that answers what undici sends, keeps every byte, and never closes by itself. */
export class LenientBackend {
  readonly connections: readonly BackendSocket[];
  readonly port: number;
  readonly #seen = new Map<Leniency, Map<string, number>>(LENIENCIES.map((how) => [how, new Map()]));

  readonly #answered: Map<BackendSocket, number>;

  constructor(port: number, connections: readonly BackendSocket[], answered: Map<BackendSocket, number>) {
    this.port = port;
    this.connections = connections;
    this.#answered = answered;
  }

  /** How often a server of this kind has seen each 'METHOD target', over all connections and all time. */
  seenBy(how: Leniency): ReadonlyMap<string, number> {
    return this.#seen.get(how)!;
  }

  /** Reads what came since the last time; connections that are inside a request are left for the next time unless they are closed. */
  read(): void {
    for (const connection of this.connections) {
      const { text } = connection;
      if (text === '') continue;
      const { lines, complete } = requestsIn(text, BASE);
      if (!connection.closed && lines.length !== complete) continue;
      for (const [how, seen] of this.#seen) {
        for (const line of requestsIn(text, how).lines) {
          const words = line.split(' ').slice(0, 2).join(' ');
          seen.set(words, (seen.get(words) ?? 0) + 1);
        }
      }
      connection.text = '';
      this.#answered.delete(connection);
    }
  }

  /** What some server believes to have got more often than the proxy has sent it. */
  excess({ all }: Records): string[] {
    this.read();
    const sent = new Map<string, number>();
    for (const { exchange, attempts } of all) {
      const words = `${exchange.method} ${exchange.target}`;
      sent.set(words, (sent.get(words) ?? 0) + attempts);
    }
    const excess: string[] = [];
    for (const [how, seen] of this.#seen) {
      for (const [words, count] of seen) {
        if (count > (sent.get(words) ?? 0)) excess.push(`${how.name}: ${count} × ${words}`);
      }
    }
    return excess;
  }
}

export async function lenientBackend(): Promise<LenientBackend> {
  /** Of the text at hand. */
  const answered = new Map<BackendSocket, number>();
  const { port, connections } = await rawBackend((connection) => {
    connection.socket.on('data', () => {
      const { complete } = requestsIn(connection.text, BASE);
      for (let i = answered.get(connection) ?? 0; i < complete; i++) answer(connection.socket);
      answered.set(connection, complete);
    });
  });
  return new LenientBackend(port, connections, answered);
}

function answer(socket: Socket): void {
  socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
}

class Reader {
  #at = 0;
  readonly #text: string;
  readonly #how: Leniency;

  constructor(text: string, how: Leniency) {
    this.#text = text;
    this.#how = how;
  }

  /** Null: no whole line is left. */
  line(): string | null {
    const { lineEnd } = this.#how;
    const ends = lineEnd === 'crlf' ? /\r\n/g : lineEnd === 'lf' ? /\r?\n/g : /\r\n|\n|\r/g;
    ends.lastIndex = this.#at;
    const end = ends.exec(this.#text);
    if (end === null) return null;
    const line = this.#text.slice(this.#at, end.index);
    this.#at = ends.lastIndex;
    return line;
  }

  /** `[name, value]`, names as this server compares them; null: the head does not end. */
  fields(): [string, string][] | null {
    const fields: [string, string][] = [];
    for (;;) {
      const line = this.line();
      if (line === null) return null;
      if (line === '') return fields;
      const last = fields.at(-1);
      if (/^[ \t]/.test(line) && this.#how.fold === 'join' && last !== undefined) {
        last[1] += ` ${line.trim()}`;
        continue;
      }
      const colon = line.indexOf(':');
      if (colon > 0) fields.push([this.#name(line.slice(0, colon)), line.slice(colon + 1).trim()]);
    }
  }

  /** False: it does not end. */
  body(fields: readonly [string, string][]): boolean {
    const { coding, both, length } = this.#how;
    const codings = fields.filter(([name]) => name === 'transfer-encoding').map(([, value]) => value.toLowerCase());
    const lengths = fields.filter(([name]) => name === 'content-length').flatMap(([, value]) => value.split(','));
    const isChunked =
      coding !== 'ignored' &&
      codings.some((value) => (coding === 'exact' ? value === 'chunked' : /chunked/.test(value)));
    if (isChunked && (both === 'coding' || lengths.length === 0)) return this.#chunks();
    if (lengths.length === 0) return true;
    return this.#skip(this.#number((length === 'first' ? lengths[0] : lengths.at(-1))!, 10));
  }

  #chunks(): boolean {
    for (;;) {
      const line = this.line();
      if (line === null) return false;
      const size = this.#number(line, 16);
      if (size === 0) return this.fields() !== null;
      if (!this.#skip(size) || this.line() === null) return false;
    }
  }

  #skip(bytes: number): boolean {
    if (this.#text.length - this.#at < bytes) return false;
    this.#at += bytes;
    return true;
  }

  /** As strtol() reads it: whitespace, a sign and 0x before it, and anything after it. */
  #number(text: string, base: number): number {
    const value = Number.parseInt(text.trim().replace(/^\+/, ''), base);
    if (Number.isNaN(value)) return 0;
    return this.#how.overflows
      ? Number(BigInt.asUintN(32, BigInt(Math.min(value, Number.MAX_SAFE_INTEGER))))
      : Math.max(0, value);
  }

  #name(raw: string): string {
    const name = this.#how.trimsNames ? raw.replace(/[^\x21-\x7e]/g, '') : raw;
    return (this.#how.dashes ? name.replaceAll('_', '-') : name).toLowerCase();
  }
}
