import { isAbsolute, join } from 'node:path';
import { SHORTEST_SECRET_BYTES } from '../tls/ticket-keys.ts';
import { worldReadableWarning } from './file-mode.ts';
import type { FileReader } from './file-reader.ts';
import type { Findings } from './findings.ts';
import type { Section } from './resource.ts';
import type { SallyportSpec } from './schema/kinds.ts';
import { writtenText } from './shown.ts';

export interface TicketSecrets {
  /** Newest first; empty without a file: each process has a random one. Never logged, never in `redacted`. */
  readonly secrets: readonly Uint8Array[];
  readonly fileModifiedMs: number | null;
}

/**
 * `sessionTickets.masterKeyFile`: one secret a line, newest first, in hex or base64 (what is both is hex), at least 32 bytes each;
 * empty lines and lines that begin with `#` are nothing. Reports, never with any of the text, and returns null when it cannot be used.
 */
export async function readTicketSecrets(
  settings: SallyportSpec | null,
  section: Section | null,
  checks: { readonly findings: Findings; readonly files: FileReader; readonly nowMs: number },
): Promise<TicketSecrets | null> {
  const file = settings?.sessionTickets.masterKeyFile;
  if (file === undefined || section === null) return { secrets: [], fileModifiedMs: null };
  const { findings, files, nowMs } = checks;
  const written = writtenText(file, section.node, PATH);
  const fail = (problem: string) => {
    findings.error(section, PATH, `Cannot read masterKeyFile '${written}': ${problem}`);
    return null;
  };
  const { file: found, problem } = await files.read(isAbsolute(file) ? file : join(section.document.folder, file));
  if (found === null) return fail(`${problem}, expected a readable file of secrets`);
  const secrets: Uint8Array[] = [];
  for (const [index, line] of found.text.split('\n').entries()) {
    const text = line.trim();
    if (text === '' || text.startsWith('#')) continue;
    const secret = decode(text);
    if (secret === null) return fail(`found something else in line ${index + 1}, expected hex or base64; ${ADVICE}`);
    if (secret.byteLength < SHORTEST_SECRET_BYTES) {
      return fail(
        `found ${secret.byteLength} bytes in line ${index + 1}, expected at least ${SHORTEST_SECRET_BYTES}; ${ADVICE}`,
      );
    }
    if (secrets.some((other) => Buffer.compare(other, secret) === 0)) {
      return fail(`found a secret twice (line ${index + 1}), expected each once; remove one`);
    }
    secrets.push(secret);
  }
  if (secrets.length === 0) return fail(`found no secret, expected at least one; ${ADVICE}`);
  if (secrets.length > MOST_SECRETS) {
    return fail(`found ${secrets.length} secrets, expected at most ${MOST_SECRETS}; remove the oldest`);
  }
  const warnings = [
    worldReadableWarning('the ticket secrets', written, found.mode),
    staleSecretsWarning(found.modifiedMs, nowMs),
  ];
  for (const warning of warnings) if (warning !== null) findings.warning(section, PATH, warning);
  return { secrets, fileModifiedMs: found.modifiedMs };
}

/** Security rule 20: whoever gets hold of a secret can resume, and impersonate the proxy to, every session made under it. */
export function staleSecretsWarning(fileModifiedMs: number, nowMs: number): string | null {
  const days = Math.floor((nowMs - fileModifiedMs) / DAY_MS);
  if (days < OLDEST_DAYS) return null;
  return `The ticket secrets are ${days} days old: put a new one on the first line of masterKeyFile, and remove the oldest once every instance has it`;
}

function decode(text: string): Uint8Array | null {
  if (text.length % 2 === 0 && /^[0-9a-fA-F]+$/.test(text)) return Uint8Array.from(Buffer.from(text, 'hex'));
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) return null;
  return Uint8Array.from(Buffer.from(text, 'base64')); // RFC 4648 §4 and §5
}

const PATH = ['sessionTickets', 'masterKeyFile'];
const ADVICE = 'make one with openssl rand -base64 32';
const MOST_SECRETS = 8; // each is three more key names to compare with every offered ticket
const OLDEST_DAYS = 7; // security rule 20
const DAY_MS = 86_400_000;
