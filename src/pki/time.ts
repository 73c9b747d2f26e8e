import { DerError, type DerReader, TAG } from './der.ts';

/**
 * Reads UTCTime or GeneralizedTime in the only forms RFC 5280 section 4.1.2.5 allows: seconds present, no fraction, Z.
 * Wall milliseconds. GeneralizedTime before 2050 is taken, although CAs must not write it. Throws DerError.
 */
export function readTime(reader: DerReader): number {
  const { tag, content } = reader.element();
  if (tag === TAG.utcTime) {
    if (content.length !== 13) throw new DerError(`UTCTime of ${content.length} characters, expected YYMMDDHHMMSSZ`);
    const year = digits(content, 0, 2);
    return assemble(year >= 50 ? 1900 + year : 2000 + year, content, 2);
  }
  if (tag === TAG.generalizedTime) {
    if (content.length !== 15)
      throw new DerError(`GeneralizedTime of ${content.length} characters, expected YYYYMMDDHHMMSSZ`);
    return assemble(digits(content, 0, 4), content, 4);
  }
  throw new DerError(`tag 0x${tag.toString(16)} where a time is expected`);
}

/** '2026-11-21T20:00:00Z': without the milliseconds that certificates do not have. */
export function timeText(wallMs: number): string {
  const date = new Date(wallMs);
  return Number.isNaN(date.getTime()) ? String(wallMs) : `${date.toISOString().slice(0, -5)}Z`;
}

function assemble(year: number, content: Buffer, at: number): number {
  const month = digits(content, at, 2);
  const day = digits(content, at + 2, 2);
  const hour = digits(content, at + 4, 2);
  const minute = digits(content, at + 6, 2);
  const second = digits(content, at + 8, 2);
  if (content[at + 10] !== UPPER_Z) throw new DerError('time that does not end in Z');
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day); // Date.UTC would read years below 100 as 19xx
  const isRealDay = date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  if (!isRealDay || hour > 23 || minute > 59 || second > 59) throw new DerError('time that does not exist');
  return date.getTime() + ((hour * 60 + minute) * 60 + second) * 1000;
}

function digits(content: Buffer, at: number, count: number): number {
  let value = 0;
  for (let index = at; index < at + count; index++) {
    const digit = content[index]! - ZERO;
    if (!(digit >= 0 && digit <= 9)) throw new DerError('time with a character that is not a digit');
    value = value * 10 + digit;
  }
  return value;
}

const ZERO = 0x30;
const UPPER_Z = 0x5a;
