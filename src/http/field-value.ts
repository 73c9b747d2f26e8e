// hot path
/**
 * True when `value` may be sent as a field value (RFC 9110 section 5.5): only HTAB, SP, visible ASCII and obs-text, and no
 * whitespace at either end. Strings stand for bytes (latin1); a character above U+00FF is not one. The empty value is fine.
 */
export function isFieldValue(value: string): boolean {
  const last = value.length - 1;
  if (last < 0) return true;
  if (isWhitespace(value.charCodeAt(0)) || isWhitespace(value.charCodeAt(last))) return false;
  for (let i = 0; i <= last; i++) {
    const byte = value.charCodeAt(i);
    if (byte > 0xff || CLASS[byte]! === 0) return false;
  }
  return true;
}

/** The value itself, or the empty string when it must not be sent: what a stranger chose never breaks a message (security rule 15). */
export function fieldValueOrEmpty(value: string): string {
  return isFieldValue(value) ? value : '';
}

/** True for an RFC 9110 section 5.6.2 token; field names and methods are tokens. */
export function isToken(text: string): boolean {
  const length = text.length;
  if (length === 0) return false;
  for (let i = 0; i < length; i++) {
    const byte = text.charCodeAt(i);
    if (byte > 0x7f || (CLASS[byte]! & TOKEN) === 0) return false;
  }
  return true;
}

/** True for a field name as HTTP/2 wants it: a token without upper-case letters (RFC 9113 section 8.2.1). */
export function isLowerCaseToken(text: string): boolean {
  const length = text.length;
  if (length === 0) return false;
  for (let i = 0; i < length; i++) {
    const byte = text.charCodeAt(i);
    if (byte > 0x7f || (CLASS[byte]! & TOKEN) === 0 || (byte >= 0x41 && byte <= 0x5a)) return false;
  }
  return true;
}

/** True for what a field value may have in it (RFC 9110 section 5.5), whitespace included; false for NaN. */
export function isFieldByte(byte: number): boolean {
  return byte <= 0xff && CLASS[byte]! !== 0;
}

/** True for what tokens are made of; false for NaN. */
export function isTokenByte(byte: number): boolean {
  return byte <= 0x7f && (CLASS[byte]! & TOKEN) !== 0;
}

function isWhitespace(byte: number): boolean {
  return byte === 0x20 || byte === 0x09;
}

const VALUE = 1;
const TOKEN = 2;
/** Per byte: may it stand in a field value, may it stand in a token. */
const CLASS = new Uint8Array(256);
for (let byte = 0x20; byte <= 0xff; byte++) if (byte !== 0x7f) CLASS[byte] = VALUE;
CLASS[0x09] = VALUE;
for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
  CLASS[character.charCodeAt(0)] = VALUE | TOKEN;
}
