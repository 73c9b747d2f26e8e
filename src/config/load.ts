import { readdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { examineCertificate } from './certificate-material.ts';
import type { Diagnostic } from './diagnostic.ts';
import { type ConfigurationDocument, parseConfigurationDocument } from './document.ts';
import type { Environment } from './expand.ts';
import { FileReader } from './file-reader.ts';
import { Findings } from './findings.ts';
import { linkConfiguration } from './link.ts';
import type { LinkedCertificate, LinkedConfiguration, LinkedTrustConfig } from './linked.ts';
import { type PemFields, readPemField } from './pem-field.ts';
import { checkReferences } from './references.ts';
import { makeResource, type Resource, ResourceGraph, type Section, shownField } from './resource.ts';
import { checkBackendAuthenticationConfigs } from './rules/backend-authentication-configs.ts';
import { checkBackendServices } from './rules/backend-services.ts';
import type { RuleContext } from './rules/context.ts';
import { checkListeners } from './rules/listeners.ts';
import { checkNetworkEndpointGroups } from './rules/network-endpoint-groups.ts';
import { checkSettings } from './rules/settings.ts';
import { checkSslPolicies } from './rules/ssl-policies.ts';
import { checkTargetHttpsProxies } from './rules/target-https-proxies.ts';
import { checkUrlMaps } from './rules/url-maps.ts';
import { LATER_KINDS } from './schema/google-fields.ts';
import { isKind, KINDS, type SallyportSpec } from './schema/kinds.ts';
import { checkSallyportShape, checkShape, type Shape, type ValueContext } from './schema/validate.ts';
import { shownKey, shownText, shownValue } from './shown.ts';
import { nearestWord } from './suggestion.ts';
import { examineTrustConfig } from './trust-material.ts';
import { nodeAt, type Path } from './written.ts';

export interface LoadRequest {
  /** A YAML or JSON file, or a folder of which every *.yaml, *.yml and *.json is read. */
  readonly path: string;
  readonly env: Environment;
  /** Wall time that certificates are judged at. */
  readonly nowMs: number;
}

export interface Loaded {
  readonly ok: true;
  readonly configuration: LinkedConfiguration;
  readonly warnings: readonly Diagnostic[];
}

export interface NotLoaded {
  readonly ok: false;
  readonly diagnostics: readonly Diagnostic[];
  readonly warnings: readonly Diagnostic[];
  /** Everything that was read or wanted, absolute (a folder itself too): a change of any may repair it. */
  readonly files: readonly string[];
}

/**
 * Reads, checks and links a configuration. All problems are reported at once; any error and nothing is linked. Never throws for
 * what a user can write.
 *
 *   files → documents → resources → shape → references → PEM files → rules → linked
 */
export async function loadConfiguration({ path, env, nowMs }: LoadRequest): Promise<Loaded | NotLoaded> {
  const findings = new Findings();
  const files = new FileReader();
  const documents = await readDocuments(path, env, files, findings);
  const graph = new ResourceGraph();
  const sections: Section[] = [];
  for (const document of documents) collectResources(document, graph, sections, findings);
  const settings = checkShapes(graph, sections, findings);
  // A file that cannot be parsed may hold what the others refer to.
  const isWhole = documents.every(({ value }) => value !== undefined) && documents.length > 0;
  if (isWhole) {
    checkReferences(graph, findings);
    if (graph.all('forwardingRules').length === 0) reportNothingServed(documents, path, findings);
  }
  const material = await readMaterial(graph, { findings, files, nowMs });
  const context: RuleContext = { graph, findings, nowMs, ...material, settings };
  checkSettings(context, sections[0] ?? null);
  checkListeners(context);
  checkSslPolicies(context);
  checkTargetHttpsProxies(context);
  checkUrlMaps(context);
  checkNetworkEndpointGroups(context);
  checkBackendAuthenticationConfigs(context);
  checkBackendServices(context);

  const warnings = findings.sorted('warning');
  if (findings.errors > 0 || settings === null) {
    return { ok: false, diagnostics: findings.sorted('error'), warnings, files: files.paths };
  }
  const configuration = linkConfiguration({ graph, ...material, settings }, sections[0] ?? null, files.paths);
  return { ok: true, configuration, warnings };
}

async function readDocuments(
  path: string,
  env: Environment,
  files: FileReader,
  findings: Findings,
): Promise<readonly ConfigurationDocument[]> {
  const documents: ConfigurationDocument[] = [];
  for (const file of await configurationFiles(path, files, findings)) {
    const reading = await files.read(file);
    if (reading.file === null) {
      const message = `Cannot read the configuration: ${reading.problem}, expected a readable YAML or JSON file`;
      findings.add('error', { file, position: null, resource: '' }, message);
      documents.push({ file, folder: '', value: undefined, root: null, problems: [] });
      continue;
    }
    documents.push(parseConfigurationDocument(reading.file.text, { file, folder: dirname(resolve(file)) }, env));
  }
  return documents;
}

/** The files of a folder in alphabetical order, or the file itself. Hidden files (Kubernetes' `..data` among them) are left out. */
async function configurationFiles(path: string, files: FileReader, findings: Findings): Promise<readonly string[]> {
  const facts = await stat(path).catch(() => null);
  if (facts?.isDirectory() !== true) return [path];
  files.note(path);
  const names = await readdir(path).catch(() => null);
  const wanted = (names ?? []).filter((name) => !name.startsWith('.') && CONFIGURATION_FILE.test(name)).sort();
  if (wanted.length === 0) {
    const found =
      names === null ? 'found no permission to list the folder' : 'found no *.yaml, *.yml or *.json in the folder';
    findings.add(
      'error',
      { file: path, position: null, resource: '' },
      `Cannot read the configuration: ${found}, expected at least one`,
    );
  }
  return wanted.map((name) => join(path, name));
}

function collectResources(
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

function checkShapes(graph: ResourceGraph, sections: readonly Section[], findings: Findings): SallyportSpec | null {
  for (const kind of KINDS) {
    for (const resource of graph.all(kind)) {
      resource.spec = report(resource, checkShape(kind, resource.value, valueContext(resource)), findings);
    }
  }
  const [section] = sections;
  if (section !== undefined)
    return report(section, checkSallyportShape(section.value, valueContext(section)), findings);
  return checkSallyportShape({}, NO_CONTEXT).spec;
}

function report<T>(section: Section, shape: Shape<T>, findings: Findings): T | null {
  for (const { path, at, message } of shape.problems) {
    if (at === 'key') findings.errorAtKey(section, path, message);
    else findings.error(section, path, message);
  }
  return shape.spec;
}

function valueContext(section: Section): ValueContext {
  return {
    shown: (path) => shownField(section, path),
    isExpanded(path) {
      const { node, found } = nodeAt(section.node, path);
      return found && node !== null && node.unexpanded !== null;
    },
  };
}

interface MaterialChecks {
  readonly findings: Findings;
  readonly files: FileReader;
  readonly nowMs: number;
}

/** Certificates, keys and trust, out of the YAML or the files that it names. */
async function readMaterial(
  graph: ResourceGraph,
  checks: MaterialChecks,
): Promise<Pick<RuleContext, 'certificates' | 'trustConfigs'>> {
  const certificates = new Map<Resource, LinkedCertificate>();
  const trustConfigs = new Map<Resource, LinkedTrustConfig>();
  for (const resource of [...graph.all('sslCertificates'), ...graph.all('certificates')]) {
    const certificate = await readCertificate(resource, checks);
    if (certificate !== null) certificates.set(resource, certificate);
  }
  for (const resource of graph.all('trustConfigs')) {
    const trust = resource.spec === null ? null : await examineTrustConfig(resource.spec, { resource, ...checks });
    if (trust !== null) trustConfigs.set(resource, trust);
  }
  return { certificates, trustConfigs };
}

async function readCertificate(
  resource: Resource<'sslCertificates'> | Resource<'certificates'>,
  checks: MaterialChecks,
): Promise<LinkedCertificate | null> {
  const fields = pemFields(resource, checks.findings);
  if (fields === null) return null;
  const [certificateField, keyField] =
    resource.kind === 'certificates'
      ? (['pemCertificate', 'pemPrivateKey'] as const)
      : (['certificate', 'privateKey'] as const);
  const at = { resource, ...checks };
  const certificate = await readPemField(certificateField, fields, at);
  const privateKey = await readPemField(keyField, fields, at);
  if (certificate === null || privateKey === null) return null;
  return examineCertificate({ certificate, privateKey }, at);
}

/** `selfManaged`, or for sslCertificates the legacy fields at the top; null when it is neither or both. */
function pemFields(
  resource: Resource<'sslCertificates'> | Resource<'certificates'>,
  findings: Findings,
): PemFields | null {
  const { spec } = resource;
  if (spec === null) return null;
  const legacy = resource.kind === 'sslCertificates' ? LEGACY_FIELDS.filter((field) => Object.hasOwn(spec, field)) : [];
  if (spec.selfManaged === undefined) return { values: spec, path: [] };
  if (legacy.length === 0) return { values: spec.selfManaged, path: ['selfManaged'] };
  findings.error(
    resource,
    [legacy[0] ?? ''],
    `Cannot accept ${legacy[0]}: found selfManaged too, expected one of the two forms; remove the legacy field`,
  );
  return null;
}

function reportNothingServed(documents: readonly ConfigurationDocument[], path: string, findings: Findings): void {
  const [document] = documents;
  const file = documents.length === 1 && document !== undefined ? document.file : path;
  findings.add(
    'error',
    { file: shownText(file), position: null, resource: '' },
    'Cannot serve anything: found no forwardingRules, expected at least one; add one',
  );
}

const CONFIGURATION_FILE = /\.(?:ya?ml|json)$/;
const LEGACY_FIELDS = ['certificate', 'certificateFile', 'privateKey', 'privateKeyFile'] as const;
const NO_CONTEXT: ValueContext = { shown: () => 'nothing', isExpanded: () => false };
