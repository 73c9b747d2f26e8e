import { dirname, join, resolve } from 'node:path';
import { type ConfigurationDocument, parseConfigurationDocument } from './document.ts';
import type { Environment } from './expand.ts';
import type { FileReader } from './file-reader.ts';
import type { Findings } from './findings.ts';

/** Reads and parses a file, or every *.yaml, *.yml and *.json of a folder; what cannot be read is reported and has no value. */
export async function readDocuments(
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
  const names = await files.list(path);
  if (names === undefined) return [path];
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

const CONFIGURATION_FILE = /\.(?:ya?ml|json)$/;
