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
}

/**
 * The identity of one engine: the proxy, everything the policy comes down to, and the served certificate's resource name (its
 * renewal keeps sessions alive; another certificate does not take them over). The same in every process with the same configuration.
 */
export function sessionIdentity(proxyName: string, policy: EffectivePolicy, certificateName: string): SessionIdentity {
  const { warnings: _warnings, ...terms } = policy;
  const digest = digestOf({ proxyName, terms, certificateName });
  return { digest, sessionIdContext: digest.slice(0, SESSION_ID_CONTEXT_BYTES) };
}

const SESSION_ID_CONTEXT_BYTES = 32; // SSL_MAX_SID_CTX_LENGTH
