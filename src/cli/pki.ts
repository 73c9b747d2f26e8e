import { writePki } from '../pki/issue/write-pki.ts';

/** `sallyport pki`: prints what it wrote; exit code 1 where it could not. */
export async function pkiCommand(options: { manifest: string; out: string; force?: boolean }): Promise<number> {
  try {
    const existing = options.force === true ? 'replace' : 'refuse';
    const written = await writePki({ manifestFile: options.manifest, outFolder: options.out, existing });
    process.stdout.write(written.map((path) => `${path}\n`).join(''));
    return 0;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    return 1;
  }
}
