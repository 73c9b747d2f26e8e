// hot path where it is configured: once a request.
import type { HeaderList } from '../http/exchange.ts';
import { quote } from './escape.ts';

/**
 * A URL with every value of its query replaced by `*`, names kept: `/a?token=*&page=*`. A part without `=` may be all value, and
 * becomes `*` as well. A fragment never gets here (http/request-head.ts refuses it).
 */
export function redactQueryValues(url: string): string {
  const queryAt = url.indexOf('?');
  if (queryAt === -1) return url;
  let redacted = url.slice(0, queryAt);
  for (let from = queryAt + 1; from <= url.length; ) {
    let to = url.indexOf('&', from);
    if (to === -1) to = url.length;
    const equalsAt = url.indexOf('=', from);
    const name = equalsAt === -1 || equalsAt > to ? '' : url.slice(from, equalsAt + 1);
    redacted += `${from === queryAt + 1 ? '?' : '&'}${name}${name === '' && to === from ? '' : '*'}`;
    from = to + 1;
  }
  return redacted;
}

/** `,"requestHeaders":{…}` with those of `names` (lower case) that the request has, several of a name joined by ', '; '' if none. */
export function requestHeadersMember(headers: HeaderList, names: readonly string[]): string {
  let members = '';
  for (let n = 0; n < names.length; n++) {
    const name = names[n]!;
    let value: string | null = null;
    for (let i = 0; i + 1 < headers.length; i += 2) {
      if (headers[i] === name) value = value === null ? headers[i + 1]! : `${value}, ${headers[i + 1]!}`;
    }
    if (value !== null) members += `${members === '' ? '' : ','}"${name}":${quote(value, MAX_HEADER)}`;
  }
  return members === '' ? '' : `,"requestHeaders":{${members}}`;
}

const MAX_HEADER = 256; // sixteen of them keep a line near the 4,096 bytes that a pipe takes whole (line-writer.ts)
