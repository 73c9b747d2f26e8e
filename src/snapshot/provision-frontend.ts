import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { LinkedConfiguration, LinkedProxy, LinkedTlsProxy } from '../config/linked.ts';
import { clientAuthentication } from '../frontend/client-auth.ts';
import type { FrontendProxy, TlsTermination } from '../frontend/contract.ts';
import type { CertificateEntry } from '../tls/certificate-entry.ts';
import { contextOptions } from '../tls/context-options.ts';
import { allCertificates, servedCertificates } from '../tls/served-certificates.ts';
import { sessionIdentity } from '../tls/session-identity.ts';
import { effectivePolicy } from '../tls/ssl-policy.ts';
import { EngineTickets, type TicketGeneration } from '../tls/ticket-keys.ts';
import type { RouteSlot } from './route-slot.ts';
import type { SnapshotParts } from './snapshot-parts.ts';
import { StreamSlot } from './stream-slot.ts';

/** A target proxy as the frontend wants it: policy, certificates, limits, and where exchanges or streams go. */
export function provisionFrontend(
  linked: LinkedProxy,
  { settings, geoip }: Pick<LinkedConfiguration, 'settings' | 'geoip'>,
  routes: RouteSlot | StreamSlot,
  parts: SnapshotParts,
  webSockets: boolean,
): FrontendProxy {
  return {
    name: linked.name,
    tls: 'certificates' in linked ? terminationOf(linked, parts) : null,
    limits: settings.limits,
    placeOf: geoip === null ? null : geoip.placeOf,
    traffic: trafficOf(linked, routes, webSockets),
  };
}

function trafficOf(linked: LinkedProxy, routes: RouteSlot | StreamSlot, webSockets: boolean): FrontendProxy['traffic'] {
  if (routes instanceof StreamSlot) return { kind: 'stream', onStream: routes.onStream };
  const keepAliveTimeoutMs = 'httpKeepAliveTimeoutSec' in linked ? linked.httpKeepAliveTimeoutSec * 1000 : 0;
  return { kind: 'http', keepAliveTimeoutMs, webSockets, onExchange: routes.onExchange };
}

function terminationOf(linked: LinkedTlsProxy, parts: SnapshotParts): TlsTermination {
  const policy = effectivePolicy(linked.sslPolicy, parts.clock.wallMs());
  const certificates = servedCertificates(linked);
  const engineOptions = (certificate: CertificateEntry, tickets: TicketGeneration | null) =>
    contextOptions(policy, certificate, tickets);
  const clients = linked.serverTlsPolicy === null ? null : clientAuthentication(linked.serverTlsPolicy);
  const collection = linked.certificateMap === null ? 'sslCertificates' : 'certificates';
  for (const certificate of allCertificates(certificates)) {
    const options = engineOptions(certificate, null);
    assertUsable(
      `${linked.kind}/${linked.name}`,
      `${collection}/${certificate.name}`,
      clients?.engineOptions(options) ?? options,
    );
  }
  const { clock, ticketKeys } = parts;
  const engineTickets = new Map<string, EngineTickets>();
  return {
    sslPolicyName: linked.sslPolicy?.name ?? null,
    policy,
    shadowPolicies: linked.shadowSslPolicies.map((shadow) => effectivePolicy(shadow, parts.clock.wallMs())),
    certificates,
    ticketGeneration(certificate, version, offeredKeyName) {
      if (clients !== null || !ticketKeys.issuesFor(version)) return null; // security rule 19
      let tickets = engineTickets.get(certificate.name);
      if (tickets === undefined) {
        const identity = sessionIdentity(sessionOwner(linked), policy, `${collection}/${certificate.name}`);
        tickets = new EngineTickets(ticketKeys, identity);
        engineTickets.set(certificate.name, tickets);
      }
      return tickets.generationFor(offeredKeyName, clock.wallMs());
    },
    engineOptions,
    clientAuthentication: clients,
  };
}

/** Proxies of two kinds may have one name, and must not resume each other's sessions. */
function sessionOwner({ kind, name }: LinkedTlsProxy): string {
  return kind === 'targetHttpsProxies' ? name : `${kind}/${name}`;
}

/** Engines are made at first use; what OpenSSL does not take must be known before (`check` comes through here as well). */
function assertUsable(proxy: string, label: string, options: SecureContextOptions): void {
  try {
    createSecureContext(options);
  } catch (error) {
    const found = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    throw new Error(
      `Cannot serve ${label} under ${proxy}: OpenSSL refuses it (${found}); check key, chain and SSL policy`,
      { cause: error },
    );
  }
}
