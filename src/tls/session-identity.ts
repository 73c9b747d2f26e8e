import { hkdfSync } from 'node:crypto';
import { type Digest, digestOf } from '../base/digest.ts';
import type { EffectivePolicy } from './ssl-policy.ts';

/**
 * Who a TLS session belongs to. A ticket resumes without a certificate or a signature, so two engines that share keys and
 * context share their clients' trust: a session of one must not open the other (reproduced: with node:tls's defaults it does).
 */
export interface SessionIdentity {
  readonly digest: Digest;
  /** At most 32 bytes: SSL_MAX_SID_CTX_LENGTH; longer throws. */
  readonly sessionIdContext: string;
  /** 48 bytes, as node:tls wants them: name, HMAC key, AES key. Secret. */
  readonly ticketKeys: Buffer;
}

/**
 * The identity of one engine: the proxy, everything the policy comes down to, and the served certificate's resource name (its
 * renewal keeps sessions alive; another certificate does not take them over).
 * `master`: at least 32 random bytes, one per process (or shared by all workers) and never stored.
 */
export function sessionIdentity(
  master: Buffer,
  proxyName: string,
  policy: EffectivePolicy,
  certificateName: string,
): SessionIdentity {
  if (master.byteLength < MASTER_BYTES) {
    throw new RangeError(
      `Cannot derive ticket keys: the master secret has ${master.byteLength} bytes, expected at least ${MASTER_BYTES}`,
    );
  }
  const { warnings: _warnings, ...terms } = policy;
  const digest = digestOf({ proxyName, terms, certificateName });
  const info = `${HKDF_LABEL} ${digest}`;
  return {
    digest,
    sessionIdContext: digest.slice(0, SESSION_ID_CONTEXT_BYTES),
    ticketKeys: Buffer.from(hkdfSync('sha256', master, '', info, TICKET_KEYS_BYTES)),
  };
}

const MASTER_BYTES = 32;
const SESSION_ID_CONTEXT_BYTES = 32; // SSL_MAX_SID_CTX_LENGTH
const TICKET_KEYS_BYTES = 48; // 16 name + 16 HMAC + 16 AES (node:tls)
const HKDF_LABEL = 'sallyport session tickets v1';
