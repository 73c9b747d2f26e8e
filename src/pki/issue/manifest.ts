import { isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument } from 'yaml';
import type { ExtendedKeyUsage, IssuedKeyType, IssueRequest, KeyUsage, SubtreeNames } from './contract.ts';

/** One certificate of a manifest, checked: issuers exist and there are no cycles. */
export interface ManifestEntry {
  readonly name: string;
  /** Another entry's name, or null: self-signed. */
  readonly issuer: string | null;
  /** The entry whose key pair this one shares (cross-signing, renewal), or null. */
  readonly keyFrom: string | null;
  /** What issue() gets, without issuer, key pair and validity. */
  readonly request: Omit<IssueRequest, 'issuer' | 'keyFrom' | 'notBefore' | 'notAfter'>;
  /** Days from now to notBefore; 0 means an hour ago, so that a slow clock elsewhere accepts it. */
  readonly startsInDays: number;
  readonly validDays: number;
  /** NAME.crt holds the issuers too, leaf first, without the self-signed root. */
  readonly chain: boolean;
  /** false: the key is thrown away once everything is signed. */
  readonly writeKey: boolean;
}

/** All that is wrong with a manifest, one problem a line, each as `file:line:column: certificate: message`. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/**
 * Reads a PKI manifest (docs in certs/demo.yaml): `certificates:`, a list of named requests.
 * @param file only for messages
 * @throws ManifestError with every problem at once
 */
export function readManifest(text: string, file: string): readonly ManifestEntry[] {
  return new ManifestReader(text, file).read();
}

/** A field's value, or undefined after a problem was reported. */
type FieldReader = (node: Node | null, report: (message: string) => void) => unknown;
type Report = (node: Node | null, message: string) => void;

class ManifestReader {
  readonly #lines = new LineCounter();
  readonly #problems: string[] = [];
  readonly #text: string;
  readonly #file: string;

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
  }

  read(): readonly ManifestEntry[] {
    const document = parseDocument(this.#text, { lineCounter: this.#lines, prettyErrors: false });
    for (const error of document.errors) this.#problem(error.pos[0], '', error.message);
    this.#stop();
    const root: unknown = document.contents;
    if (!isMap(root)) {
      this.#problem(0, '', "Cannot read the manifest: expected a map with 'certificates'");
    } else {
      for (const pair of root.items as readonly Pair<Node, Node | null>[]) {
        if (keyText(pair) !== 'certificates') {
          this.#problem(
            offset(pair.key),
            '',
            `Cannot read '${keyText(pair)}': expected 'certificates', the only field here`,
          );
        }
      }
    }
    this.#stop();
    const list: unknown = isMap(root) ? root.get('certificates', true) : null;
    if (!isSeq(list) || list.items.length === 0) {
      this.#problem(0, '', "Cannot read 'certificates': expected a list of at least one certificate");
      this.#stop();
      return [];
    }
    const placed = (list.items as readonly Node[]).map((node) => ({ node, entry: this.#entry(node) }));
    this.#checkReferences(placed);
    this.#stop();
    return placed.flatMap(({ entry }) => (entry === null ? [] : [entry]));
  }

  #entry(node: Node): ManifestEntry | null {
    if (!isMap(node)) {
      this.#problem(offset(node), '', 'Cannot read a certificate: expected a map of fields');
      return null;
    }
    const nameNode = node.get('name', true);
    const name = typeof nameNode?.value === 'string' ? nameNode.value : '';
    if (!FILE_NAME.test(name)) {
      const found = name === '' ? 'nothing' : `'${name}'`;
      this.#problem(
        offset(nameNode ?? node),
        '',
        `Cannot read 'name': found ${found}, expected letters, digits, '.', '_' or '-'`,
      );
    }
    const fields: Record<string, unknown> = {};
    for (const pair of node.items as readonly Pair<Node, Node | null>[]) {
      const key = keyText(pair);
      if (!Object.hasOwn(FIELDS, key)) {
        const known = Object.keys(FIELDS).join(', ');
        this.#problem(offset(pair.key), name, `Cannot read the field '${key}': expected one of ${known}`);
        continue;
      }
      const value = FIELDS[key]?.(pair.value, (message) => {
        this.#problem(offset(pair.value ?? pair.key), name, `Cannot read '${key}': ${message}`);
      });
      if (value !== undefined) fields[key] = value;
    }
    if (!node.has('subject'))
      this.#problem(offset(node), name, "Cannot issue: 'subject' is missing, for instance 'CN=…'");
    return toEntry(name, fields as EntryFields);
  }

  #checkReferences(placed: readonly { readonly node: Node; readonly entry: ManifestEntry | null }[]): void {
    const byName = new Map<string, ManifestEntry>();
    const report: Report = (node, message) => this.#problem(offset(node), nameOf(node), message);
    for (const { node, entry } of placed) {
      if (entry === null) continue;
      // Two names that differ only in case are one file on some file systems.
      const key = entry.name.toLowerCase();
      if (byName.has(key))
        report(node, `Cannot use the name '${entry.name}' twice: its files would overwrite each other`);
      byName.set(key, entry);
    }
    const names = new Map([...byName.values()].map((entry) => [entry.name, entry]));
    for (const { node, entry } of placed) {
      if (entry === null) continue;
      const issuer = entry.issuer === null ? null : names.get(entry.issuer);
      if (issuer === undefined) report(node, `Cannot find the issuer '${entry.issuer}': no certificate has that name`);
      if (issuer?.request.ca === false) report(node, `Cannot issue from '${entry.issuer}': it has no 'ca: true'`);
      if (entry.keyFrom !== null && !names.has(entry.keyFrom)) {
        report(node, `Cannot find the key of '${entry.keyFrom}': no certificate has that name`);
      }
      if (isCircular(entry, names))
        report(node, `Cannot issue '${entry.name}': its issuers or keys lead back to itself`);
    }
  }

  #problem(at: number, certificate: string, message: string): void {
    const { line, col } = this.#lines.linePos(at);
    this.#problems.push(`${this.#file}:${line}:${col}: ${certificate === '' ? '' : `${certificate}: `}${message}`);
  }

  #stop(): void {
    if (this.#problems.length > 0) throw new ManifestError(this.#problems);
  }
}

interface EntryFields {
  readonly name?: string;
  readonly issuer?: string;
  readonly keyFrom?: string;
  readonly subject?: string;
  readonly ca?: boolean;
  readonly startsInDays?: number;
  readonly validDays?: number;
  readonly chain?: boolean;
  readonly writeKey?: boolean;
  readonly serial?: string;
}

function toEntry(name: string, fields: EntryFields): ManifestEntry {
  const { name: _name, issuer, keyFrom, startsInDays, validDays, chain, writeKey, serial, ...request } = fields;
  return {
    name,
    issuer: issuer ?? null,
    keyFrom: keyFrom ?? null,
    request: {
      ...request,
      subject: fields.subject ?? '',
      ca: fields.ca ?? false,
      ...(serial === undefined ? {} : { serialHex: serial }),
    },
    startsInDays: startsInDays ?? 0,
    validDays: validDays ?? DEFAULT_VALID_DAYS,
    chain: chain ?? false,
    writeKey: writeKey ?? true,
  };
}

function isCircular(start: ManifestEntry, names: ReadonlyMap<string, ManifestEntry>): boolean {
  const open = [start];
  const seen = new Set<ManifestEntry>();
  for (let entry = open.pop(); entry !== undefined; entry = open.pop()) {
    for (const next of [entry.issuer, entry.keyFrom]) {
      const target = next === null ? undefined : names.get(next);
      if (target === start) return true;
      if (target === undefined || seen.has(target)) continue;
      seen.add(target);
      open.push(target);
    }
  }
  return false;
}

function keyText(pair: Pair<Node, Node | null>): string {
  return isScalar(pair.key) ? String(pair.key.value) : '';
}

function nameOf(node: Node | null): string {
  const name: unknown = isMap(node) ? node.get('name') : '';
  return typeof name === 'string' ? name : '';
}

function offset(node: Node | null): number {
  return node?.range?.[0] ?? 0;
}

function describe(node: Node | null): string {
  if (isScalar(node)) return JSON.stringify(node.value);
  if (isSeq(node)) return 'a list';
  return isMap(node) ? 'a map' : 'nothing';
}

const text: FieldReader = (node, report) => {
  if (isScalar(node) && typeof node.value === 'string') return node.value;
  report(`found ${describe(node)}, expected text`);
};

const trueOrFalse: FieldReader = (node, report) => {
  if (isScalar(node) && typeof node.value === 'boolean') return node.value;
  report(`found ${describe(node)}, expected true or false`);
};

function integer(least: number, most: number): FieldReader {
  return (node, report) => {
    const value: unknown = isScalar(node) ? node.value : undefined;
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
    report(`found ${describe(node)}, expected a whole number from ${least} to ${most}`);
  };
}

function oneOf(words: readonly string[]): FieldReader {
  return (node, report) => {
    if (isScalar(node) && typeof node.value === 'string' && words.includes(node.value)) return node.value;
    report(`found ${describe(node)}, expected one of ${words.join(', ')}`);
  };
}

function listOf(item: FieldReader): FieldReader {
  return (node, report) => {
    if (isSeq(node)) return (node.items as readonly Node[]).map((child) => item(child, report));
    report(`found ${describe(node)}, expected a list`);
  };
}

/** `none` means: no such extension. */
function listOrNone(item: FieldReader): FieldReader {
  const list = listOf(item);
  return (node, report) => (isScalar(node) && node.value === 'none' ? null : list(node, report));
}

const subtrees: FieldReader = (node, report) => {
  if (!isMap(node)) {
    report(`found ${describe(node)}, expected a map of ${SUBTREE_KINDS.join(', ')}`);
    return undefined;
  }
  const names: Record<string, unknown> = {};
  for (const pair of node.items as readonly Pair<Node, Node | null>[]) {
    const kind = keyText(pair);
    if (!SUBTREE_KINDS.includes(kind as keyof SubtreeNames)) {
      report(`found '${kind}', expected one of ${SUBTREE_KINDS.join(', ')}`);
      continue;
    }
    names[kind] = listOf(text)(pair.value, (message) => report(`'${kind}': ${message}`));
  }
  return names;
};

/** Becomes a file name, so nothing that could leave the folder or look like an option. */
const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const DEFAULT_VALID_DAYS = 30;
/** A hundred years: past any use, and inside what X.509 dates can say. */
const MOST_DAYS = 36_500;
const SUBTREE_KINDS = ['dns', 'ip', 'email', 'uri'] as const satisfies readonly (keyof SubtreeNames)[];
const KEY_TYPES = ['rsa-2048', 'rsa-3072', 'rsa-4096', 'rsa-1024', 'p256', 'p384', 'p521', 'ed25519'] as const;
const KEY_USAGES = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
] as const;
const PURPOSES = ['serverAuth', 'clientAuth', 'codeSigning', 'timeStamping', 'OCSPSigning', 'any'] as const;
KEY_TYPES satisfies readonly IssuedKeyType[];
KEY_USAGES satisfies readonly KeyUsage[];
PURPOSES satisfies readonly ExtendedKeyUsage[];

const FIELDS: Readonly<Record<string, FieldReader>> = {
  name: text,
  issuer: text,
  keyFrom: text,
  subject: text,
  keyType: oneOf(KEY_TYPES),
  ca: trueOrFalse,
  pathLength: integer(0, 100),
  dnsNames: listOf(text),
  ipAddresses: listOf(text),
  uris: listOf(text),
  emails: listOf(text),
  keyUsage: listOrNone(oneOf(KEY_USAGES)),
  extendedKeyUsage: listOrNone(oneOf(PURPOSES)),
  permitted: subtrees,
  excluded: subtrees,
  basicConstraints: trueOrFalse,
  keyIdentifiers: trueOrFalse,
  signatureHash: oneOf(['SHA-1', 'SHA-256', 'SHA-384', 'SHA-512']),
  serial: text,
  startsInDays: integer(-MOST_DAYS, MOST_DAYS),
  validDays: integer(1, MOST_DAYS),
  chain: trueOrFalse,
  writeKey: trueOrFalse,
};
