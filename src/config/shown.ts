import { printable } from '../pki/printable.ts';
import { nodeAt, type Path, type WrittenNode } from './written.ts';

/** A value as a diagnostic may show it: as written, short, escaped, and never a PEM text, key or passphrase (security rule 12). */
export function shownValue(value: unknown, root: WrittenNode | null, path: Path): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return value.length === 1 ? 'a list of 1' : `a list of ${value.length}`;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'string') return 'a mapping';
  const text = isSecretPath(path) ? null : unexpandedText(value, root, path);
  return text === null || isSecretText(text) ? 'a text that is not shown' : `'${shownText(text)}'`;
}

/** A string with its variables unexpanded, for the middle of a sentence. */
export function writtenText(value: string, root: WrittenNode | null, path: Path): string {
  const text = unexpandedText(value, root, path);
  return isSecretText(text) ? '(not shown)' : shownText(text);
}

/** A field name, unless it may be a line of a key that slipped out of its block (RFC 7468 lines have up to 64 characters). */
export function shownKey(key: string): string {
  return key.length > LONGEST_SHOWN_KEY || isSecretText(key)
    ? `a name of ${key.length} characters`
    : `'${shownText(key)}'`;
}

/** 'pathMatchers[0].name' */
export function shownPath(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else text += (text === '' ? '' : '.') + (step.length > LONGEST_SHOWN_KEY ? '…' : shownText(step));
  }
  return text;
}

/** A copy of `value` as `/config` shows it: variables unexpanded, contents of secret fields replaced. */
export function redact(value: unknown, node: WrittenNode | null, field: string): unknown {
  if (typeof value === 'string') {
    return SECRET_FIELDS.has(field) || isSecretText(value) ? NOT_SHOWN : (node?.unexpanded ?? value);
  }
  if (Array.isArray(value)) {
    return value.map((item, index) => redact(item, node?.children.get(String(index)) ?? null, field));
  }
  if (typeof value !== 'object' || value === null) return node?.unexpanded ?? value;
  const copy: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) copy[key] = redact(member, node?.children.get(key) ?? null, key);
  return copy;
}

/** Escaped and cut: diagnostics are read on terminals. */
export function shownText(text: string): string {
  return printable(text, LONGEST_SHOWN_TEXT);
}

function isSecretPath(path: Path): boolean {
  return path.some((step) => typeof step === 'string' && SECRET_FIELDS.has(step));
}

function unexpandedText(value: string, root: WrittenNode | null, path: Path): string {
  const { node, found } = nodeAt(root, path);
  return (found ? node?.unexpanded : null) ?? value;
}

/** PEM, or a line of its base64, whatever field it landed in. Paths of Google's have shorter segments, names have hyphens. */
export function isSecretText(text: string): boolean {
  if (text.includes('-----BEGIN') || text.includes('PRIVATE KEY')) return true;
  return (text.match(BASE64_RUN) ?? []).some((run) => {
    return run.split('/').some((segment) => {
      return segment.length >= 20 && /[A-Z]/.test(segment) && /[a-z]/.test(segment) && /[0-9]/.test(segment);
    });
  });
}

const SECRET_FIELDS: ReadonlySet<string> = new Set([
  'certificate',
  'privateKey',
  'pemCertificate',
  'pemPrivateKey',
  'passphrase',
  'pkcs12Passphrase',
  'password',
  'secret',
  'token',
]);
const NOT_SHOWN = '(not shown)';
const BASE64_RUN = /[A-Za-z0-9+/=]{40,}/g; // RFC 7468 section 2: lines of 64, of which the last may be shorter
const LONGEST_SHOWN_KEY = 40; // the longest field name of Google's has 38
const LONGEST_SHOWN_TEXT = 80; // a line of a terminal
