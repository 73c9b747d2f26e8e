// hot path: text, because one write of text is the cheapest way through a TLS socket.
import { STATUS_CODES } from 'node:http';
import type { HeaderList } from './exchange.ts';
import { fieldValueOrEmpty, isToken } from './field-value.ts';

/** How the end of a response is found (RFC 9112 section 6.3): by its head alone, by chunks, or by the end of the connection. */
export type ResponseFraming = 'head' | 'chunked' | 'until-close';

/**
 * A final response's head, one character a byte. What of `headers` cannot be sent is left out or becomes empty (security rule 15).
 *
 * @param headers lower-cased; fields that say how the message is framed, or whether the connection goes on, are replaced by ours
 * @param date for a response that has none (RFC 9110 section 6.6.1)
 */
export function responseHead(
  status: number,
  headers: HeaderList,
  framing: ResponseFraming,
  isLast: boolean,
  date: string,
): string {
  let text = statusLine(status);
  let hasDate = false;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    if (isFraming(name, framing) || !isToken(name)) continue;
    if (name === 'date') hasDate = true;
    text += `${name}: ${fieldValueOrEmpty(headers[i + 1]!)}\r\n`;
  }
  if (isLast) text += 'connection: close\r\n';
  if (!hasDate) text += `Date: ${date}\r\n`;
  if (framing === 'chunked') text += 'transfer-encoding: chunked\r\n';
  return `${text}\r\n`;
}

/** 1xx; 101 is switchingHead()'s. */
export function interimHead(status: number, headers: HeaderList): string {
  return `${statusLine(status)}${fieldLines(headers)}\r\n`;
}

/** 101, with Connection and Upgrade where they are missing. */
export function switchingHead(headers: HeaderList): string {
  let isNamed = false;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === 'connection' || headers[i] === 'upgrade') isNamed = true;
  }
  const ours = isNamed ? '' : 'connection: Upgrade\r\nupgrade: websocket\r\n';
  return `${statusLine(101)}${fieldLines(headers)}${ours}\r\n`;
}

/** Field lines, trailers' as well. */
export function fieldLines(headers: HeaderList): string {
  let text = '';
  for (let i = 0; i < headers.length; i += 2) {
    if (isToken(headers[i]!)) text += `${headers[i]!}: ${fieldValueOrEmpty(headers[i + 1]!)}\r\n`;
  }
  return text;
}

/** A whole answer where there is no exchange to answer through. */
export function bareResponse(status: number): string {
  const body = `${status} ${STATUS_CODES[status] ?? ''}\n`;
  return `${statusLine(status)}content-type: text/plain\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`;
}

/** RFC 9112 section 4: the phrase may be empty, the space before it may not. */
function statusLine(status: number): string {
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
}

function isFraming(name: string, framing: ResponseFraming): boolean {
  switch (name.length) {
    case 10:
      return name === 'connection' || name === 'keep-alive';
    case 14:
      return framing !== 'head' && name === 'content-length';
    case 17:
      return name === 'transfer-encoding';
    default:
      return false;
  }
}
