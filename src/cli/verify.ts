import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { answerBatchLine, answerQuestion, type ChainAnswer, type PemQuestion, parseRfc3339 } from '../pki/batch.ts';
import { parseCrls } from '../pki/crl.ts';
import { DerError } from '../pki/der.ts';
import { printable } from '../pki/printable.ts';
import { type Revocation, type RevocationMode, revocation } from '../pki/revocation.ts';
import type { Purpose } from '../pki/verdict.ts';

export interface VerifyOptions {
  readonly roots?: string;
  readonly intermediates?: string;
  readonly allowlist?: string;
  readonly chain?: string;
  readonly dnsName?: readonly string[];
  readonly uri?: readonly string[];
  readonly crl?: string;
  /** 'require' with --crl. */
  readonly revocationMode?: RevocationMode;
  readonly purpose: Purpose;
  readonly at?: string;
  readonly json?: boolean;
  readonly batch?: boolean;
}

/** `sallyport verify`: 0 trusted, 1 not, or when the question cannot be read. With --batch always 0: each line has its answer. */
export async function verifyCommand(options: VerifyOptions): Promise<number> {
  if (options.batch === true) return answerLines();
  const question = await readQuestion(options);
  if (typeof question === 'string') {
    process.stderr.write(`${question}\n`);
    return 1;
  }
  const answer = answerQuestion(question);
  process.stdout.write(options.json === true ? `${JSON.stringify(answer)}\n` : textOf(answer));
  return answer.ok ? 0 : 1;
}

async function answerLines(): Promise<number> {
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line.trim() === '') continue;
    const written = process.stdout.write(`${JSON.stringify(answerBatchLine(line, Date.now()))}\n`);
    if (!written) await once(process.stdout, 'drain');
  }
  return 0;
}

/** The question, or why it cannot be asked. */
async function readQuestion(options: VerifyOptions): Promise<PemQuestion | string> {
  if (options.chain === undefined)
    return 'Cannot verify: no --chain FILE, expected a PEM file of what the peer sends, leaf first';
  if (options.roots === undefined && options.allowlist === undefined) {
    return 'Cannot verify: neither --roots FILE nor --allowlist FILE, expected at least one of them to trust';
  }
  if (options.revocationMode !== undefined && options.crl === undefined)
    return 'Cannot verify: --revocation-mode without --crl FILE, expected the CRLs that it is about';
  const atMs = options.at === undefined ? Date.now() : parseRfc3339(options.at);
  if (atMs === null)
    return `Cannot verify: --at '${options.at}' is not an RFC 3339 time, expected for instance 2026-11-21T12:00:00Z`;
  try {
    return {
      roots: await texts(options.roots),
      intermediates: await texts(options.intermediates),
      allowlist: await texts(options.allowlist),
      chain: await texts(options.chain),
      dnsNames: options.dnsName ?? [],
      uris: options.uri ?? [],
      purpose: options.purpose,
      atMs,
      ...(options.crl !== undefined && { revocation: await readRevocation(options.crl, options.revocationMode) }),
    };
  } catch (error) {
    if (error instanceof DerError) return `Cannot read ${options.crl}: found ${printable(error.message)}`;
    const { path, code, message } = error as NodeJS.ErrnoException;
    return `Cannot read ${path ?? 'a file'}: ${code ?? message}`;
  }
}

async function readRevocation(file: string, mode: RevocationMode = 'require'): Promise<Revocation> {
  return revocation({ mode, crls: parseCrls(await readFile(file)) });
}

async function texts(file: string | undefined): Promise<readonly string[]> {
  return file === undefined ? [] : [await readFile(file, 'utf8')];
}

function textOf(answer: ChainAnswer): string {
  if (!answer.ok)
    return `refused: ${answer.statusDetails} (rule ${answer.rule}, depth ${answer.depth})\n${answer.reason}\n`;
  const links = answer.path.map(
    (link, depth) => `  ${depth}  ${link.subject}  (${link.from}, until ${new Date(link.notAfterMs).toISOString()})`,
  );
  return `${answer.reason}\n${links.join('\n')}\n`;
}
