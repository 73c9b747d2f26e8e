// hot path: every logged string that a stranger chose goes through here (security rule 15).

/**
 * A JSON string literal, quotes included, in printable ASCII: everything else is `\uXXXX`, so that neither control characters
 * (C0, DEL, C1, U+2028, U+2029) nor bidirectional overrides reach a terminal or split a line. `maxLength` caps the escaped
 * text; what exceeds it is replaced by one `\u2026` (…).
 */
export function quote(text: string, maxLength: number): string {
  if (text.length <= maxLength && isPlain(text)) return `"${text}"`;
  return `"${escaped(text, maxLength)}"`;
}

/** Makes a line that is JSON already printable ASCII: outside string literals JSON has nothing else. */
export function asciiJson(line: string): string {
  let ascii = '';
  let copied = 0;
  for (let i = 0; i < line.length; i++) {
    const unit = line.charCodeAt(i);
    if (unit >= 0x20 && unit <= 0x7e) continue;
    ascii += line.slice(copied, i) + unicodeEscape(unit);
    copied = i + 1;
  }
  return copied === 0 ? line : ascii + line.slice(copied);
}

/** True when a JSON string literal has it as it is. */
export function isPlain(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x20 || unit > 0x7e || unit === QUOTE || unit === BACKSLASH) return false;
  }
  return true;
}

function escaped(text: string, maxLength: number): string {
  let result = '';
  for (let i = 0; i < text.length; i++) {
    const piece = escapeUnit(text.charCodeAt(i));
    // An escape is written whole or not at all: the cut never leaves half of one.
    if (result.length + piece.length > maxLength) return `${result}\\u2026`;
    result += piece;
  }
  return result;
}

function escapeUnit(unit: number): string {
  if (unit === BACKSLASH) return '\\\\';
  if (unit === QUOTE) return '\\"';
  return unit < 0x20 || unit > 0x7e ? unicodeEscape(unit) : String.fromCharCode(unit);
}

/** Halves of a surrogate pair are escaped one by one, which JSON wants (RFC 8259 section 7); so is a lone one. */
function unicodeEscape(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
