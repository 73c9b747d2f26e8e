// hot path: inspectPath() reads every path once, byte by byte.
import { hexDigit } from './hex-digit.ts';

/**
 * `clean`: route and forward it as it is. `dot-segments`: answer 302 to `removeDotSegments()` before routing, so that a rule
 * for /public/* cannot be walked out of at the backend. `malformed`: 400.
 */
export type PathVerdict = 'clean' | 'dot-segments' | 'malformed';

/**
 * Judges the path of an origin-form target; the query is not looked at. Dot segments are `.` and `..` with each dot plain or
 * `%2e`. Malformed: no leading slash, `\`, `%00`, a `%` without two hex digits, `#`, and bytes that no URI has. `//` and `%2f`
 * are ordinary (spec 10.24): nothing is decoded, so `%2f` never separates segments.
 */
export function inspectPath(target: string): PathVerdict {
  if (target.charCodeAt(0) !== SLASH) return 'malformed';
  let hasDotSegment = false;
  let dots = 0; // dots that this segment consists of so far; OTHER once it has anything else
  for (let i = 1; i < target.length; i++) {
    const byte = target.charCodeAt(i);
    if (byte === QUESTION) break;
    if (byte === SLASH) {
      if (dots === 1 || dots === 2) hasDotSegment = true;
      dots = 0;
    } else if (byte === DOT) {
      dots++;
    } else if (byte === PERCENT) {
      const high = hexDigit(target.charCodeAt(i + 1)); // NaN beyond the end, which hexDigit refuses
      const low = hexDigit(target.charCodeAt(i + 2));
      if (high === -1 || low === -1 || (high === 0 && low === 0)) return 'malformed';
      dots = high === 2 && low === 14 ? dots + 1 : OTHER;
      i += 2;
    } else {
      if (byte <= SPACE || byte >= DEL || byte === BACKSLASH || byte === HASH) return 'malformed';
      dots = OTHER;
    }
  }
  return hasDotSegment || dots === 1 || dots === 2 ? 'dot-segments' : 'clean';
}

/** The target with the dot segments of its path removed (RFC 3986 section 5.2.4), everything else byte for byte as it was. */
export function removeDotSegments(target: string): string {
  const queryAt = target.indexOf('?');
  const path = queryAt === -1 ? target : target.slice(0, queryAt);
  const segments = path.split('/');
  const kept: string[] = [];
  for (let i = 1; i < segments.length; i++) {
    const segment = segments[i]!;
    const dots = dotsOf(segment);
    if (dots === OTHER) {
      kept.push(segment);
      continue;
    }
    if (dots === 2) kept.pop();
    if (i === segments.length - 1) kept.push(''); // `/a/..` names the folder `/`, not the file ``
  }
  return `/${kept.join('/')}${queryAt === -1 ? '' : target.slice(queryAt)}`;
}

/** 1 for `.`, 2 for `..`, OTHER for every other segment. */
function dotsOf(segment: string): number {
  let dots = 0;
  for (let i = 0; i < segment.length; i++) {
    const byte = segment.charCodeAt(i);
    if (byte === PERCENT) {
      if (segment.charCodeAt(i + 1) !== TWO || (segment.charCodeAt(i + 2) | LOWER) !== SMALL_E) return OTHER;
      i += 2;
    } else if (byte !== DOT) {
      return OTHER;
    }
    if (++dots > 2) return OTHER;
  }
  return dots === 0 ? OTHER : dots;
}

const OTHER = -(2 ** 29); // a target is at most 60 KiB, so no run of dots counts from here up to 1
const SPACE = 0x20;
const HASH = 0x23;
const PERCENT = 0x25;
const DOT = 0x2e;
const SLASH = 0x2f;
const TWO = 0x32;
const QUESTION = 0x3f;
const BACKSLASH = 0x5c;
const SMALL_E = 0x65;
const DEL = 0x7f;
const LOWER = 0x20; // the bit that makes an ASCII letter small
