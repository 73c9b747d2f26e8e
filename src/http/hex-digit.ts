// hot path
/** What a hexadecimal digit of either case stands for; -1 for every other character, and for NaN. */
export function hexDigit(code: number): number {
  if (code >= ZERO && code <= NINE) return code - ZERO;
  const letter = code | LOWER;
  return letter >= LETTER_A && letter <= LETTER_F ? letter - LETTER_A + 10 : -1;
}

const ZERO = 0x30;
const NINE = 0x39;
const LETTER_A = 0x61;
const LETTER_F = 0x66;
const LOWER = 0x20; // the bit that makes an ASCII letter small
