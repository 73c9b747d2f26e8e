import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { LinkedCertificate, LinkedHttpsProxy, SallyportSettings } from '../config/linked.ts';
import type { FrontendProxy } from '../frontend/contract.ts';
import type { CertificateEntry } from '../tls/certificate-entry.ts';
import { contextOptions } from '../tls/context-options.ts';
import { sessionIdentity } from '../tls/session-identity.ts';
import { effectivePolicy } from '../tls/ssl-policy.ts';
import type { RouteSlot } from './route-slot.ts';
import type { SnapshotParts } from './snapshot-parts.ts';

/** A target proxy as the frontend wants it: policy, certificates, limits, and where exchanges go. */
export function provisionFrontend(
  linked: LinkedHttpsProxy,
  settings: SallyportSettings,
  routes: RouteSlot,
  parts: SnapshotParts,
): FrontendProxy {
  const policy = effectivePolicy(linked.sslPolicy, parts.clock.wallMs());
  const certificates = linked.certificates.map(certificateEntry);
  const engineOptions = (certificate: CertificateEntry) =>
    contextOptions(policy, certificate, sessionIdentity(parts.ticketMaster, linked.name, policy, certificate.name));
  for (const certificate of certificates) assertUsable(linked.name, certificate, engineOptions(certificate));
  return {
    name: linked.name,
    sslPolicyName: linked.sslPolicy?.name ?? null,
    policy,
    keepAliveTimeoutMs: linked.httpKeepAliveTimeoutSec * 1000,
    limits: settings.limits,
    certificates,
    engineOptions,
    onExchange: routes.onExchange,
  };
}

/** Engines are made at first use; what OpenSSL does not take must be known before (`check` comes through here as well). */
function assertUsable(proxy: string, certificate: CertificateEntry, options: SecureContextOptions): void {
  try {
    createSecureContext(options);
  } catch (error) {
    const found = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    throw new Error(
      `Cannot serve sslCertificates/${certificate.name} under targetHttpsProxies/${proxy}: OpenSSL refuses it (${found}); check key, chain and SSL policy`,
      { cause: error },
    );
  }
}

function certificateEntry(linked: LinkedCertificate): CertificateEntry {
  const { name, keyType, keyBits, hostNames, notBeforeMs, notAfterMs, certificatePem, privateKeyPem } = linked;
  return { name, keyType, keyBits, hostNames, notBeforeMs, notAfterMs, certificatePem, privateKeyPem };
}
