import type { LinkedCertificate, LinkedCertificateMap, LinkedCertificateMapEntry } from './linked.ts';
import { lastSegment, type Resource, type ResourceGraph } from './resource.ts';
import type { Spec } from './schema/kinds.ts';

/** The entries of a map whose shape is right, in the order of the file. */
export function entriesOf(graph: ResourceGraph, map: Resource): readonly Resource<'certificateMapEntries'>[] {
  return graph
    .all('certificateMapEntries')
    .filter((entry) => entry.spec !== null && mapNameOf(entry.spec) === map.name);
}

/** From `map`, or from the path that an export writes as the name: …/certificateMaps/MAP/certificateMapEntries/ENTRY. */
export function mapNameOf(spec: Spec<'certificateMapEntries'>): string | null {
  if (spec.map !== undefined) return lastSegment(spec.map);
  const segments = spec.name.split('/');
  return segments.at(-4) === 'certificateMaps' ? (segments.at(-3) ?? null) : null;
}

/** The map with those of its certificates that can be used; entries left without one are missing. */
export function linkCertificateMap(
  map: Resource<'certificateMaps'>,
  graph: ResourceGraph,
  certificates: ReadonlyMap<Resource, LinkedCertificate>,
): LinkedCertificateMap {
  const entries = entriesOf(graph, map).flatMap((entry): readonly LinkedCertificateMapEntry[] => {
    const { hostname, certificates: references } = entry.spec!;
    const usable = references.flatMap((reference) => {
      const resource = graph.resolve('certificates', reference);
      const certificate = resource === null ? undefined : certificates.get(resource);
      return certificate === undefined ? [] : [certificate];
    });
    if (usable.length === 0) return [];
    return [{ name: entry.name ?? '', hostname: hostname?.toLowerCase() ?? null, certificates: usable }];
  });
  return { name: map.name ?? '', entries };
}

/** Every certificate of a map once. */
export function certificatesOf(map: LinkedCertificateMap): readonly LinkedCertificate[] {
  return [...new Set(map.entries.flatMap((entry) => entry.certificates))];
}
