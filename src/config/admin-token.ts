import { isAbsolute, join } from 'node:path';
import { worldReadableWarning } from './file-mode.ts';
import type { FileReader } from './file-reader.ts';
import type { Findings } from './findings.ts';
import type { Section } from './resource.ts';
import type { SallyportSpec } from './schema/kinds.ts';
import { writtenText } from './shown.ts';

export interface AdminToken {
  /** null: the admin server asks for none. Never logged, never in `redacted`. */
  readonly text: string | null;
}

/**
 * `admin.tokenFile`: one token as RFC 6750 §2.1 has it (b64token), with or without a line end. Reports, never with any of the text, and
 * returns null when it cannot be used.
 */
export async function readAdminToken(
  settings: SallyportSpec | null,
  section: Section | null,
  { findings, files }: { readonly findings: Findings; readonly files: FileReader },
): Promise<AdminToken | null> {
  const file = settings?.admin.tokenFile;
  if (file === undefined || section === null) return { text: null };
  const written = writtenText(file, section.node, PATH);
  const fail = (problem: string) => {
    findings.error(section, PATH, `Cannot read admin.tokenFile '${written}': ${problem}`);
    return null;
  };
  const { file: found, problem } = await files.read(isAbsolute(file) ? file : join(section.document.folder, file));
  if (found === null) return fail(`${problem}, expected a readable file with one token`);
  const text = found.text.trim();
  if (!/^[A-Za-z0-9._~+/-]+=*$/.test(text))
    return fail(`found something else, expected one token of letters, digits and -._~+/; ${ADVICE}`);
  if (text.length < SHORTEST || text.length > LONGEST)
    return fail(`found ${text.length} characters, expected ${SHORTEST} to ${LONGEST}; ${ADVICE}`);
  const warning = worldReadableWarning('the admin token', written, found.mode);
  if (warning !== null) findings.warning(section, PATH, warning);
  return { text };
}

const PATH = ['admin', 'tokenFile'];
const ADVICE = 'make one with openssl rand -hex 32';
const SHORTEST = 32; // security rule 38; 128 bits in hex
const LONGEST = 1024; // the admin server takes heads of 8 KiB
