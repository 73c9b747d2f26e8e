import type { ConfigurationDocument } from './document.ts';
import type { Findings } from './findings.ts';
import { makeResource, type Resource, type ResourceGraph, type Section, shownField } from './resource.ts';
import { LATER_KINDS } from './schema/google-fields.ts';
import { isKind, KINDS } from './schema/kinds.ts';
import { shownKey, shownValue } from './shown.ts';
import { nearestWord } from './suggestion.ts';
import { nodeAt, type Path } from './written.ts';

/** Adds the resources of a document to the graph, and `sallyport:` to `sections`; reports unknown and repeated ones. */
export function collectResources(
  document: ConfigurationDocument,
  graph: ResourceGraph,
  sections: Section[],
  findings: Findings,
): void {
  const { value, root, file } = document;
  const reportAt = (path: Path, at: 'key' | 'value', message: string) => {
    const { node } = nodeAt(root, path);
    const position = at === 'key' ? (node?.keyPosition ?? null) : (node?.position ?? null);
    findings.add('error', { file, position, resource: '' }, message);
  };
  for (const problem of document.problems) {
    const [kind, index] = problem.path;
    const isNamed = typeof kind === 'string' && isKind(kind) && typeof index === 'number';
    const item = isNamed ? (value as Record<string, readonly unknown[]>)[kind]?.[index] : undefined;
    const label = isNamed ? makeResource(kind, document, index, item).label : kind === 'sallyport' ? kind : '';
    findings.add('error', { file, position: problem.position, resource: label }, problem.message);
  }
  if (value === undefined) return;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    reportAt(
      [],
      'value',
      `Cannot read the configuration: found ${shownValue(value, root, [])}, expected a mapping of resource kinds such as forwardingRules`,
    );
    return;
  }
  for (const [key, list] of Object.entries(value)) {
    if (key === '$schema') continue; // how JSON files name their schema to editors
    if (key === 'sallyport') {
      const section: Section = { label: 'sallyport', document, node: nodeAt(root, [key]).node, value: list ?? {} };
      const first = sections[0];
      if (first === undefined) sections.push(section);
      else
        reportAt([key], 'key', `Cannot accept sallyport: it stands in ${first.document.file} already; merge the two`);
    } else if (!isKind(key)) reportUnknownKind(key, list, value, reportAt);
    else if (Array.isArray(list)) addResources(key, list, document, graph, findings);
    else if (list !== null)
      reportAt(
        [key],
        'value',
        `Cannot accept ${key}: found ${shownValue(list, root, [key])}, expected a list of resources; begin each with '- name:'`,
      );
  }
}

function addResources(
  kind: Resource['kind'],
  list: readonly unknown[],
  document: ConfigurationDocument,
  graph: ResourceGraph,
  findings: Findings,
): void {
  for (const [index, value] of list.entries()) {
    const resource = makeResource(kind, document, index, value);
    const first = graph.add(resource);
    if (first === null) continue;
    const line = nodeAt(first.node, ['name']).node?.position.line ?? 0;
    findings.error(
      resource,
      ['name'],
      `Cannot accept ${shownField(resource, ['name'])}: ${first.document.file}:${line} has one of ${kind} with this name already; rename one`,
    );
  }
}

function reportUnknownKind(
  key: string,
  list: unknown,
  siblings: object,
  reportAt: (path: Path, at: 'key' | 'value', message: string) => void,
): void {
  if (LATER_KINDS.includes(key)) {
    const isEmpty = list === null || (typeof list === 'object' && Object.keys(list).length === 0);
    if (!isEmpty) reportAt([key], 'key', `Cannot accept ${key}: this kind of resource is not supported yet; remove it`);
    return;
  }
  const near = nearestWord(key, [...KINDS, 'sallyport']);
  // A file of `gcloud … export` is one resource without its kind.
  const isExport = near === null && Object.hasOwn(siblings, 'name');
  const hint =
    near !== null
      ? `did you mean '${near}'?`
      : isExport
        ? `put the resource into a list under its kind (${KINDS[0]}:, …)`
        : `expected one of ${KINDS.join(', ')} or sallyport; remove it`;
  reportAt([key], 'key', `Cannot accept ${shownKey(key)}: unknown kind of resource; ${hint}`);
}
