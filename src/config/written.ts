export interface Position {
  /** 1-based; 0 when unknown. */
  readonly line: number;
  readonly column: number;
}

export type Path = readonly (string | number)[];

/** Where a value stands and how it was written. Lists have children '0', '1', … */
export interface WrittenNode {
  readonly position: Position;
  /** Of the key that names it; null in lists and at the top. */
  readonly keyPosition: Position | null;
  readonly children: ReadonlyMap<string, WrittenNode>;
  /** The text before `${…}` was expanded; null when nothing was. */
  readonly unexpanded: string | null;
  /** A variable could not be expanded: whatever else is wrong with the value follows from that. */
  readonly isBroken: boolean;
}

/** The node at a path, or the deepest one that exists on the way there. */
export function nodeAt(
  root: WrittenNode | null,
  path: Path,
): { readonly node: WrittenNode | null; readonly found: boolean } {
  let node = root;
  for (const step of path) {
    const child = node?.children.get(String(step));
    if (child === undefined) return { node, found: false };
    node = child;
  }
  return { node, found: true };
}
