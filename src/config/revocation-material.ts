import { isAbsolute, join } from 'node:path';
import type { Certificate } from '../pki/certificate.ts';
import type { Crl } from '../pki/crl.ts';
import { printable } from '../pki/printable.ts';
import { type RevocationMode, revocation } from '../pki/revocation.ts';
import type { FileReader } from './file-reader.ts';
import type { Findings } from './findings.ts';
import type { LinkedRevocation } from './linked.ts';
import { readCrls } from './read-crls.ts';
import type { Resource } from './resource.ts';
import { writtenText } from './shown.ts';

interface Checks {
  readonly resource: Resource<'trustConfigs'>;
  readonly findings: Findings;
  readonly files: FileReader;
  readonly nowMs: number;
}

/**
 * Reads `revocation.crlFile`. A file that cannot be used is an error, whatever the mode; a list that is out of date is a warning, because
 * the verifier refuses what only that list could clear (security rule 22). Reports and returns null where there is an error.
 */
export async function examineRevocation(
  { crlFile, mode }: { readonly crlFile: string; readonly mode: RevocationMode },
  authorities: readonly Certificate[],
  checks: Checks,
): Promise<LinkedRevocation | null> {
  const { resource, findings, files, nowMs } = checks;
  const name = writtenText(crlFile, resource.node, PATH);
  const reading = await files.readBytes(
    isAbsolute(crlFile) ? crlFile : join(resource.document.folder, crlFile),
    MAX_CRL_BYTES,
  );
  if (reading.file === null) {
    const message = `Cannot read revocation.crlFile '${name}': ${reading.problem}, expected a readable CRL, PEM or DER`;
    findings.error(resource, PATH, message);
    return null;
  }
  const crls = await readCrls(reading.file.bytes);
  if (typeof crls === 'string') {
    findings.error(resource, PATH, `Cannot use revocation.crlFile '${name}': found ${printable(crls, LONGEST_REASON)}`);
    return null;
  }
  for (const crl of crls) warnOfDates(crl, nowMs, (message) => findings.warning(resource, PATH, message));
  if (mode === 'require') warnOfMissing(crls, authorities, (message) => findings.warning(resource, PATH, message));
  const { path, modifiedMs } = reading.file;
  return { ...revocation({ mode, crls }), file: path, fileModifiedMs: modifiedMs };
}

/** What `/config` shows of CRLs. */
export function crlFacts(revocation: LinkedRevocation | null): readonly unknown[] | null {
  if (revocation === null) return null;
  return revocation.crls.map((crl) => ({
    issuer: crl.issuer.text,
    number: String(crl.number),
    thisUpdate: new Date(crl.thisUpdateMs).toISOString(),
    nextUpdate: new Date(crl.nextUpdateMs).toISOString(),
    entries: crl.count,
  }));
}

function warnOfDates(crl: Crl, nowMs: number, warn: (message: string) => void): void {
  if (crl.nextUpdateMs < nowMs) {
    const day = new Date(crl.nextUpdateMs).toISOString();
    warn(`${crl.label} expired on ${day}: every certificate of that CA will be refused; fetch the current list`);
  } else if (crl.thisUpdateMs > nowMs) {
    const day = new Date(crl.thisUpdateMs).toISOString();
    warn(`${crl.label} is not in force before ${day}: every certificate of that CA will be refused; check the clock`);
  }
}

/** CAs that a peer sends are not known here; those of the trust config are. */
function warnOfMissing(
  crls: readonly Crl[],
  authorities: readonly Certificate[],
  warn: (message: string) => void,
): void {
  const listed = new Set(crls.map((crl) => crl.issuer.key));
  for (const { subject } of authorities) {
    if (listed.has(subject.key)) continue;
    warn(
      `There is no CRL of ${subject.text}, and revocation.mode is require: every certificate that it issued will be refused; add its CRL`,
    );
  }
}

const PATH = ['revocation', 'crlFile'] as const;
const MAX_CRL_BYTES = 32 * 1024 * 1024; // security rule 22
const LONGEST_REASON = 200; // what a CRL may be is said in a sentence or two
