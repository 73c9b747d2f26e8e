import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Scalar,
} from 'yaml';
import { type Environment, expandVariables } from './expand.ts';
import { shownKey } from './shown.ts';
import type { Path, Position, WrittenNode } from './written.ts';

export interface DocumentProblem {
  readonly path: Path;
  readonly position: Position;
  readonly message: string;
}

export interface ConfigurationDocument {
  /** As shown in diagnostics. */
  readonly file: string;
  /** Absolute folder that relative paths start from. */
  readonly folder: string;
  /** Plain values, variables expanded; objects have no prototype. Undefined when the text cannot be parsed. */
  readonly value: unknown;
  readonly root: WrittenNode | null;
  readonly problems: readonly DocumentProblem[];
}

/**
 * One YAML 1.2 or JSON text as plain values with the position of each. Never throws. Of syntax errors only the first is reported:
 * the later ones are usually its consequences. No text of the file appears in a message, as it may be a key.
 */
export function parseConfigurationDocument(
  text: string,
  place: { readonly file: string; readonly folder: string },
  env: Environment,
): ConfigurationDocument {
  const failed = (position: Position, message: string): ConfigurationDocument => {
    return { ...place, value: undefined, root: null, problems: [{ path: [], position, message }] };
  };
  const lines = new LineCounter();
  let document: Document.Parsed;
  try {
    document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false, // they quote the source
      uniqueKeys: false, // the library compares every pair of keys (20,000 keys: 13 s); Walk has a Map
      keepSourceTokens: false,
      version: '1.2',
    });
  } catch {
    // The composer recurses: brackets nested ten thousand deep end in a RangeError.
    return failed({ line: 1, column: 1 }, 'Cannot parse YAML: it is nested too deeply; flatten it');
  }
  const first = document.errors[0] ?? document.warnings[0];
  if (first !== undefined) {
    const { line, col } = lines.linePos(first.pos[0]);
    return failed({ line, column: col }, `Cannot parse YAML: ${SYNTAX_ERRORS[first.code] ?? DEFAULT_SYNTAX_ERROR}`);
  }
  const walk = new Walk(lines, env);
  try {
    const { value, node } = walk.visit(document.contents, [], null, 0);
    return { ...place, value: value ?? {}, root: node, problems: walk.problems };
  } catch (error) {
    if (!(error instanceof TooLarge)) throw error;
    return failed(error.position, `Cannot read YAML: ${error.message}`);
  }
}

interface Visited {
  readonly value: unknown;
  readonly node: WrittenNode;
}

class TooLarge extends Error {
  readonly position: Position;
  constructor(position: Position, message: string) {
    super(message);
    this.position = position;
  }
}

/** Turns the library's nodes into values and positions, aliases followed, within a budget. */
class Walk {
  readonly problems: DocumentProblem[] = [];
  readonly #lines: LineCounter;
  readonly #env: Environment;
  readonly #anchors = new Map<string, Node>();
  #visited = 0;

  constructor(lines: LineCounter, env: Environment) {
    this.#lines = lines;
    this.#env = env;
  }

  visit(node: unknown, path: Path, key: Position | null, depth: number, alias: Position | null = null): Visited {
    const position = alias ?? this.#position(node) ?? key ?? { line: 1, column: 1 };
    if (++this.#visited > MAX_NODES) {
      throw new TooLarge(position, `aliases and values come to more than ${MAX_NODES} nodes; repeat less`);
    }
    if (depth > MAX_DEPTH)
      throw new TooLarge(
        position,
        `found more than ${MAX_DEPTH} levels (or an alias inside its own anchor); flatten it`,
      );
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source);
      if (target !== undefined) return this.visit(target, path, key, depth + 1, position);
      this.#problem(
        path,
        position,
        'Cannot follow an alias: no anchor of that name stands before it; define it with & first',
      );
      return leaf(null, position, key, { isBroken: true });
    }
    if ((isMap(node) || isSeq(node) || isScalar(node)) && node.anchor !== undefined)
      this.#anchors.set(node.anchor, node);
    if (isMap(node)) return this.#visitMap(node.items, path, { position, key, depth, alias });
    if (isSeq(node)) {
      const children = new Map<string, WrittenNode>();
      const value = node.items.map((item, index) => {
        const visited = this.visit(item, [...path, index], null, depth + 1, alias);
        children.set(String(index), visited.node);
        return visited.value;
      });
      return { value, node: { ...leaf(null, position, key).node, children } };
    }
    if (isScalar(node)) return this.#visitScalar(node, path, position, key);
    return leaf(null, position, key);
  }

  #visitMap(
    items: readonly { readonly key: unknown; readonly value: unknown }[],
    path: Path,
    at: {
      readonly position: Position;
      readonly key: Position | null;
      readonly depth: number;
      readonly alias: Position | null;
    },
  ): Visited {
    const value: Record<string, unknown> = Object.create(null); // `__proto__` is then a key like any other
    const children = new Map<string, WrittenNode>();
    for (const item of items) {
      const keyPosition = at.alias ?? this.#position(item.key) ?? at.position;
      const key = keyText(item.key);
      if (key === null || key === '<<') {
        const found = key === null ? 'a key that is not text' : 'a merge key (<<)';
        this.#problem(
          path,
          keyPosition,
          `Cannot read a mapping: found ${found}, expected a field name; write the fields out`,
        );
        continue;
      }
      const first = children.get(key);
      if (first !== undefined) {
        const line = first.keyPosition?.line ?? 0;
        this.#problem(
          [...path, key],
          keyPosition,
          `Cannot accept ${shownKey(key)}: it stands in line ${line} of the same mapping already; keep one`,
        );
        continue;
      }
      const visited = this.visit(item.value, [...path, key], keyPosition, at.depth + 1, at.alias);
      value[key] = visited.value;
      children.set(key, visited.node);
    }
    return { value, node: { ...leaf(null, at.position, at.key).node, children } };
  }

  #visitScalar(scalar: Scalar, path: Path, position: Position, key: Position | null): Visited {
    const { value } = scalar;
    if (typeof value !== 'string') return leaf(typeof value === 'bigint' ? Number(value) : value, position, key);
    const expansion = expandVariables(value, this.#env);
    for (const message of expansion.problems) this.#problem(path, position, message);
    return leaf(expansion.text, position, key, {
      unexpanded: expansion.isExpanded ? value : null,
      isBroken: expansion.problems.length > 0,
    });
  }

  #problem(path: Path, position: Position, message: string): void {
    this.problems.push({ path, position, message });
  }

  #position(node: unknown): Position | null {
    const range = isMap(node) || isSeq(node) || isScalar(node) || isAlias(node) ? node.range : null;
    if (range === null || range === undefined) return null;
    const { line, col } = this.#lines.linePos(range[0]);
    return { line, column: col };
  }
}

/** `8443: …` names a field '8443'; null for lists, mappings and nothing at all. */
function keyText(key: unknown): string | null {
  const value = isScalar(key) ? key.value : null;
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : null;
}

function leaf(
  value: unknown,
  position: Position,
  keyPosition: Position | null,
  facts: Partial<Pick<WrittenNode, 'unexpanded' | 'isBroken'>> = {},
): Visited {
  const node = {
    position,
    keyPosition,
    children: NO_CHILDREN,
    unexpanded: null,
    isBroken: false,
    ...facts,
  };
  return { value, node };
}

const NO_CHILDREN: ReadonlyMap<string, WrittenNode> = new Map();
const MAX_NODES = 200_000; // 2,500 services and 1,000 × 1,000 path rules stay below; a billion-laughs file does not
const MAX_DEPTH = 64; // the deepest field of any resource is at 8
/** The library's own texts quote the source, which may hold a key. */
const SYNTAX_ERRORS: Readonly<Partial<Record<string, string>>> = {
  BAD_INDENT:
    'found a line that is indented differently from its neighbours, or a [ or { that is never closed; correct the indentation or close it',
  TAB_AS_INDENT: 'found a tab as indentation, expected spaces; replace it',
  MULTIPLE_DOCS: 'found a second document (---), expected one a file; split the file',
  MISSING_CHAR: 'found an unfinished construct, expected its colon, quote or bracket; complete it',
  MULTILINE_IMPLICIT_KEY:
    'found a key that spans lines, expected KEY: on one line; check the colon and the indentation',
  TAG_RESOLVE_FAILED: 'found a tag (!…) that YAML 1.2 does not define, expected plain values; remove it',
  BAD_DQ_ESCAPE: 'found an escape that YAML does not define in a double-quoted text; use single quotes or \\\\',
  BAD_DIRECTIVE: 'found an unknown directive (%…), expected none; remove it',
  UNEXPECTED_TOKEN: 'found something that does not belong there; check quotes, brackets and colons before it',
  BAD_SCALAR_START: 'found a value that begins with a reserved character; quote it',
  BLOCK_IN_FLOW: 'found block syntax inside [ ] or { }; use one or the other',
};
const DEFAULT_SYNTAX_ERROR = 'found a syntax error, expected YAML 1.2 or JSON; check quotes, brackets and indentation';
