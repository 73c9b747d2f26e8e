import type { ConfigurationDocument } from './document.ts';
import type { Kind, Spec } from './schema/kinds.ts';
import { isSecretText, shownText, shownValue } from './shown.ts';
import { nodeAt, type Path, type WrittenNode } from './written.ts';

/** A part of a document that diagnostics name: a resource, or `sallyport:`. */
export interface Section {
  /** 'sslPolicies/modern', variables unexpanded; 'sslPolicies[2]' without a name. */
  readonly label: string;
  readonly document: ConfigurationDocument;
  readonly node: WrittenNode | null;
  readonly value: unknown;
}

/** One resource as it was written. */
export interface Resource<K extends Kind = Kind> extends Section {
  readonly kind: K;
  /** The last segment of `name:`, variables expanded; null when it has no usable name. */
  readonly name: string | null;
  /** null: its shape is wrong, which has been reported. */
  spec: Spec<K> | null;
}

/** All resources by kind and name; the first of a name counts. */
export class ResourceGraph {
  readonly #byKind = new Map<Kind, Resource[]>();
  readonly #byName = new Map<Kind, Map<string, Resource>>();

  /** Returns the resource that has the name already, or null. */
  add(resource: Resource): Resource | null {
    const list = this.#byKind.get(resource.kind) ?? [];
    list.push(resource);
    this.#byKind.set(resource.kind, list);
    if (resource.name === null) return null;
    const names = this.#byName.get(resource.kind) ?? new Map<string, Resource>();
    this.#byName.set(resource.kind, names);
    const first = names.get(resource.name);
    if (first === undefined) names.set(resource.name, resource);
    return first ?? null;
  }

  all<K extends Kind>(kind: K): readonly Resource<K>[] {
    return (this.#byKind.get(kind) ?? []) as unknown as readonly Resource<K>[];
  }

  find<K extends Kind>(kind: K, name: string): Resource<K> | null {
    return (this.#byName.get(kind)?.get(name) ?? null) as Resource<K> | null;
  }

  /** The resource of a reference that may be absent. */
  resolve<K extends Kind>(kind: K, reference: string | undefined): Resource<K> | null {
    return reference === undefined ? null : this.find(kind, lastSegment(reference));
  }

  /** The same where several kinds may be meant: the collection of the reference says which, else the first kind that has the name. */
  resolveAmong<K extends Kind>(kinds: readonly K[], reference: string): Resource<K> | null {
    const collection = collectionOf(reference);
    for (const kind of kinds) {
      const found = collection === null || collection === kind ? this.find(kind, lastSegment(reference)) : null;
      if (found !== null) return found;
    }
    return null;
  }

  /** Names that may be suggested: those that hold no variable. */
  names(kind: Kind): readonly string[] {
    return this.all(kind).flatMap(({ name, label }) => (name !== null && label === `${kind}/${name}` ? [name] : []));
  }
}

export function makeResource(kind: Kind, document: ConfigurationDocument, index: number, value: unknown): Resource {
  const { node } = nodeAt(document.root, [kind, index]);
  const written = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)['name'] : undefined;
  const nameNode = node?.children.get('name');
  const isNamed = typeof written === 'string' && written !== '' && nameNode?.isBroken !== true;
  const shownName = nameNode?.unexpanded ?? (isNamed ? lastSegment(written) : '');
  return {
    kind,
    name: isNamed ? lastSegment(written) : null,
    label:
      shownName === '' || (isNamed && isSecretText(written)) ? `${kind}[${index}]` : `${kind}/${shownText(shownName)}`,
    document,
    node,
    value,
    spec: null,
  };
}

/** What a diagnostic may show of a field. */
export function shownField(section: Section, path: Path): string {
  let value = section.value;
  for (const step of path) value = (value as Record<string | number, unknown> | null | undefined)?.[step];
  return shownValue(value, section.node, path);
}

/** False where a variable stands for the value, or for a part of it: neither it nor what follows from it is shown or suggested. */
export function isWritten(section: Section, path: Path): boolean {
  return hasNoVariable(nodeAt(section.node, path).node);
}

function hasNoVariable(node: WrittenNode | null): boolean {
  if (node === null) return true;
  return node.unexpanded === null && [...node.children.values()].every(hasNoVariable);
}

/** Of `name`, `collection/name`, a URL or a `//service/…` path. */
export function lastSegment(reference: string): string {
  return reference.slice(reference.lastIndexOf('/') + 1);
}

/** The segment before the name: `sslPolicies` of 'sslPolicies/modern' and of '…/global/sslPolicies/modern'. */
export function collectionOf(reference: string): string | null {
  const segments = reference.split('/');
  return segments.length < 2 ? null : (segments.at(-2) ?? null);
}
