// hot path: every logged string that a stranger chose goes through here (security rule 15).

/**
 * A JSON string literal (quotes included) that is safe on one line of a log and on a terminal: C0, DEL, C1, U+2028, U+2029
 * and lone surrogates are `\uXXXX`; what would exceed `maxLength` UTF-16 units of escaped text is replaced by one `…`.
 */
export function quote(text: string, maxLength: number): string {
  if (text.length <= maxLength && isPlain(text)) return `"${text}"`;
  return `"${escapeUnits(text, maxLength, 'json')}"`;
}

/** The same escapes without quotes, for messages on a terminal and for labels that people read. `"` stays as it is. */
export function printable(text: string, maxLength: number): string {
  if (text.length <= maxLength && isPlain(text)) return text;
  return escapeUnits(text, maxLength, 'text');
}

/**
 * Escapes what JSON leaves raw (DEL, C1, U+2028, U+2029) in a line that is JSON already: outside string literals none of
 * them can occur, so replacing them anywhere keeps the line JSON.
 */
export function escapeJsonLine(line: string): string {
  let escaped = '';
  let copied = 0;
  for (let i = 0; i < line.length; i++) {
    const unit = line.charCodeAt(i);
    if (unit < 0x7f || (unit > 0x9f && unit !== 0x2028 && unit !== 0x2029)) continue;
    escaped += line.slice(copied, i) + unicodeEscape(unit);
    copied = i + 1;
  }
  return copied === 0 ? line : escaped + line.slice(copied);
}

/** Printable ASCII without `"` and `\`: needs no escape of either kind. */
function isPlain(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x20 || unit > 0x7e || unit === QUOTE || unit === BACKSLASH) return false;
  }
  return true;
}

function escapeUnits(text: string, maxLength: number, form: 'json' | 'text'): string {
  let escaped = '';
  for (let i = 0; i < text.length; i++) {
    let piece = escapeUnit(text.charCodeAt(i), form);
    if (piece === '') {
      const isPair = isHighSurrogate(text.charCodeAt(i)) && isLowSurrogate(text.charCodeAt(i + 1));
      piece = isPair ? text.slice(i, i + 2) : unicodeEscape(text.charCodeAt(i));
      if (isPair) i++;
    }
    // An escape is written whole or not at all: the cut never leaves half of one.
    if (escaped.length + piece.length > maxLength) return `${escaped}…`;
    escaped += piece;
  }
  return escaped;
}

/** The text that stands for one unit; empty for a surrogate, which only its neighbour can judge. */
function escapeUnit(unit: number, form: 'json' | 'text'): string {
  if (unit === BACKSLASH) return '\\\\';
  if (unit === QUOTE) return form === 'json' ? '\\"' : '"';
  if (unit < 0x20 || (unit >= 0x7f && unit <= 0x9f) || unit === 0x2028 || unit === 0x2029) return unicodeEscape(unit);
  if (unit >= 0xd800 && unit <= 0xdfff) return '';
  return String.fromCharCode(unit);
}

function unicodeEscape(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff; // NaN beyond the end compares false
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
