// hot path: asked for every field of every message, in both directions.
import type { HeaderList } from './exchange.ts';
import type { RemovedFields } from './removed-fields.ts';

/** Names that a message's Connection fields list, beyond those that never pass anyway; null for the usual case of none. */
export type ConnectionNames = ReadonlySet<string> | null;

/**
 * True for fields that concern one connection only and are never forwarded (RFC 9110 section 7.6.1, spec 4.2), with
 * HTTP2-Settings (RFC 9113 section 3.1) and the obsolete Proxy-Connection. `name` is in lower case.
 */
export function isHopByHop(name: string): boolean {
  switch (name.length) {
    case 2:
      return name === 'te';
    case 7:
      return name === 'trailer' || name === 'upgrade';
    case 8:
      return name === 'trailers'; // as Google spells it
    case 10:
      return name === 'connection' || name === 'keep-alive';
    case 14:
      return name === 'http2-settings';
    case 16:
      return name === 'proxy-connection';
    case 17:
      return name === 'transfer-encoding';
    case 18:
      return name === 'proxy-authenticate';
    case 19:
      return name === 'proxy-authorization';
    default:
      return false;
  }
}

/** What the Connection fields name. A set, because both the names and the fields are as many as a stranger likes. */
export function connectionNames(headers: HeaderList): ConnectionNames {
  let names: Set<string> | null = null;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]!.length !== 10 || headers[i] !== 'connection') continue;
    const value = headers[i + 1]!;
    if (value.length === 10 && value === 'keep-alive') continue; // what nearly every client sends
    let start = 0;
    for (let at = 0; at <= value.length; at++) {
      if (at < value.length && value.charCodeAt(at) !== COMMA) continue;
      const name = value.slice(start, at).trim().toLowerCase();
      start = at + 1;
      if (name === '' || name === 'close' || isHopByHop(name)) continue;
      names ??= new Set();
      names.add(name);
    }
  }
  return names;
}

/**
 * Trailer fields that may follow a message: without fields that frame, route or select a connection (RFC 9110 section 6.5.1)
 * and without those that this proxy sets, which a trailer must not put beside ours; of requests also without `removed`. Null when
 * nothing is left.
 */
export function forwardableTrailers(trailers: HeaderList, removed: RemovedFields | null = null): HeaderList | null {
  let kept: string[] | null = null;
  for (let i = 0; i < trailers.length; i += 2) {
    const name = trailers[i]!;
    if (isHopByHop(name) || isHeadOnly(name) || removed?.has(name)) continue;
    kept ??= [];
    kept.push(name, trailers[i + 1]!);
  }
  return kept;
}

function isHeadOnly(name: string): boolean {
  switch (name) {
    case 'content-length':
    case 'host':
    case 'expect':
    case 'early-data':
    case 'via':
    case 'forwarded':
    case 'x-forwarded-for':
    case 'x-forwarded-proto':
    case 'x-forwarded-host':
    case 'x-cloud-trace-context':
      return true;
    default:
      return name.charCodeAt(0) === COLON;
  }
}

const COMMA = 0x2c;
const COLON = 0x3a;
