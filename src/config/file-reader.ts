import { lstat, readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';

export interface FileText {
  readonly text: string;
  /** Absolute, symlinks not followed: what a watcher looks at. */
  readonly path: string;
  readonly modifiedMs: number;
  /** Permission bits; 0 on Windows, where they say nothing. */
  readonly mode: number;
}

export type FileReading =
  | { readonly file: FileText; readonly problem: null }
  | { readonly file: null; readonly problem: string };

/** Reads text files, each once a load, and remembers all that were asked for, readable or not. */
export class FileReader {
  readonly #wanted = new Map<string, Promise<FileReading>>();

  /** Every path that was asked for or noted, absolute. */
  get paths(): readonly string[] {
    return [...this.#wanted.keys()];
  }

  /** Remembers a path that is watched but not read: a folder. */
  note(path: string): void {
    const absolute = resolve(path);
    if (!this.#wanted.has(absolute))
      this.#wanted.set(absolute, Promise.resolve({ file: null, problem: 'found a folder' }));
  }

  read(path: string): Promise<FileReading> {
    const absolute = resolve(path);
    const reading = this.#wanted.get(absolute) ?? readText(absolute);
    this.#wanted.set(absolute, reading);
    return reading;
  }
}

async function readText(path: string): Promise<FileReading> {
  try {
    const facts = await stat(path);
    // A pipe would block for ever, and could not be read again at a reload.
    if (!facts.isFile())
      return { file: null, problem: facts.isDirectory() ? 'found a folder' : 'found no regular file' };
    if (facts.size > MAX_FILE_BYTES) {
      return { file: null, problem: `found ${facts.size} bytes, expected at most ${MAX_FILE_BYTES}` };
    }
    const bytes = await readFile(path);
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    const mode = process.platform === 'win32' ? 0 : facts.mode & 0o777;
    return { file: { text, path, modifiedMs: facts.mtimeMs, mode }, problem: null };
  } catch (error) {
    return { file: null, problem: await problemOf(error, path) };
  }
}

/** From the code alone: Node's message repeats the path, which may hold an expanded variable. */
async function problemOf(error: unknown, path: string): Promise<string> {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return 'found bytes that are not UTF-8';
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

const MAX_FILE_BYTES = 16 * 1024 * 1024; // a URL map may have 64 KB and a trust config 700 certificates: far above both
