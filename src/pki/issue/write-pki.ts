import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Issued, IssueRequest } from './contract.ts';
import { issue } from './issue.ts';
import { type ManifestEntry, readManifest } from './manifest.ts';

export interface PkiRequest {
  readonly manifestFile: string;
  readonly outFolder: string;
  /** What to do where a file of that name is already there. */
  readonly existing: 'refuse' | 'replace';
}

/**
 * Issues what a manifest lists and writes NAME.crt (0644) and NAME.key (0600, PKCS#8). All is issued before anything is written.
 * Returns the paths written, in manifest order.
 * @throws ManifestError, or Error where a file exists or cannot be written
 */
export async function writePki(request: PkiRequest): Promise<readonly string[]> {
  const entries = readManifest(readFileSync(request.manifestFile, 'utf8'), request.manifestFile);
  const files = await issueFiles(entries);
  if (request.existing === 'refuse') refuseExisting(files.map(({ name }) => join(request.outFolder, name)));
  mkdirSync(request.outFolder, { recursive: true });
  return files.map(({ name, content, mode }) => {
    const path = join(request.outFolder, name);
    if (request.existing === 'replace') replaceFile(path, content, mode);
    else createFile(path, content, mode);
    return path;
  });
}

interface OutFile {
  readonly name: string;
  readonly content: string;
  readonly mode: number;
}

async function issueFiles(entries: readonly ManifestEntry[]): Promise<readonly OutFile[]> {
  const nowMs = Date.now(); // one for all: no certificate outlives an issuer that was asked for as long
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  const issued = new Map<string, Issued>();
  for (const entry of entries) await issueEntry(entry, byName, issued, nowMs);
  return entries.flatMap((entry) => {
    const certificate = issued.get(entry.name);
    if (certificate === undefined) return [];
    const chain = entry.chain ? issuersOf(entry, byName) : [];
    const content = [entry.name, ...chain].map((name) => issued.get(name)?.certificatePem ?? '').join('');
    const files: OutFile[] = [{ name: `${entry.name}.crt`, content, mode: 0o644 }];
    if (entry.writeKey) files.push({ name: `${entry.name}.key`, content: certificate.privateKeyPem, mode: 0o600 });
    return files;
  });
}

/** Depth first, so that a manifest may list a certificate before its issuer; readManifest() has refused cycles. */
async function issueEntry(
  entry: ManifestEntry,
  byName: ReadonlyMap<string, ManifestEntry>,
  issued: Map<string, Issued>,
  nowMs: number,
): Promise<Issued> {
  const done = issued.get(entry.name);
  if (done !== undefined) return done;
  const referred = async (name: string | null) => {
    const target = name === null ? undefined : byName.get(name);
    return target === undefined ? undefined : issueEntry(target, byName, issued, nowMs);
  };
  const [issuer, keyFrom] = [await referred(entry.issuer), await referred(entry.keyFrom)];
  const startMs = entry.startsInDays === 0 ? nowMs - HOUR_MS : nowMs + entry.startsInDays * DAY_MS;
  const request: IssueRequest = {
    ...entry.request,
    ...(issuer === undefined ? {} : { issuer }),
    ...(keyFrom === undefined ? {} : { keyFrom }),
    notBefore: new Date(startMs),
    notAfter: new Date(startMs + entry.validDays * DAY_MS),
  };
  try {
    const certificate = await issue(request);
    issued.set(entry.name, certificate);
    return certificate;
  } catch (error) {
    throw new Error(`Cannot issue '${entry.name}': ${(error as Error).message}`, { cause: error });
  }
}

/** The issuers above an entry, nearest first, without the self-signed root: a peer must have that already. */
function issuersOf(entry: ManifestEntry, byName: ReadonlyMap<string, ManifestEntry>): readonly string[] {
  const names: string[] = [];
  for (let next = entry.issuer; next !== null; ) {
    const issuer = byName.get(next);
    if (issuer === undefined || issuer.issuer === null) break;
    names.push(issuer.name);
    next = issuer.issuer;
  }
  return names;
}

function refuseExisting(paths: readonly string[]): void {
  // lstat: a dangling link counts as there.
  const there = paths.filter((path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined);
  if (there.length === 0) return;
  throw new Error(`Cannot write ${there.join(', ')}: already there; remove them, choose another --out or pass --force`);
}

/** O_EXCL and O_NOFOLLOW: a link that someone planted in a shared folder never decides where a key goes. */
function createFile(path: string, content: string, mode: number): void {
  const descriptor = openSync(path, NEW_FILE, mode);
  try {
    writeFileSync(descriptor, content);
  } finally {
    closeSync(descriptor);
  }
}

/** Written beside it and renamed over it: readers see the old file or the new one, and a link is replaced, not followed. */
function replaceFile(path: string, content: string, mode: number): void {
  const beside = `${path}.${randomBytes(6).toString('hex')}`;
  createFile(beside, content, mode);
  try {
    renameSync(beside, path);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
}

const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
