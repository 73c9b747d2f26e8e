import { isAbsolute, join } from 'node:path';
import { worldReadableWarning } from './file-mode.ts';
import type { FileReader } from './file-reader.ts';
import type { Findings } from './findings.ts';
import type { Resource } from './resource.ts';
import { writtenText } from './shown.ts';
import type { Path } from './written.ts';

/** A PEM text and where it came from. */
export interface PemSource {
  readonly text: string;
  /** Where problems of its content are reported. */
  readonly path: Path;
  /** null when it stands in the YAML. */
  readonly file: string | null;
  readonly fileModifiedMs: number | null;
}

/** What the fields of one object say, and where that object is. */
export interface PemFields {
  readonly values: Readonly<Record<string, unknown>>;
  readonly path: Path;
}

/** Reads `X` or `XFile`, exactly one of which must be there. Reports and returns null otherwise. */
export async function readPemField(
  field: string,
  fields: PemFields,
  at: { readonly resource: Resource; readonly findings: Findings; readonly files: FileReader },
): Promise<PemSource | null> {
  const { resource, findings, files } = at;
  const inline = fields.values[field];
  const file = fields.values[`${field}File`];
  if (inline !== undefined && file !== undefined) {
    findings.error(
      resource,
      [...fields.path, `${field}File`],
      `Cannot read ${field}: found both ${field} and ${field}File, expected one; remove the other`,
    );
    return null;
  }
  if (typeof inline === 'string')
    return { text: inline, path: [...fields.path, field], file: null, fileModifiedMs: null };
  if (typeof file !== 'string') {
    findings.error(
      resource,
      fields.path,
      `Cannot read ${field}: found neither ${field} nor ${field}File, expected one; add it`,
    );
    return null;
  }
  const path = [...fields.path, `${field}File`];
  const reading = await files.read(isAbsolute(file) ? file : join(resource.document.folder, file));
  if (reading.file === null) {
    findings.error(
      resource,
      path,
      `Cannot read ${field}File '${writtenText(file, resource.node, path)}': ${reading.problem}, expected a readable PEM file`,
    );
    return null;
  }
  if (field.toLowerCase().includes('privatekey')) {
    const name = writtenText(file, resource.node, path);
    const warning = worldReadableWarning('the private key', name, reading.file.mode);
    if (warning !== null) findings.warning(resource, path, warning);
  }
  return { text: reading.file.text, path, file: reading.file.path, fileModifiedMs: reading.file.modifiedMs };
}
