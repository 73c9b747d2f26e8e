// hot path where affinity goes by a cookie. A stranger's bytes: one pass, nothing is decoded.
import type { HeaderList } from './exchange.ts';

/**
 * The value of the first cookie of this name, without the spaces around it; null: there is none. HTTP/2 clients may send several Cookie fields
 * (RFC 9113 section 8.2.3). What is no `name=value` (RFC 6265 section 4.2.1) is passed over.
 */
export function cookieValue(headers: HeaderList, name: string): string | null {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== 'cookie') continue;
    const value = valueIn(headers[i + 1]!, name);
    if (value !== null) return value;
  }
  return null;
}

function valueIn(field: string, name: string): string | null {
  let start = 0;
  while (start < field.length) {
    let end = field.indexOf(';', start);
    if (end === -1) end = field.length;
    while (start < end && isSpace(field.charCodeAt(start))) start++;
    const equals = start + name.length;
    if (equals < end && field.charCodeAt(equals) === EQUALS && field.startsWith(name, start)) {
      return field.slice(equals + 1, end).trim();
    }
    start = end + 1;
  }
  return null;
}

function isSpace(unit: number): boolean {
  return unit === 0x20 || unit === 0x09;
}

const EQUALS = 0x3d;
