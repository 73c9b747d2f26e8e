import { createHash, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { runTool } from '../harness/run-tool.ts';

/**
 * The document that a real Chromium ends up with; nothing where it could not load one. What it leaves is in `folder`, its
 * profile under this name.
 */
export async function dumpDom(url: string, folder: string, profile: string, args: readonly string[]): Promise<string> {
  const flags = [...FLAGS, `--user-data-dir=${join(folder, profile)}`, ...args];
  const { stdout } = await runTool('chromium', [...flags, '--dump-dom', url], {
    timeoutMs: 60_000,
    env: { HOME: folder, TMPDIR: folder },
  });
  return stdout;
}

/** The flag by which Chromium trusts a chain with the key of this certificate in it, and nothing more. */
export function trustingKeyOf(certificatePem: string | Buffer): string {
  const { publicKey } = new X509Certificate(certificatePem);
  const spki = createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' }));
  return `--ignore-certificate-errors-spki-list=${spki.digest('base64')}`;
}

const FLAGS = [
  '--headless',
  '--no-sandbox', // in a container, and as root, there is none
  '--disable-gpu',
  '--disable-dev-shm-usage', // containers give it 64 MB
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
