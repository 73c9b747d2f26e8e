// hot path: look-ups alone; tokens are made when keys or endpoints change.
import { createHmac, hkdfSync } from 'node:crypto';
import type { Endpoint } from '../contract.ts';

/** Where the keys of affinity cookies come from: those of session tickets (tls/ticket-keys.ts), so that all instances and workers agree. */
export interface AffinitySecrets {
  /** Newest first, never empty. */
  readonly secrets: readonly Uint8Array[];
  /** Another number whenever the secrets may be others. */
  readonly version: number;
}

/**
 * What stands for an endpoint in a cookie: HMAC(key, service and endpoint), which tells a client neither an address nor how many there are. A
 * token counts only while its endpoint is one of the current ones: it is looked up among theirs, so a forged or an old one is
 * nothing (security rule 37).
 */
export class AffinityTokens<C extends Endpoint> {
  readonly #secrets: AffinitySecrets;
  readonly #service: string;
  #endpoints: readonly C[];
  #version = -1;
  readonly #endpointOf = new Map<string, C>();
  readonly #tokenOf = new Map<string, string>();

  constructor(secrets: AffinitySecrets, service: string, endpoints: readonly C[]) {
    this.#secrets = secrets;
    this.#service = service;
    this.#endpoints = endpoints;
  }

  useEndpoints(endpoints: readonly C[]): void {
    this.#endpoints = endpoints;
    this.#version = -1;
  }

  /** null: a token of no current endpoint. */
  endpointOf(token: string): C | null {
    if (this.#version !== this.#secrets.version) this.#derive();
    return this.#endpointOf.get(token) ?? null;
  }

  tokenOf(endpoint: Endpoint): string {
    if (this.#version !== this.#secrets.version) this.#derive();
    return this.#tokenOf.get(endpoint.name) ?? '';
  }

  /** Under every secret, so that a new one does not end the affinity of those who hold cookies of the last. */
  #derive(): void {
    this.#endpointOf.clear();
    this.#tokenOf.clear();
    for (const secret of this.#secrets.secrets) {
      const key = Buffer.from(hkdfSync('sha256', secret, '', HKDF_LABEL, KEY_BYTES));
      for (const endpoint of this.#endpoints) {
        const mac = createHmac('sha256', key).update(`${this.#service}\0${endpoint.name}`).digest();
        const token = mac.toString('base64url', 0, TOKEN_BYTES);
        this.#endpointOf.set(token, endpoint);
        if (!this.#tokenOf.has(endpoint.name)) this.#tokenOf.set(endpoint.name, token);
      }
    }
    this.#version = this.#secrets.version;
  }
}

const KEY_BYTES = 32;
const TOKEN_BYTES = 16; // 128 bits: nobody finds one by trying
export const TOKEN_LENGTH = 22; // 16 bytes in base64url without padding
const HKDF_LABEL = 'sallyport affinity cookies v1';
