/**
 * A stranger's text made safe for logs and terminals: controls (C0, DEL, C1), format characters (bidirectional overrides among
 * them), line separators and lone surrogates become `\XX` of their UTF-8 bytes, and the length is capped.
 */
export function printable(text: string, maxLength = MAX_LENGTH): string {
  // Cut first: a stranger's 16 KiB must not cost a replacement per character. (A surrogate pair cut in two becomes an escape.)
  const clean = text.slice(0, maxLength + 1).replace(UNSAFE, (character) => {
    const code = character.charCodeAt(0);
    if (code < 0x80) return escaped(code);
    return Array.from(Buffer.from(character, 'utf8'), escaped).join('');
  });
  return clean.length <= maxLength ? clean : `${clean.slice(0, maxLength - 1)}…`;
}

function escaped(byte: number): string {
  return `\\${byte < 0x10 ? '0' : ''}${byte.toString(16).toUpperCase()}`;
}

const MAX_LENGTH = 256; // RFC 5280 appendix A caps common names and organisations at 64 characters
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
