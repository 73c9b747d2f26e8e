import { addressKey } from '../http/client-network.ts';
import { parseCertificate } from '../pki/certificate.ts';
import { OID } from '../pki/oids.ts';

/**
 * OpenSSL verifies a client's chain before we see it, with no bound but 100 kB: ten certificates on sect571r1 take 70 ms of a core
 * (measured on 26.10). An address that makes us pay that for nothing is not asked again for a while (security rule 24).
 */
export class CostlyClients {
  readonly #untilMs = new Map<string, number>();

  get size(): number {
    return this.#untilMs.size;
  }

  isPenalised(address: string, nowMs: number): boolean {
    if (this.#untilMs.size === 0) return false;
    const key = addressKey(address);
    const untilMs = this.#untilMs.get(key);
    if (untilMs === undefined) return false;
    if (untilMs > nowMs) return true;
    this.#untilMs.delete(key);
    return false;
  }

  /** `chain` null: OpenSSL ended the handshake over it. CPU time is the thread's, so an ordinary chain is never blamed for what else it did. */
  refused(address: string, chain: readonly Uint8Array[] | null, cpuMs: number, nowMs: number): void {
    if (cpuMs < COSTLY_CPU_MS || (chain !== null && isOrdinary(chain))) return;
    const key = addressKey(address);
    this.#untilMs.delete(key);
    this.#untilMs.set(key, nowMs + PENALTY_MS); // at the young end
    for (const [oldest, untilMs] of this.#untilMs) {
      if (untilMs > nowMs && this.#untilMs.size <= MAX_ADDRESSES) break;
      this.#untilMs.delete(oldest);
    }
  }
}

/** CPU milliseconds of this thread so far. */
export function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** What a misconfigured client sends too: a few certificates with keys that are cheap to verify with. */
function isOrdinary(chain: readonly Uint8Array[]): boolean {
  return chain.length <= MOST_ORDINARY && chain.every(hasOrdinaryKey);
}

function hasOrdinaryKey(der: Uint8Array): boolean {
  try {
    const { publicKey } = parseCertificate(der);
    if (publicKey.kind === 'RSA') return publicKey.bits <= 4096;
    return publicKey.kind === 'EC' && ORDINARY_CURVES.has(publicKey.curve);
  } catch {
    return false;
  }
}

const COSTLY_CPU_MS = 20; // security rule 24; an ordinary handshake takes 1 to 3
const PENALTY_MS = 10_000; // ours: 20 ms in ten seconds hurt nobody, and neighbours behind one address get in again
const MAX_ADDRESSES = 10_000; // 1 MB
const MOST_ORDINARY = 4;
const ORDINARY_CURVES: ReadonlySet<string> = new Set([OID.p256, OID.p384]);
