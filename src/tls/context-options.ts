import { constants } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import type { CertificateEntry } from './certificate-entry.ts';
import type { EffectivePolicy } from './ssl-policy.ts';
import type { TicketGeneration } from './ticket-keys.ts';

/**
 * Policy and certificate as options of a TLS engine's base context: a policy works only there (SNICallback applies nothing
 * but certificate, key and chain). Give them to `tls.createServer` or `tls.createSecureContext`; ALPN is the engine's own.
 * `session` null: the engine issues no tickets.
 */
export function contextOptions(
  policy: EffectivePolicy,
  certificate: CertificateEntry,
  session: TicketGeneration | null,
): SecureContextOptions {
  return {
    cert: certificate.certificatePem,
    key: certificate.privateKeyPem,
    ca: [], // undefined would load the whole root store
    minVersion: policy.minVersion,
    maxVersion: policy.maxVersion,
    ciphers: cipherList(policy),
    sigalgs: policy.signatureSchemes.map((scheme) => scheme.name).join(':'),
    ecdhCurve: groupList(policy),
    honorCipherOrder: true,
    secureOptions: secureOptions(session),
    ...(session === null
      ? {}
      : {
          sessionIdContext: session.sessionIdContext,
          ticketKeys: session.ticketKeys,
          sessionTimeout: session.timeoutSec,
        }),
  };
}

/** OpenSSL's default security level refuses the SHA-1 that TLS 1.0 and 1.1 are made of, so only engines that allow them lower it. */
function cipherList(policy: EffectivePolicy): string {
  const names = [...policy.tls13Suites, ...policy.suites].map((suite) => suite.opensslName);
  if (policy.minVersion === 'TLSv1' || policy.minVersion === 'TLSv1.1') names.push('@SECLEVEL=0');
  return names.join(':');
}

/**
 * `/` ends a tuple: within one OpenSSL 3.5 takes a group that a key share came for, between them it rather asks for another share.
 * So a client that can do X25519MLKEM768 but sent only X25519 is asked for the stronger one; the rest costs nobody a round trip.
 */
function groupList(policy: EffectivePolicy): string {
  const [first, ...rest] = policy.groups;
  const others = rest.map((group) => group.opensslName).join(':');
  return first?.tls13Only
    ? `${first.opensslName}/${others}`
    : policy.groups.map((group) => group.opensslName).join(':');
}

function secureOptions(session: TicketGeneration | null): number {
  const always = constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_PRIORITIZE_CHACHA;
  return session === null ? always | constants.SSL_OP_NO_TICKET : always;
}
