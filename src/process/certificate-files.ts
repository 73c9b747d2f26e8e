import { stat } from 'node:fs/promises';
import type { LinkedCertificate } from '../config/linked.ts';

/** When the files of a certificate that is loaded were last written, as they are now; null without any that can be seen. */
export async function certificateWrittenMs({
  file,
  privateKeyFile,
}: Pick<LinkedCertificate, 'file' | 'privateKeyFile'>): Promise<number | null> {
  const paths = [file, privateKeyFile].filter((path) => path !== null);
  const facts = await Promise.all(paths.map((path) => stat(path).catch(() => null)));
  const times = facts.flatMap((one) => one?.mtimeMs ?? []);
  return times.length === 0 ? null : Math.max(...times);
}
