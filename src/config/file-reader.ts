import { access, constants, lstat, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface FileText {
  readonly text: string;
  /** Absolute, symlinks not followed: what a watcher looks at. */
  readonly path: string;
  readonly modifiedMs: number;
  /** Permission bits; 0 on Windows, where they say nothing. */
  readonly mode: number;
}

export interface FileBytes extends Omit<FileText, 'text'> {
  readonly bytes: Uint8Array;
}

export type FileReading = Reading<FileText>;

type Reading<T> = { readonly file: T; readonly problem: null } | { readonly file: null; readonly problem: string };

export type FileIdentity =
  | { readonly identity: string; readonly problem: null }
  | { readonly identity: null; readonly problem: string };

/** All that one load saw of the file system, by absolute path. Holds keys and secrets. Can be cloned (structuredClone, IPC). */
export interface FileReadings {
  readonly files: ReadonlyMap<string, Reading<FileBytes>>;
  /** The names in each folder; null: it cannot be listed. */
  readonly folders: ReadonlyMap<string, readonly string[] | null>;
}

/** Reads files, each once a load, and remembers all that were asked for, readable or not. */
export class FileReader {
  readonly #wanted = new Map<string, Promise<Reading<FileBytes>>>();
  readonly #folders = new Map<string, readonly string[] | null>();
  readonly #isReplay: boolean;

  /** `recorded`: what an earlier load saw, which this one sees again whatever has become of the files. */
  constructor(recorded: FileReadings | null = null) {
    this.#isReplay = recorded !== null;
    for (const [path, reading] of recorded?.files ?? []) this.#wanted.set(path, Promise.resolve(reading));
    for (const [path, names] of recorded?.folders ?? []) this.#folders.set(path, names);
  }

  async readings(): Promise<FileReadings> {
    const files = new Map<string, Reading<FileBytes>>();
    for (const [path, reading] of this.#wanted) files.set(path, await reading);
    return { files, folders: new Map(this.#folders) };
  }

  /** Every path that was asked for or noted, absolute. */
  get paths(): readonly string[] {
    return [...this.#wanted.keys()];
  }

  /** The names in a folder, null when it may not be listed; undefined for what is no folder. It is watched from now on. */
  async list(path: string): Promise<readonly string[] | null | undefined> {
    const absolute = resolve(path);
    if (this.#isReplay) return this.#folders.get(absolute);
    const facts = await stat(absolute).catch(() => null);
    if (facts?.isDirectory() !== true) return undefined;
    const names = await readdir(absolute).catch(() => null);
    this.#folders.set(absolute, names);
    if (!this.#wanted.has(absolute))
      this.#wanted.set(absolute, Promise.resolve({ file: null, problem: 'found a folder' }));
    return names;
  }

  /** True: it gives what an earlier load saw. */
  get isReplay(): boolean {
    return this.#isReplay;
  }

  /** What a file is known by, for those whose contents are read elsewhere; it is watched from now on. */
  async identityOf(path: string, mostBytes: number): Promise<FileIdentity> {
    const absolute = resolve(path);
    const reading = this.#wanted.get(absolute) ?? (this.#isReplay ? NOT_RECORDED : identify(absolute, mostBytes));
    this.#wanted.set(absolute, reading);
    const { file, problem } = await reading;
    return file === null
      ? { identity: null, problem }
      : { identity: Buffer.from(file.bytes).toString(), problem: null };
  }

  /** A UTF-8 text. */
  async read(path: string): Promise<FileReading> {
    const { file, problem } = await this.readBytes(path);
    if (file === null) return { file, problem };
    const { bytes, ...facts } = file;
    try {
      const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
      return { file: { ...facts, text }, problem: null };
    } catch {
      return { file: null, problem: 'found bytes that are not UTF-8' };
    }
  }

  readBytes(path: string, mostBytes: number = MAX_FILE_BYTES): Promise<Reading<FileBytes>> {
    const absolute = resolve(path);
    const reading =
      this.#wanted.get(absolute) ?? (this.#isReplay ? NOT_RECORDED : readFrom(absolute, absolute, mostBytes));
    this.#wanted.set(absolute, reading);
    return reading;
  }

  /**
   * Reads files that belong together (a certificate and its key) as they were at one moment: symlinks are resolved once, so that both
   * come from the same folder of a Kubernetes `..data` swap, and all is read again while anything of it changed meanwhile.
   */
  async readTogether(paths: readonly string[]): Promise<void> {
    const missing = paths.map((path) => resolve(path)).filter((path) => !this.#wanted.has(path));
    if (missing.length === 0 || this.#isReplay) return;
    for (let attempt = 1; ; attempt++) {
      const before = await Promise.all(missing.map(placeOf));
      const readings = await Promise.all(missing.map((path, index) => readFrom(path, before[index]?.target ?? path)));
      const after = await Promise.all(missing.map(placeOf));
      const isSame = before.every((place, index) => place.signature === after[index]?.signature);
      const isWhole = !before.some(isMissing);
      // in the middle of a swap a file may seem to be missing for a moment
      if (!(isSame && isWhole) && attempt < MOST_ATTEMPTS) {
        await delay(attempt);
        continue;
      }
      const isConsistent =
        isSame && before.every((place, index) => !isMissing(place) || readings[index]?.file === null);
      for (const [index, path] of missing.entries()) {
        const reading = readings[index];
        if (reading === undefined) continue;
        this.#wanted.set(
          path,
          Promise.resolve(
            isConsistent ? reading : { file: null, problem: 'found that it kept changing while it was read' },
          ),
        );
      }
      return;
    }
  }
}

interface FilePlace {
  /** Where symlinks lead; the path itself when they lead nowhere. */
  readonly target: string;
  /** Changes with the target, its contents and its times. */
  readonly signature: string;
}

function isMissing({ signature }: FilePlace): boolean {
  return signature.startsWith(MISSING);
}

async function placeOf(path: string): Promise<FilePlace> {
  try {
    const target = await realpath(path);
    const facts = await stat(target, { bigint: true });
    return { target, signature: `${target}:${facts.dev}:${facts.ino}:${facts.size}:${facts.mtimeNs}:${facts.ctimeNs}` };
  } catch (error) {
    return { target: path, signature: `${MISSING}${(error as NodeJS.ErrnoException).code ?? ''}` };
  }
}

/** Recorded like a file whose contents are its size and time. */
async function identify(path: string, mostBytes: number): Promise<Reading<FileBytes>> {
  try {
    const facts = await stat(path);
    if (!facts.isFile())
      return { file: null, problem: facts.isDirectory() ? 'found a folder' : 'found no regular file' };
    if (facts.size > mostBytes) {
      return { file: null, problem: `found ${facts.size} bytes, expected at most ${mostBytes}` };
    }
    await access(path, constants.R_OK);
    const bytes = Buffer.from(`${facts.size}:${facts.mtimeMs}`);
    return { file: { bytes, path, modifiedMs: facts.mtimeMs, mode: facts.mode & 0o777 }, problem: null };
  } catch (error) {
    return { file: null, problem: await problemOf(error, path) };
  }
}

/** `path` is what was asked for, `target` where it is. */
async function readFrom(path: string, target: string, mostBytes = MAX_FILE_BYTES): Promise<Reading<FileBytes>> {
  try {
    const facts = await stat(target);
    // A pipe would block for ever, and could not be read again at a reload.
    if (!facts.isFile())
      return { file: null, problem: facts.isDirectory() ? 'found a folder' : 'found no regular file' };
    if (facts.size > mostBytes) {
      return { file: null, problem: `found ${facts.size} bytes, expected at most ${mostBytes}` };
    }
    const bytes = await readFile(target);
    const mode = process.platform === 'win32' ? 0 : facts.mode & 0o777;
    return { file: { bytes, path, modifiedMs: facts.mtimeMs, mode }, problem: null };
  } catch (error) {
    return { file: null, problem: await problemOf(error, path) };
  }
}

/** From the code alone: Node's message repeats the path, which may hold an expanded variable. */
async function problemOf(error: unknown, path: string): Promise<string> {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const isDangling = await lstat(path).then(
      (facts) => facts.isSymbolicLink(),
      () => false,
    );
    return isDangling ? 'found a symbolic link that leads nowhere' : 'found no such file';
  }
  if (code === 'EACCES' || code === 'EPERM') return 'found no permission to read it';
  return `found ${code === '' ? 'an error' : code}`;
}

/** The same configuration wants the same files; another environment could make a path of its own. */
const NOT_RECORDED = Promise.resolve({ file: null, problem: 'found that it was not read with the rest' } as const);
const MAX_FILE_BYTES = 16 * 1024 * 1024; // a URL map may have 64 KB and a trust config 700 certificates: far above both
const MOST_ATTEMPTS = 10; // 45 ms with their pauses; a read takes well below one: who changes files that fast never stops
const MISSING = 'missing:';
