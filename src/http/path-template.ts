// hot path: match() runs once per request for each route rule with a template that is looked at; one pass from left to right.

/**
 * A path template as Google's URL maps have them: literal segments, `*` for one segment of one byte or more, `**` for any number of
 * bytes up to the end (only last), `{name}` or `{name=*}` and `{name=**}` for the same with a name. After an operator a segment may
 * end in a literal: `/{file}.mpd`. Nothing is decoded: `%2f` is no separator.
 */
export class PathTemplate {
  /** Names of variables, in order. */
  readonly variables: readonly string[];
  readonly #segments: readonly Segment[];

  constructor(segments: readonly Segment[]) {
    this.#segments = segments;
    this.variables = segments.flatMap(({ variable }) => (variable === null ? [] : [variable]));
  }

  matches(path: string): boolean {
    return this.#walk(path, null);
  }

  /** What the variables stand for in a path, in the order of `variables`; null where it does not match. */
  capture(path: string): readonly string[] | null {
    const values: string[] = [];
    return this.#walk(path, values) ? values : null;
  }

  #walk(path: string, values: string[] | null): boolean {
    const segments = this.#segments;
    let at = 0;
    for (let i = 0; i < segments.length; i++) {
      if (path.charCodeAt(at) !== SLASH) return false;
      const segment = segments[i]!;
      const next = segment.kind === 'rest' ? -1 : path.indexOf('/', at + 1);
      const end = next === -1 ? path.length : next;
      const { length } = segment.literal;
      if (segment.kind === 'literal') {
        if (end - at - 1 !== length || !path.startsWith(segment.literal, at + 1)) return false;
      } else {
        const least = segment.kind === 'one' ? 1 : 0;
        if (end - at - 1 - length < least || !path.startsWith(segment.literal, end - length)) return false;
        if (values !== null && segment.variable !== null) values.push(path.slice(at + 1, end - length));
      }
      at = end;
    }
    return at === path.length;
  }
}

/** `literal`: the whole segment, or what it must end in after the operator. */
export interface Segment {
  readonly kind: 'literal' | 'one' | 'rest';
  readonly literal: string;
  readonly variable: string | null;
}

/** The new path of pathTemplateRewrite. */
export class PathTemplateRewrite {
  /** Literals and, between them, indices into the captured values. */
  readonly #parts: readonly (string | number)[];

  constructor(parts: readonly (string | number)[]) {
    this.#parts = parts;
  }

  expand(values: readonly string[]): string {
    let path = '';
    for (let i = 0; i < this.#parts.length; i++) {
      const part = this.#parts[i]!;
      path += typeof part === 'string' ? part : (values[part] ?? '');
    }
    return path;
  }
}

/** A string says what is wrong, as the middle of a diagnostic: 'which …, expected …'. */
export function parsePathTemplate(text: string): PathTemplate | string {
  if (!text.startsWith('/')) return "which does not begin with '/', expected a path";
  const segments: Segment[] = [];
  const names = new Set<string>();
  let operators = 0;
  for (const part of text.slice(1).split('/')) {
    if (segments.at(-1)?.kind === 'rest') return 'which has segments after **, expected ** only in the last one';
    const segment = parseSegment(part);
    if (typeof segment === 'string') return segment;
    if (segment.kind !== 'literal') operators++;
    if (segment.variable !== null) {
      if (names.has(segment.variable)) return `which has {${segment.variable}} twice, expected each name once`;
      names.add(segment.variable);
    }
    segments.push(segment);
  }
  if (operators === 0) return 'which has neither *, ** nor {name}, expected fullPathMatch for a plain path';
  if (operators > MOST_OPERATORS) return `which has ${operators} operators, expected at most ${MOST_OPERATORS}`;
  return new PathTemplate(segments);
}

/** The same for pathTemplateRewrite; `variables` are those of the template that matched. */
export function parsePathTemplateRewrite(text: string, variables: readonly string[]): PathTemplateRewrite | string {
  if (!text.startsWith('/')) return "which does not begin with '/', expected a path";
  const parts: (string | number)[] = [];
  let at = 0;
  for (const match of text.matchAll(/\{([^{}]*)\}/g)) {
    const name = match[1] ?? '';
    const index = variables.indexOf(name);
    if (index === -1) {
      const known =
        variables.length === 0 ? 'no variables at all' : variables.map((variable) => `{${variable}}`).join(', ');
      return `which has {${name}}, and pathTemplateMatch has ${known}; expected a variable of it`;
    }
    parts.push(text.slice(at, match.index), index);
    at = match.index + match[0].length;
  }
  parts.push(text.slice(at));
  const literals = parts.filter((part) => typeof part === 'string');
  if (literals.some((literal) => !LITERAL_PATH.test(literal))) {
    return 'which has a character that no path has, expected visible ASCII without * ? # { } and backslash';
  }
  return new PathTemplateRewrite(parts);
}

function parseSegment(text: string): Segment | string {
  const match = SEGMENT.exec(text);
  if (match === null)
    return `which has the segment '${text}', expected a literal, *, **, {name}, {name=*} or {name=**}`;
  const [, operator, named, pattern, literal = ''] = match;
  if (named !== undefined && !NAME.test(named)) {
    return `which has the variable {${named}}, expected a letter, then letters, digits or _, at most 16 in all`;
  }
  if (operator === undefined && named === undefined) return { kind: 'literal', literal, variable: null };
  return { kind: (operator ?? pattern) === '**' ? 'rest' : 'one', literal, variable: named ?? null };
}

const SEGMENT = /^(?:(\*\*?)|\{([^{}=/]*)(?:=(\*\*?))?\})?((?:[!-~](?<![*?#{}\\]))*)$/;
const NAME = /^[A-Za-z][A-Za-z0-9_]{0,15}$/;
const LITERAL_PATH = /^(?:[!-~](?<![*?#{}\\]))*$/;
const MOST_OPERATORS = 5; // Google's limit
const SLASH = 0x2f;
