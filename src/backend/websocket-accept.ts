import { createHash } from 'node:crypto';
import type { HeaderList } from '../http/exchange.ts';

/**
 * Why a backend's 101 is not an answer to this WebSocket request (RFC 6455 §4.1), or null when it is. Without this check a
 * backend, or whoever can make one answer 101, turns the connection into a tunnel that the client never agreed to.
 */
export function websocketRefusal(request: HeaderList, response: HeaderList): string | null {
  const key = onlyValue(request, 'sec-websocket-key');
  if (key === null) return 'the request has no single Sec-WebSocket-Key';
  const upgrade = onlyValue(response, 'upgrade');
  if (upgrade?.toLowerCase() !== 'websocket') return 'its Upgrade is not websocket';
  if (!hasToken(response, 'connection', 'upgrade')) return 'its Connection has no upgrade';
  if (onlyValue(response, 'sec-websocket-accept') !== websocketAccept(key)) {
    return 'its Sec-WebSocket-Accept does not fit the Sec-WebSocket-Key';
  }
  return null;
}

/** RFC 6455 §4.2.2, item 5.4. */
export function websocketAccept(key: string): string {
  return createHash('sha1').update(`${key}${GUID}`, 'latin1').digest('base64');
}

function onlyValue(headers: HeaderList, name: string): string | null {
  let found: string | null = null;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== name) continue;
    if (found !== null) return null;
    found = headers[i + 1]!.trim();
  }
  return found;
}

function hasToken(headers: HeaderList, name: string, token: string): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== name) continue;
    for (const word of headers[i + 1]!.split(',')) {
      if (word.trim().toLowerCase() === token) return true;
    }
  }
  return false;
}

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'; // RFC 6455 §1.3
