import { createSecureContext } from 'node:tls';
import type { Clock } from '../base/clock.ts';
import type { LinkedBackendTls } from '../config/linked.ts';
import type { Revocation } from '../pki/revocation.ts';
import { type TrustStore, trustStore } from '../pki/trust-store.ts';
import { verifyUnauthenticated } from '../pki/unauthenticated.ts';
import { VerdictCache } from '../pki/verdict-cache.ts';
import { backendContextOptions } from '../tls/backend-context-options.ts';
import type { BackendIdentity } from './connect.ts';

/**
 * Who the proxy is towards the backends of a service and whom it accepts there: one SecureContext (a context per connection
 * would parse the PEM each time and keep it until garbage collection) and one trust store.
 */
export function createBackendIdentity(tls: LinkedBackendTls, clock: Clock): BackendIdentity {
  const { authentication } = tls;
  const secureContext = createSecureContext(
    backendContextOptions({
      minVersion: tls.minTlsVersion,
      clientCertificate: authentication?.clientCertificate ?? null,
    }),
  );
  const names = { dnsNames: tls.dnsNames, uris: tls.uris };
  const verdicts = new VerdictCache(); // the same chain comes with every full handshake
  const store = authentication === null ? null : storeOf(authentication);
  let revocation: Revocation | null = authentication?.trustConfig?.revocation ?? null;
  return {
    digest: tls.digest,
    servername: tls.sni,
    secureContext,
    reportOnly: authentication?.enforcement === 'REPORT_ONLY',
    judge: (chain) =>
      store === null
        ? verifyUnauthenticated({ chain, names })
        : verdicts.verify({ chain, store, purpose: 'server', names, atMs: clock.wallMs(), revocation }),
    get crls() {
      return revocation?.digest ?? '';
    },
    useRevocation(next) {
      if (next?.digest === revocation?.digest) return false;
      revocation = next;
      return true;
    },
  };
}

/** Without any anchor it is a store that only the allowlist gets past: authentication never means "accept all" (spec 10.13). */
function storeOf({ name, trustConfig, publicRoots }: NonNullable<LinkedBackendTls['authentication']>): TrustStore {
  return trustStore({
    name: trustConfig?.name ?? name,
    anchors: trustConfig?.anchors ?? [],
    intermediates: trustConfig?.intermediates ?? [],
    allowlist: trustConfig?.allowlist ?? [],
    publicRoots,
  });
}
