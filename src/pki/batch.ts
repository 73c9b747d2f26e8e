import { parseCertificate } from './certificate.ts';
import { DerError } from './der.ts';
import { pemCertificates } from './pem.ts';
import { printable } from './printable.ts';
import type { Revocation } from './revocation.ts';
import { type TrustStore, trustStore } from './trust-store.ts';
import type { PathLink, Purpose, Verdict } from './verdict.ts';
import { verify } from './verify.ts';

/** What `sallyport verify --json` prints. */
export interface ChainAnswer {
  readonly ok: boolean;
  /** null when trusted. */
  readonly statusDetails: string | null;
  readonly rule: string | null;
  /** 0 = leaf; null when trusted, or when the request itself is wrong. */
  readonly depth: number | null;
  readonly reason: string;
  readonly path: readonly PathLink[];
}

/** What `sallyport verify --batch` answers to one line. */
export interface BatchAnswer extends Omit<ChainAnswer, 'path'> {
  /** As sent; null if absent or unreadable. */
  readonly id: string | number | null;
}

/** A question in PEM: every text may hold any number of CERTIFICATE blocks. */
export interface PemQuestion {
  /** The only anchors. */
  readonly roots: readonly string[];
  readonly intermediates: readonly string[];
  readonly allowlist: readonly string[];
  /** What the peer sends, leaf first. */
  readonly chain: readonly string[];
  readonly dnsNames: readonly string[];
  readonly uris: readonly string[];
  readonly purpose: Purpose;
  /** Wall milliseconds. */
  readonly atMs: number;
  /** Absent: no CRL is consulted. */
  readonly revocation?: Revocation;
}

/**
 * Answers one line of `sallyport verify --batch`: JSON `{id, roots[], intermediates[], chain[], allowlist[], dnsNames[], uris[],
 * purpose, at}`, certificates as PEM strings. `at` defaults to `nowMs`, `purpose` to server, lists to empty. Never throws: a line
 * that is no such request is answered with the rule 'malformed-request'.
 */
export function answerBatchLine(line: string, nowMs: number): BatchAnswer {
  if (line.length > MAX_LINE_LENGTH)
    return malformedRequest(null, `a line of ${line.length} characters`, `at most ${MAX_LINE_LENGTH}`);
  let request: unknown;
  try {
    request = JSON.parse(line);
  } catch {
    return malformedRequest(null, 'a line that is not JSON', 'one JSON object a line');
  }
  if (!isObject(request)) return malformedRequest(null, 'JSON that is not an object', 'one JSON object a line');
  const id = typeof request['id'] === 'string' || typeof request['id'] === 'number' ? request['id'] : null;
  const question = readQuestion(request, nowMs);
  if ('found' in question) return malformedRequest(id, question.found, question.expected);
  const { path: _, ...answer } = answerQuestion(question);
  return { id, ...answer };
}

/** Judges a chain given as PEM, for `sallyport verify`. Never throws. */
export function answerQuestion(question: PemQuestion): ChainAnswer {
  const { store, dropped } = storeOf(question);
  const verdict = verify({
    chain: question.chain.flatMap(decodePresented),
    store,
    purpose: question.purpose,
    names: { dnsNames: question.dnsNames, uris: question.uris },
    atMs: question.atMs,
    proof: 'unknown',
    revocation: question.revocation ?? null,
  });
  return answerOf(verdict, dropped);
}

function answerOf(verdict: Verdict, dropped: string | null): ChainAnswer {
  if (verdict.ok) {
    const subjects = verdict.path.map((link) => `'${link.subject}'`).join(' <- ');
    return {
      ok: true,
      statusDetails: null,
      rule: null,
      depth: null,
      reason: `trusted by ${verdict.by}: ${subjects}`,
      path: verdict.path,
    };
  }
  const { statusDetails, rule, depth, reason } = verdict;
  // A root that cannot be parsed anchors nothing; if the chain then has no anchor, that is why.
  if (rule === 'trust-anchor' && dropped !== null) {
    return {
      ok: false,
      statusDetails,
      rule: 'malformed-certificate',
      depth,
      reason: `${reason}; ${dropped}`,
      path: [],
    };
  }
  return { ok: false, statusDetails, rule, depth, reason, path: [] };
}

/** The store, without what cannot be parsed; `dropped` says what that was. */
function storeOf(question: PemQuestion): { readonly store: TrustStore; readonly dropped: string | null } {
  let dropped: string | null = null;
  const parsed = (field: string, texts: readonly string[]): Uint8Array[] =>
    texts.flatMap((text, index) => {
      try {
        return decodeText(text).map((der) => parseCertificate(der).der);
      } catch (thrown) {
        if (!(thrown instanceof DerError)) throw thrown;
        dropped ??= `${field}[${index}] cannot be parsed (${printable(thrown.message)}) and was left out`;
        return [];
      }
    });
  const store = trustStore({
    name: 'request',
    anchors: parsed('roots', question.roots),
    intermediates: parsed('intermediates', question.intermediates),
    allowlist: parsed('allowlist', question.allowlist),
    publicRoots: false,
  });
  return { store, dropped };
}

/** What is no PEM becomes an empty certificate, for the verifier to refuse at its depth. */
function decodePresented(text: string): readonly Uint8Array[] {
  try {
    return decodeText(text);
  } catch {
    return [new Uint8Array(0)];
  }
}

function decodeText(text: string): readonly Buffer[] {
  const blocks = pemCertificates(text);
  if (blocks.length === 0) throw new DerError('no CERTIFICATE block');
  return blocks;
}

interface RequestFault {
  readonly found: string;
  readonly expected: string;
}

function readQuestion(request: Readonly<Record<string, unknown>>, nowMs: number): PemQuestion | RequestFault {
  const unknown = Object.keys(request).find((key) => !KEYS.has(key));
  if (unknown !== undefined) return { found: `the member '${printable(unknown, 64)}'`, expected: [...KEYS].join(', ') };
  const lists: Record<string, readonly string[]> = {};
  for (const key of LIST_KEYS) {
    const list = request[key] ?? [];
    if (!Array.isArray(list) || !list.every((item) => typeof item === 'string')) {
      return { found: `'${key}' that is not a list of strings`, expected: 'strings' };
    }
    lists[key] = list;
  }
  const purpose = request['purpose'] ?? 'server';
  if (purpose !== 'server' && purpose !== 'client' && purpose !== 'any') {
    return { found: `purpose ${shown(purpose)}`, expected: 'server, client or any' };
  }
  const atMs = request['at'] === undefined || request['at'] === null ? nowMs : parseRfc3339(request['at']);
  if (atMs === null) return { found: `at ${shown(request['at'])}`, expected: 'an RFC 3339 time' };
  return {
    roots: lists['roots']!,
    intermediates: lists['intermediates']!,
    allowlist: lists['allowlist']!,
    chain: lists['chain']!,
    dnsNames: lists['dnsNames']!,
    uris: lists['uris']!,
    purpose,
    atMs,
  };
}

/** Wall milliseconds of an RFC 3339 time, or null. */
export function parseRfc3339(value: unknown): number | null {
  if (typeof value !== 'string' || !RFC3339.test(value)) return null;
  const ms = Date.parse(value.toUpperCase().replace(' ', 'T'));
  return Number.isNaN(ms) ? null : ms;
}

function malformedRequest(id: string | number | null, found: string, expected: string): BatchAnswer {
  return {
    id,
    ok: false,
    statusDetails: 'server_cert_validation_not_performed',
    rule: 'malformed-request',
    depth: null,
    reason: `Cannot read the request: ${found}, expected ${expected}; correct the line`,
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function shown(value: unknown): string {
  return printable(JSON.stringify(value) ?? 'undefined', 64);
}

const LIST_KEYS = ['roots', 'intermediates', 'allowlist', 'chain', 'dnsNames', 'uris'] as const;
const KEYS: ReadonlySet<string> = new Set(['id', 'purpose', 'at', ...LIST_KEYS]);
const RFC3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/;
const MAX_LINE_LENGTH = 32 * 1024 * 1024; // a trust store of 200 certificates is under 2 MiB of PEM
