import { mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type FileWatch, fileSignatures, watchFiles } from '#src/process/watch-files.ts';

describe('watchFiles()', () => {
  let folder: string;
  let watch: FileWatch | undefined;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'watch-'));
  });
  afterEach(async () => {
    watch?.stop();
    await rm(folder, { recursive: true });
  });

  test('reports a file that was replaced', async () => {
    const file = join(folder, 'a.yaml');
    await writeFile(file, 'one');
    const changed = await changeAfter([file], async () => {
      await writeFile(`${file}.new`, 'two');
      await rename(`${file}.new`, file);
    });
    expect(changed).toEqual([file]);
  });

  test('sees a Kubernetes ..data symlink swap', async () => {
    await writeFile(join(folder, 'v1.crt'), 'one');
    await writeFile(join(folder, 'v2.crt'), 'two');
    await symlink('v1.crt', join(folder, '..data'));
    await symlink('..data', join(folder, 'tls.crt'));
    const file = join(folder, 'tls.crt');
    const changed = await changeAfter([file], async () => {
      await symlink('v2.crt', join(folder, '..data_tmp'));
      await rename(join(folder, '..data_tmp'), join(folder, '..data'));
    });
    expect(changed).toEqual([file]);
  });

  test('reports files that never come to rest', async () => {
    const file = join(folder, 'restless.crt');
    await writeFile(file, '');
    let text = '';
    const writing = setInterval(() => {
      text += 'x';
      void writeFile(file, text);
    }, 50);
    try {
      expect(await changeAfter([file], async () => {})).toEqual([file]);
    } finally {
      clearInterval(writing);
    }
  });

  test('reports a missing file that appears', async () => {
    const file = join(folder, 'late.crt');
    expect(await changeAfter([file], () => writeFile(file, 'here'))).toEqual([file]);
  });

  async function changeAfter(files: string[], act: () => Promise<void>): Promise<readonly string[]> {
    const baseline = await fileSignatures(files);
    const changed = new Promise<readonly string[]>((resolve) => {
      watch = watchFiles(baseline, resolve);
    });
    await act();
    return changed;
  }
});
