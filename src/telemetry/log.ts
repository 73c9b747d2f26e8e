import pino from 'pino';
import { asciiJson } from './escape.ts';
import type { LineSink } from './line-writer.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Flat, so that every string has one place where it is capped. An Error becomes `{type, code, message, stack}`. */
export type LogFields = {
  readonly [name: string]: LogValue;
  /** Written by the logger itself. */
  readonly time?: never;
  readonly level?: never;
  readonly msg?: never;
};
export type LogValue = string | number | boolean | null | undefined | readonly string[] | Error;

/**
 * The program's log: JSON lines with `level` (a word), `time` (ISO 8601), the fields and `msg`. Strings are escaped and
 * capped (security rule 15), so a stranger's text may be a field; secrets may not.
 */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same log with these fields on every line; serialised once. */
  child(fields: LogFields): Log;
}

export function createLog(sink: LineSink, level: LogLevel = 'info'): Log {
  const options: pino.LoggerOptions = {
    level,
    base: null, // pid and hostname say nothing that the collector does not add
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    serializers: { err: (value: unknown) => value }, // errorFacts() did it; pino's own would serialise it again, uncapped
    formatters: { level: (label) => ({ level: label }) },
  };
  return new PinoLog(pino(options, { write: (line: string) => sink.line(asciiJson(line.trimEnd())) }));
}

class PinoLog implements Log {
  readonly #pino: pino.Logger;

  constructor(logger: pino.Logger) {
    this.#pino = logger;
  }

  debug(message: string, fields: LogFields = {}): void {
    if (this.#pino.isLevelEnabled('debug')) this.#pino.debug(capped(fields), cap(message, MAX_STRING));
  }

  info(message: string, fields: LogFields = {}): void {
    this.#pino.info(capped(fields), cap(message, MAX_STRING));
  }

  warn(message: string, fields: LogFields = {}): void {
    this.#pino.warn(capped(fields), cap(message, MAX_STRING));
  }

  error(message: string, fields: LogFields = {}): void {
    this.#pino.error(capped(fields), cap(message, MAX_STRING));
  }

  child(fields: LogFields): Log {
    return new PinoLog(this.#pino.child(capped(fields)));
  }
}

function capped(fields: LogFields): Record<string, unknown> {
  const safe: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) safe[name] = cappedValue(value);
  return safe;
}

function cappedValue(value: LogValue): unknown {
  if (typeof value === 'string') return cap(value, MAX_STRING);
  if (value instanceof Error) return errorFacts(value);
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map((item) => cap(String(item), MAX_ITEM));
  return value;
}

function errorFacts(error: Error): Record<string, unknown> {
  const { code } = error as NodeJS.ErrnoException;
  return {
    type: cap(error.name, MAX_ITEM),
    ...(typeof code === 'string' && { code: cap(code, MAX_ITEM) }),
    message: cap(error.message, MAX_STRING),
    ...(error.stack !== undefined && { stack: cap(error.stack, MAX_STRING) }),
  };
}

function cap(text: string, maxLength: number): string {
  return text.length <= maxLength ? text : `${text.slice(0, maxLength)}…`;
}

const MAX_STRING = 2048; // with MAX_ITEMS × MAX_ITEM the most a field can add; a line stays in the tens of kilobytes
const MAX_ITEM = 256;
const MAX_ITEMS = 64;
