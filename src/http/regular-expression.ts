// hot path: matches() runs once per request for each regular expression that is looked at.
import { RE2JS, RE2JSSyntaxException } from 're2js';

/**
 * A regular expression of a URL map in RE2's syntax, which matches only a whole text. RE2 follows all alternatives at once: its work
 * is at most the length of the text times the size of the program, whatever a stranger sends, and the size is bounded here.
 */
export class RegularExpression {
  readonly #compiled: RE2JS;

  constructor(compiled: RE2JS) {
    this.#compiled = compiled;
  }

  matches(text: string): boolean {
    return this.#compiled.testExact(text);
  }
}

/** A string says what is wrong, as the middle of a diagnostic: 'which …'. */
export function parseRegularExpression(pattern: string): RegularExpression | string {
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(pattern);
  } catch (error) {
    const reason = error instanceof RE2JSSyntaxException ? error.getDescription() : (error as Error).message;
    return `which is no RE2 expression (${reason})`;
  }
  const size = compiled.programSize();
  if (size > LARGEST_PROGRAM) {
    return `which compiles to ${size} instructions, expected at most ${LARGEST_PROGRAM}; count fewer repetitions`;
  }
  return new RegularExpression(compiled);
}

const LARGEST_PROGRAM = 1000; // 250 characters without counted repetitions stay below 600
