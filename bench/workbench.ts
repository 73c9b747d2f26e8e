import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Issued } from '../src/pki/issue/contract.ts';
import { issue } from '../src/pki/issue/issue.ts';

/** Files that all proxies and the backend share. ECDSA P-256 throughout, so that no row measures RSA. */
export interface Workbench {
  readonly folder: string;
  readonly rootFile: string;
  /** What clients see: for HOST. */
  readonly server: CertificateFiles;
  /** For BACKEND_NAME, which every proxy sends as SNI and verifies. */
  readonly backend: CertificateFiles;
  /** What the backend demands of every proxy. */
  readonly client: CertificateFiles;
  remove(): void;
}

export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
  /** Certificate and key in one file, as HAProxy wants it. */
  readonly both: string;
}

export const HOST = 'localhost';
export const BACKEND_NAME = 'backend.bench.internal';

export async function makeWorkbench(): Promise<Workbench> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
  const root = await issue({ subject: 'CN=Bench Root', ca: true });
  const rootFile = join(folder, 'root.crt');
  writeFileSync(rootFile, root.certificatePem);
  const server = await issue({ subject: `CN=${HOST}`, issuer: root, dnsNames: [HOST] });
  const backend = await issue({ subject: `CN=${BACKEND_NAME}`, issuer: root, dnsNames: [BACKEND_NAME] });
  const client = await issue({ subject: 'CN=proxy', issuer: root, dnsNames: ['proxy.bench.internal'] });
  mkdirSync(join(folder, 'www'));
  writeFileSync(join(folder, 'www', 'small'), 'x'.repeat(SMALL_BYTES));
  writeFileSync(join(folder, 'www', '100k'), 'x'.repeat(100 * 1024));
  return {
    folder,
    rootFile,
    server: writeCertificate(folder, 'server', server),
    backend: writeCertificate(folder, 'backend', backend),
    client: writeCertificate(folder, 'client', client),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return port;
}

function writeCertificate(folder: string, name: string, issued: Issued): CertificateFiles {
  const files = {
    certificate: join(folder, `${name}.crt`),
    key: join(folder, `${name}.key`),
    both: join(folder, `${name}.pem`),
  };
  writeFileSync(files.certificate, issued.certificatePem);
  writeFileSync(files.key, issued.privateKeyPem, { mode: 0o600 });
  writeFileSync(files.both, issued.certificatePem + issued.privateKeyPem, { mode: 0o600 });
  return files;
}

const SMALL_BYTES = 128;
