// hot path: `generationFor` runs for every handshake that may get a ticket.
import { hkdfSync } from 'node:crypto';
import type { SessionIdentity } from './session-identity.ts';
import type { TlsVersion } from './tls-version.ts';

export interface TicketSettings {
  /** Newest first, each at least 32 bytes; empty: the process's own random one. Secret. */
  readonly secrets: readonly Uint8Array[];
  readonly rotationSec: number;
  /** TLS 1.2 tickets under `secrets` too. */
  readonly dangerTls12: boolean;
}

/** What one engine encrypts its tickets with during one rotation period. */
export interface TicketGeneration extends SessionIdentity {
  /** 48 bytes, as node:tls wants them: name, HMAC key, AES key. Secret. */
  readonly ticketKeys: Buffer;
  /** How long a session may be resumed; OpenSSL refuses older ones. */
  readonly timeoutSec: number;
  /** The first 16 bytes of every ticket, in hex. */
  readonly id: string;
  /** Wall time from which nobody accepts these tickets any more. */
  readonly validUntilMs: number;
}

/**
 * The secrets that all ticket keys come from, and the settings they are used with; one for a process, replaced by a reload.
 * Keys are HKDF(secret, engine identity, epoch): any instance with the same secrets and configuration has the same ones at the same
 * time, without talking to the others.
 */
export class TicketKeys {
  readonly #processSecret: Uint8Array;
  #settings: TicketSettings;
  #version = 0;

  /** `processSecret`: at least 32 random bytes per process (or for all its workers), never stored. */
  constructor(processSecret: Uint8Array, settings: TicketSettings = OWN_SECRET) {
    assertSecret(processSecret);
    this.#processSecret = processSecret;
    this.#settings = settings;
  }

  /** From now on. Tickets under a secret that is gone no longer resume. */
  use(settings: TicketSettings): void {
    for (const secret of settings.secrets) assertSecret(secret);
    this.#settings = settings;
    this.#version++; // keys are derived again; the same settings give the same ones
  }

  get version(): number {
    return this.#version;
  }

  get rotationMs(): number {
    return this.#settings.rotationSec * 1000;
  }

  /** Newest first, never empty. */
  get secrets(): readonly Uint8Array[] {
    const { secrets } = this.#settings;
    return secrets.length === 0 ? [this.#processSecret] : secrets;
  }

  /**
   * Security rule 20: node:tls encrypts TLS 1.2 tickets with AES-128-CBC, and they hold the session's master secret. Whoever gets the
   * shared secret could read recorded TLS 1.2 sessions; TLS 1.3 resumption adds a key exchange of its own (RFC 8446 §2.2).
   * null: not known before the handshake, which then fails.
   */
  issuesFor(version: TlsVersion | null): boolean {
    const { secrets, dangerTls12 } = this.#settings;
    return version === 'TLSv1.3' || secrets.length === 0 || dangerTls12;
  }
}

/** The ticket keys of one engine (proxy, policy, certificate). */
export class EngineTickets {
  readonly #keys: TicketKeys;
  readonly #identity: SessionIdentity;
  #version: number;
  #epoch: number;
  /** The one that issues first, then all that are accepted. */
  #generations: readonly TicketGeneration[];

  constructor(keys: TicketKeys, identity: SessionIdentity) {
    this.#keys = keys;
    this.#identity = identity;
    this.#version = -1;
    this.#epoch = -1;
    this.#generations = [];
  }

  /**
   * The generation that the handshake has to run under: the one that the offered ticket names (`offeredKeyName`: its first 16 bytes),
   * if that is accepted, else the current one. An engine has one set of keys, so choosing it is what accepts an older ticket.
   */
  generationFor(offeredKeyName: Buffer | null, nowMs: number): TicketGeneration {
    const epoch = Math.floor(nowMs / this.#keys.rotationMs);
    if (epoch !== this.#epoch || this.#keys.version !== this.#version) this.#derive(epoch);
    const generations = this.#generations;
    if (offeredKeyName !== null) {
      for (let i = 0; i < generations.length; i++) {
        const generation = generations[i]!;
        if (offeredKeyName.compare(generation.ticketKeys, 0, KEY_NAME_BYTES, 0, KEY_NAME_BYTES) === 0)
          return generation;
      }
    }
    return generations[0]!;
  }

  /**
   * Previous, current and next epoch of each secret: a ticket of the last moment of an epoch is good for one more whole period, and
   * instances whose clocks differ by less than a period understand each other.
   */
  #derive(epoch: number): void {
    const generations: TicketGeneration[] = [];
    for (const secret of this.#keys.secrets) {
      for (const accepted of [epoch, epoch - 1, epoch + 1]) generations.push(this.#generation(secret, accepted));
    }
    this.#generations = generations;
    this.#epoch = epoch;
    this.#version = this.#keys.version;
  }

  #generation(secret: Uint8Array, epoch: number): TicketGeneration {
    const { rotationMs } = this.#keys;
    const { digest, sessionIdContext } = this.#identity;
    const info = `${HKDF_LABEL} ${digest} ${rotationMs} ${epoch}`;
    const ticketKeys = Buffer.from(hkdfSync('sha256', secret, '', info, TICKET_KEYS_BYTES));
    return {
      digest,
      sessionIdContext,
      ticketKeys,
      timeoutSec: Math.max(1, Math.floor(Math.min(LONGEST_SESSION_SEC, rotationMs / 2000))),
      id: ticketKeys.toString('hex', 0, KEY_NAME_BYTES),
      validUntilMs: (epoch + 2) * rotationMs,
    };
  }
}

function assertSecret(secret: Uint8Array): void {
  if (secret.byteLength >= SHORTEST_SECRET_BYTES) return;
  throw new RangeError(
    `Cannot derive ticket keys: the master secret has ${secret.byteLength} bytes, expected at least ${SHORTEST_SECRET_BYTES}`,
  );
}

export const DEFAULT_ROTATION_SEC = 28_800; // 8 hours: a ticket key is used for a working day and gone by the next
export const SHORTEST_SECRET_BYTES = 32; // the size of the SHA-256 that HKDF runs on (RFC 5869 §3.3)
const OWN_SECRET: TicketSettings = { secrets: [], rotationSec: DEFAULT_ROTATION_SEC, dangerTls12: false };
const LONGEST_SESSION_SEC = 3600; // security rule 20: min(3600, rotation / 2)
const KEY_NAME_BYTES = 16; // RFC 5077 §4, and OpenSSL
const TICKET_KEYS_BYTES = 48; // 16 name + 16 HMAC + 16 AES (node:tls)
const HKDF_LABEL = 'sallyport session tickets v2';
