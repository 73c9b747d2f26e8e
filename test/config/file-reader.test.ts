import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { FileReader } from '#src/config/file-reader.ts';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';

let folder: TempFolder;
beforeEach(() => {
  folder = makeTempFolder();
});
afterEach(() => folder.remove());

describe('`FileReader`', () => {
  test('sees again what an earlier load saw, after a clone, whatever has become of the files', async () => {
    const present = folder.write('present.yaml', 'a: 1\n');
    const missing = folder.file('missing.crt');
    const first = new FileReader();
    await first.readTogether([present, missing]);
    expect(await first.list(folder.path)).toEqual(['present.yaml']);
    const recorded = structuredClone(await first.readings());
    folder.write('present.yaml', 'a: 2\n');
    folder.write('missing.crt', 'now it is there');

    const again = new FileReader(recorded);
    await again.readTogether([present, missing]);
    expect((await again.read(present)).file?.text).toBe('a: 1\n');
    expect((await again.read(missing)).problem).toBe('found no such file');
    expect(await again.list(folder.path)).toEqual(['present.yaml']);
    expect(await again.list(present)).toBeUndefined();
    expect(again.paths).toEqual(first.paths);
    expect((await again.read(folder.file('other'))).problem).toContain('was not read with the rest');
  });

  test('reads a pair as it was at one moment while Kubernetes swaps ..data under it', async () => {
    const secret = new Secret(folder.path);
    secret.swap();
    let isOver = false;
    const swapping = (async () => {
      while (!isOver) {
        secret.swap();
        await delay(2); // a read of two files takes about half of that
      }
    })();
    const seen = new Set<string>();
    for (let round = 0; round < 300; round++) {
      const files = new FileReader();
      await files.readTogether([secret.certificate, secret.key]);
      const [certificate, key] = await Promise.all([files.read(secret.certificate), files.read(secret.key)]);
      if (certificate.file === null || key.file === null) {
        // it gives up rather than mix
        expect(certificate.problem).toBe('found that it kept changing while it was read');
        expect(key.problem).toBe(certificate.problem);
        continue;
      }
      expect(certificate.file.text).toBe(key.file.text);
      seen.add(key.file.text);
    }
    isOver = true;
    await swapping;
    expect(seen.size).toBeGreaterThan(10);
    expect(new FileReader().paths).toEqual([]);
  }, 60_000);

  test('remembers the paths that were asked for, not where links led', async () => {
    const secret = new Secret(folder.path);
    secret.swap();
    const files = new FileReader();
    await files.readTogether([secret.certificate, secret.key]);
    expect(files.paths).toEqual([secret.certificate, secret.key]);
    const { file } = await files.read(secret.certificate);
    expect(file).toMatchObject({ path: secret.certificate, text: '1' });
  });

  test('says what is wrong with one of two files that belong together', async () => {
    const files = new FileReader();
    const there = folder.write('there', 'text');
    await files.readTogether([there, folder.file('missing')]);
    expect((await files.read(there)).file?.text).toBe('text');
    expect((await files.read(folder.file('missing'))).problem).toBe('found no such file');
  });

  test('reads bytes that are no text, and says so where text is wanted', async () => {
    const file = folder.write('binary', Uint8Array.of(0x30, 0x82, 0xff));
    const files = new FileReader();
    expect((await files.readBytes(file)).file?.bytes).toEqual(Buffer.from([0x30, 0x82, 0xff]));
    expect((await files.read(file)).problem).toBe('found bytes that are not UTF-8');
  });
});

/** A mounted Kubernetes secret: tls.crt → ..data/tls.crt, ..data → ..generation, replaced by one rename. */
class Secret {
  readonly certificate: string;
  readonly key: string;
  readonly #folder: string;
  #generation = 0;

  constructor(folderPath: string) {
    this.#folder = folderPath;
    this.certificate = join(folderPath, 'tls.crt');
    this.key = join(folderPath, 'tls.key');
    symlinkSync('..data/tls.crt', this.certificate);
    symlinkSync('..data/tls.key', this.key);
  }

  swap(): void {
    const before = this.#generation;
    this.#generation++;
    const target = `..${this.#generation}`;
    mkdirSync(join(this.#folder, target));
    for (const name of ['tls.crt', 'tls.key']) {
      writeFileSync(join(this.#folder, target, name), String(this.#generation));
    }
    symlinkSync(target, join(this.#folder, '..data_tmp'));
    renameSync(join(this.#folder, '..data_tmp'), join(this.#folder, '..data'));
    if (before > 0) rmSync(join(this.#folder, `..${before}`), { recursive: true });
  }
}
