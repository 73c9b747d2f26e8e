import type { Findings } from '../findings.ts';
import type { LinkedCertificate, LinkedTrustConfig } from '../linked.ts';
import type { Resource, ResourceGraph } from '../resource.ts';
import type { Kind, SallyportSpec, Spec } from '../schema/kinds.ts';

/** What the rules look at. A rule reports and decides nothing else; without any error everything can be linked. */
export interface RuleContext {
  readonly graph: ResourceGraph;
  readonly findings: Findings;
  readonly nowMs: number;
  /** Only those that could be read and used. */
  readonly certificates: ReadonlyMap<Resource, LinkedCertificate>;
  readonly trustConfigs: ReadonlyMap<Resource, LinkedTrustConfig>;
  /** null: the shape of `sallyport:` is wrong. */
  readonly settings: SallyportSpec | null;
}

/** Calls `rule` for each resource of a kind whose shape is right. */
export function forEachSpec<K extends Kind>(
  graph: ResourceGraph,
  kind: K,
  rule: (resource: Resource<K>, spec: Spec<K>) => void,
): void {
  for (const resource of graph.all(kind)) if (resource.spec !== null) rule(resource, resource.spec);
}

/** Reports each entry that stands in a list already. */
export function forEachRepeated(list: readonly string[], report: (index: number, first: number) => void): void {
  const firsts = new Map<string, number>();
  for (const [index, entry] of list.entries()) {
    const first = firsts.get(entry);
    if (first === undefined) firsts.set(entry, index);
    else report(index, first);
  }
}
