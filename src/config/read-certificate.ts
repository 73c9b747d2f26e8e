import { isAbsolute, join } from 'node:path';
import { examineCertificate } from './certificate-material.ts';
import { worldReadableWarning } from './file-mode.ts';
import type { FileReader } from './file-reader.ts';
import type { Findings } from './findings.ts';
import type { LinkedCertificate } from './linked.ts';
import { type PemFields, type PemSource, readPemField } from './pem-field.ts';
import type { Resource } from './resource.ts';
import { writtenText } from './shown.ts';
import { nodeAt, type Path } from './written.ts';

interface Checks {
  readonly findings: Findings;
  readonly files: FileReader;
  readonly nowMs: number;
}

type CertificateResource = Resource<'sslCertificates'> | Resource<'certificates'>;

/** A certificate and its key, from the YAML, two PEM files read at one moment, or a PKCS#12 file. Reports and returns null when they cannot be used. */
export async function readCertificate(
  resource: CertificateResource,
  checks: Checks,
): Promise<LinkedCertificate | null> {
  const fields = fieldsOf(resource, checks.findings);
  if (fields === null) return null;
  const names =
    resource.kind === 'certificates'
      ? (['pemCertificate', 'pemPrivateKey'] as const)
      : (['certificate', 'privateKey'] as const);
  const at = { resource, ...checks };
  if (fields.values['pkcs12File'] !== undefined) {
    const sources = await readPkcs12Field(names, fields, at);
    return sources === null ? null : examineCertificate(sources, at);
  }
  await checks.files.readTogether(
    names.flatMap((name) => {
      const file = fields.values[`${name}File`];
      return typeof file === 'string' && fields.values[name] === undefined ? [absolute(file, resource)] : [];
    }),
  );
  const certificate = await readPemField(names[0], fields, at);
  const privateKey = await readPemField(names[1], fields, at);
  if (certificate === null || privateKey === null) return null;
  return examineCertificate({ certificate, privateKey }, at);
}

/** `selfManaged`, or for sslCertificates the legacy fields at the top; null when it is neither or both. */
function fieldsOf(resource: CertificateResource, findings: Findings): PemFields | null {
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

interface At extends Checks {
  readonly resource: CertificateResource;
}

async function readPkcs12Field(
  pemFields: readonly [string, string],
  { values, path }: PemFields,
  at: At,
): Promise<{ readonly certificate: PemSource; readonly privateKey: PemSource } | null> {
  const { resource, findings, files } = at;
  const here: Path = [...path, 'pkcs12File'];
  const other = pemFields.flatMap((field) => [field, `${field}File`]).find((field) => values[field] !== undefined);
  if (other !== undefined) {
    findings.error(
      resource,
      [...path, other],
      `Cannot accept ${other}: found pkcs12File too, which holds certificate and key, expected one of the two forms; remove one`,
    );
    return null;
  }
  const file = String(values['pkcs12File']);
  const passphraseFile = values['pkcs12PassphraseFile'];
  await files.readTogether(
    [file, ...(typeof passphraseFile === 'string' ? [passphraseFile] : [])].map((name) => absolute(name, resource)),
  );
  const passphrase = await readPassphrase({ values, path }, at);
  if (passphrase === null) return null;
  const name = writtenText(file, resource.node, here);
  const reading = await files.readBytes(absolute(file, resource));
  if (reading.file === null) {
    findings.error(
      resource,
      here,
      `Cannot read pkcs12File '${name}': ${reading.problem}, expected a readable PKCS#12 file`,
    );
    return null;
  }
  const { readPkcs12 } = await import('../pki/issue/pkcs12.ts'); // node-forge is 1 MB that PEM files do not need
  const contents = readPkcs12(reading.file.bytes, passphrase);
  if (typeof contents === 'string') {
    findings.error(
      resource,
      here,
      `Cannot read pkcs12File '${name}': ${contents}, expected one private key with its certificate chain; check file and passphrase`,
    );
    return null;
  }
  const from = { path: here, file: reading.file.path, fileModifiedMs: reading.file.modifiedMs };
  return {
    certificate: { text: contents.certificatePem, ...from },
    privateKey: { text: contents.privateKeyPem, ...from },
  };
}

/** Never a literal in the YAML: a passphrase beside its file protects nothing. */
async function readPassphrase({ values, path }: PemFields, { resource, findings, files }: At): Promise<string | null> {
  const written = values['pkcs12Passphrase'];
  const file = values['pkcs12PassphraseFile'];
  if ((written === undefined) === (file === undefined)) {
    const found =
      written === undefined
        ? 'neither pkcs12Passphrase nor pkcs12PassphraseFile'
        : 'both pkcs12Passphrase and pkcs12PassphraseFile';
    findings.error(
      resource,
      path,
      `Cannot read pkcs12File: found ${found}, expected one of them; write for instance pkcs12PassphraseFile: passphrase.txt`,
    );
    return null;
  }
  if (typeof written === 'string') {
    const at: Path = [...path, 'pkcs12Passphrase'];
    if (nodeAt(resource.node, at).node?.unexpanded != null) return written;
    findings.error(
      resource,
      at,
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the syntax that is explained
      'Cannot accept pkcs12Passphrase: found a literal, expected an environment variable such as ${PKCS12_PASSPHRASE}; use one, or pkcs12PassphraseFile',
    );
    return null;
  }
  const at: Path = [...path, 'pkcs12PassphraseFile'];
  const name = writtenText(String(file), resource.node, at);
  const reading = await files.read(absolute(String(file), resource));
  if (reading.file === null) {
    findings.error(
      resource,
      at,
      `Cannot read pkcs12PassphraseFile '${name}': ${reading.problem}, expected a readable text file`,
    );
    return null;
  }
  const warning = worldReadableWarning('the passphrase', name, reading.file.mode);
  if (warning !== null) findings.warning(resource, at, warning);
  return reading.file.text.split(/\r?\n/, 1)[0] ?? '';
}

function absolute(file: string, resource: Resource): string {
  return isAbsolute(file) ? file : join(resource.document.folder, file);
}

const LEGACY_FIELDS = ['certificate', 'certificateFile', 'privateKey', 'privateKeyFile'] as const;
