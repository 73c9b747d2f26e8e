import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export interface TempFolder {
  readonly path: string;
  /** Writes a file (folders are made as needed) and returns its full path. */
  write(name: string, content: string | Uint8Array, mode?: number): string;
  /** The full path of a name inside. */
  file(name: string): string;
  remove(): void;
  [Symbol.dispose](): void;
}

/** A folder of its own for one test; `remove()` it, or declare it with `using`. */
export function makeTempFolder(): TempFolder {
  const path = mkdtempSync(join(tmpdir(), 'sallyport-test-'));
  const remove = () => rmSync(path, { recursive: true, force: true });
  return {
    path,
    file: (name) => join(path, name),
    write(name, content, mode = 0o600) {
      const file = join(path, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content, { mode });
      chmodSync(file, mode); // an existing file keeps its mode, and the umask takes bits from a new one's
      return file;
    },
    remove,
    [Symbol.dispose]: remove,
  };
}
