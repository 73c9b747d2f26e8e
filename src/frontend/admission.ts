import { readFileSync } from 'node:fs';
import { addressKey } from '../http/client-network.ts';
import type { FrontendLimits } from './contract.ts';

export type Refusal = 'connection_limit' | 'address_limit' | 'handshake_limit';

/** Counts who is in, and says no at a limit. Every map entry belongs to an open connection, so the map is as bounded as they are. */
export class Admission {
  #connections = 0;
  #handshakes = 0;
  readonly #perAddress = new Map<string, number>();
  readonly #mostConnections: number;

  /** `fileLimit`: RLIMIT_NOFILE; what it allows comes before what the configuration does (security rule 10). */
  constructor(fileLimit: number) {
    this.#mostConnections = Math.max(1, Math.floor((fileLimit - RESERVED_FILES) / FILES_PER_CONNECTION));
  }

  get connections(): number {
    return this.#connections;
  }

  get handshakes(): number {
    return this.#handshakes;
  }

  /** null: counted in, with a handshake to come. `address` null: whom it is from is not known yet, see identify(). */
  enter(address: string | null, limits: FrontendLimits): Refusal | null {
    if (this.#connections >= Math.min(limits.connections, this.#mostConnections)) return 'connection_limit';
    if (this.#handshakes >= limits.unfinishedHandshakes) return 'handshake_limit';
    if (address !== null && !this.identify(address, limits)) return 'address_limit';
    this.#connections++;
    this.#handshakes++;
    return null;
  }

  /** Counts the address of a connection that is in already; false: its limit is reached, and it is not counted. */
  identify(address: string, limits: FrontendLimits): boolean {
    const key = addressKey(address);
    const present = this.#perAddress.get(key) ?? 0;
    if (present >= limits.connectionsPerAddress) return false;
    this.#perAddress.set(key, present + 1);
    return true;
  }

  handshakeOver(): void {
    this.#handshakes--;
  }

  /** `address`: as it was counted; null: it was not. */
  leave(address: string | null): void {
    this.#connections--;
    if (address === null) return;
    const key = addressKey(address);
    const present = this.#perAddress.get(key) ?? 0;
    if (present <= 1) this.#perAddress.delete(key);
    else this.#perAddress.set(key, present - 1);
  }
}

/** The soft RLIMIT_NOFILE of this process; Node raises it to the hard one at start. */
export function openFileLimit(): number {
  try {
    const found = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'));
    if (found !== null) return Number(found[1]);
  } catch {
    // no procfs: macOS
  }
  const report = process.report as typeof process.report & { excludeNetwork: boolean };
  report.excludeNetwork = true; // resolving the names of open sockets takes seconds
  const limits = (report.getReport() as { userLimits?: { open_files?: { soft?: number | string } } }).userLimits;
  const soft = Number(limits?.open_files?.soft);
  return Number.isFinite(soft) ? soft : Number.MAX_SAFE_INTEGER;
}

const FILES_PER_CONNECTION = 2; // its own, and one towards a backend
const RESERVED_FILES = 64; // log, admin and its connections, event loop, configuration files during a reload
