import { isIP } from 'node:net';
import { type BackendIdentity, CONNECT_TIMEOUT_MS, connect } from '../backend/connect.ts';
import type { Endpoint } from '../backend/contract.ts';
import { prohibition } from '../backend/destination-rules.ts';
import { FAMILIES } from '../backend/endpoint-set.ts';
import { noBackendEvents } from '../backend/events.ts';
import { createBackendIdentity } from '../backend/identity.ts';
import { nameLookup } from '../backend/name-lookup.ts';
import { nameTerms } from '../backend/name-terms.ts';
import { alpnOf } from '../backend/pooled-endpoint.ts';
import { SessionStore } from '../backend/session-store.ts';
import { connectError } from '../backend/translate-error.ts';
import type { Clock } from '../base/clock.ts';
import { CODES } from '../base/error-codes.ts';
import type { ErrorCode } from '../base/errors.ts';
import { hostPort } from '../base/host-port.ts';
import type {
  LinkedBackendService,
  LinkedBackendTls,
  LinkedConfiguration,
  LinkedRevocation,
} from '../config/linked.ts';
import { type TrustStore, trustStore } from '../pki/trust-store.ts';
import type { Verdict } from '../pki/verdict.ts';
import { verify } from '../pki/verify.ts';
import { type ExplainedCertificate, explainChain } from './chain.ts';

export interface BackendExplanation {
  /** The proxy would send requests there (and, where it was dialled, the backend did not turn it away either). */
  readonly ok: boolean;
  readonly service: string;
  /** A file's path, or 'host:port' as dialled. */
  readonly source: string;
  readonly expects: Expectation;
  readonly presented: readonly ExplainedCertificate[];
  /** null: no certificate was judged, `failure` says why. */
  readonly verdict: Verdict | null;
  /** What the public roots (Mozilla's, bundled with the runtime) would say to the same chain; null: no DNS name is expected, so they are never asked. */
  readonly publicRoots: { readonly ok: boolean; readonly reason: string } | null;
  /** Where it was dialled. */
  readonly connection: { readonly protocol: string; readonly cipher: string } | null;
  readonly failure: { readonly statusDetails: string; readonly detail: string } | null;
}

export interface Expectation {
  readonly protocol: LinkedBackendService['protocol'];
  readonly sni: string | null;
  readonly dnsNames: readonly string[];
  readonly uris: readonly string[];
  /** false: no authentication is configured, any certificate will do. */
  readonly isAuthenticated: boolean;
  readonly trustConfig: string | null;
  readonly anchors: number;
  readonly intermediates: number;
  readonly allowlisted: number;
  readonly publicRoots: boolean;
  /** null: certificates are not checked against CRLs. */
  readonly revocation: { readonly mode: string; readonly crls: readonly ExplainedCrl[] } | null;
  /** The client certificate that is shown. */
  readonly clientCertificate: string | null;
}

export interface ExplainedCrl {
  readonly issuer: string;
  readonly number: string;
  readonly entries: number;
  readonly nextUpdateMs: number;
}

/** Judges a chain (DER, leaf first) as the proxy would if a backend of this service sent it. */
export function explainBackendChain(
  service: LinkedBackendService & { readonly tls: LinkedBackendTls },
  chain: readonly Uint8Array[],
  source: string,
  clock: Clock,
): BackendExplanation {
  const verdict = createBackendIdentity(service.tls, clock).judge(chain);
  return explanationOf(service, source, chain, verdict, clock.wallMs(), NOTHING_DIALLED);
}

/**
 * What each address of an endpoint shows: of one by name, all that the proxy would look up and be permitted, and why it uses none of the
 * others. `isAllowed`: the name may lead anywhere, as the person who asks has written it. Never rejects.
 */
export async function explainBackendEndpoint(
  service: LinkedBackendService,
  { host, port }: { readonly host: string; readonly port: number },
  configuration: LinkedConfiguration,
  clock: Clock,
  isAllowed = false,
): Promise<readonly BackendExplanation[]> {
  if (isIP(host) !== 0)
    return [await explainAddress(service, { name: hostPort(host, port), address: host, port }, clock)];
  const terms = nameTerms(configuration);
  const permissions = isAllowed ? { allowedNames: [host], ownDoors: [] } : terms;
  const failed = (code: ErrorCode, detail: string) => {
    const dialled: Dialled = { connection: null, failure: { statusDetails: CODES[code].statusDetails, detail } };
    return explanationOf(service, hostPort(host, port), [], null, clock.wallMs(), dialled);
  };
  let addresses: readonly string[];
  try {
    ({ addresses } = await nameLookup(terms).lookUp(host, FAMILIES[service.ipAddressSelectionPolicy]));
  } catch (error) {
    return [failed('backend_dns_failed', `${host}: ${(error as NodeJS.ErrnoException).code ?? ''}`)];
  }
  const explanations: BackendExplanation[] = [];
  for (const address of addresses) {
    const reason = prohibition(host, address, port, permissions);
    const endpoint: Endpoint = { name: hostPort(address, port), address, port, host };
    explanations.push(
      reason === null
        ? await explainAddress(service, endpoint, clock)
        : failed('backend_address_prohibited', `${host} leads to ${address}: ${reason}`),
    );
  }
  return explanations;
}

/** Dials an address exactly as the proxy does, sends no request, and explains what it showed. Never rejects. */
function explainAddress(service: LinkedBackendService, endpoint: Endpoint, clock: Clock): Promise<BackendExplanation> {
  const seen: { chain: readonly Uint8Array[]; verdict: Verdict | null } = { chain: [], verdict: null };
  const { promise, resolve } = Promise.withResolvers<BackendExplanation>();
  const explain = (dialled: Dialled) =>
    resolve(explanationOf(service, endpoint.name, seen.chain, seen.verdict, clock.wallMs(), dialled));
  const terms = {
    service: service.name,
    identity: service.tls === null ? null : witnessed(createBackendIdentity(service.tls, clock), seen),
    alpn: alpnOf(service.protocol),
    timeoutMs: CONNECT_TIMEOUT_MS,
    clock,
    sessions: new SessionStore(clock),
    events: noBackendEvents,
  } as const;
  connect(terms, endpoint, (error, accepted) => {
    if (accepted === null) {
      const { spec, detail } = error!;
      explain({ connection: null, failure: { statusDetails: spec.statusDetails, detail } });
      return;
    }
    const { socket, fresh } = accepted;
    // In TLS 1.3 a backend says no to our certificate only after its handshake is over for us.
    const timer = setTimeout(() => socket.destroy(), LATE_ALERT_MS);
    socket.resume();
    socket.once('close', () => {
      clearTimeout(timer);
      const { tls } = fresh;
      const connection = tls === null ? null : { protocol: tls.protocol, cipher: tls.cipher };
      if (accepted.failure === null) {
        explain({ connection, failure: null });
        return;
      }
      const { spec, detail } = connectError(accepted.failure, 'tls', endpoint.name);
      explain({ connection, failure: { statusDetails: spec.statusDetails, detail } });
    });
  });
  return promise;
}

interface Dialled {
  readonly connection: BackendExplanation['connection'];
  readonly failure: BackendExplanation['failure'];
}

/** The same identity, whose judgement is kept. */
function witnessed(
  identity: BackendIdentity,
  seen: { chain: readonly Uint8Array[]; verdict: Verdict | null },
): BackendIdentity {
  return {
    ...identity,
    judge(chain) {
      const verdict = identity.judge(chain);
      seen.chain = chain;
      seen.verdict = verdict;
      return verdict;
    },
  };
}

function explanationOf(
  service: LinkedBackendService,
  source: string,
  chain: readonly Uint8Array[],
  verdict: Verdict | null,
  atMs: number,
  { connection, failure }: Dialled,
): BackendExplanation {
  const { tls } = service;
  const names = { dnsNames: tls?.dnsNames ?? [], uris: tls?.uris ?? [] };
  const authentication = tls?.authentication ?? null;
  const trust = authentication?.trustConfig ?? null;
  const isTrusted = tls === null ? connection !== null || failure === null : verdict?.ok === true;
  return {
    ok: isTrusted && failure === null,
    service: service.name,
    source,
    expects: {
      protocol: service.protocol,
      sni: tls?.sni ?? null,
      ...names,
      isAuthenticated: authentication !== null,
      trustConfig: trust?.name ?? null,
      anchors: trust?.anchors.length ?? 0,
      intermediates: trust?.intermediates.length ?? 0,
      allowlisted: trust?.allowlist.length ?? 0,
      publicRoots: authentication?.publicRoots ?? false,
      revocation: explainRevocation(trust?.revocation ?? null),
      clientCertificate: authentication?.clientCertificate?.name ?? null,
    },
    presented: explainChain(chain, tls === null ? null : storeOf(tls), names, atMs),
    verdict,
    publicRoots: publicRootsOpinion(chain, names.dnsNames, atMs),
    connection,
    failure,
  };
}

function explainRevocation(revocation: LinkedRevocation | null): Expectation['revocation'] {
  if (revocation === null) return null;
  const crls = revocation.crls.map(({ issuer, number, count, nextUpdateMs }) => {
    return { issuer: issuer.text, number: String(number), entries: count, nextUpdateMs };
  });
  return { mode: revocation.mode, crls };
}

function storeOf({ authentication }: LinkedBackendTls): TrustStore | null {
  if (authentication === null) return null;
  const { name, trustConfig } = authentication;
  return trustStore({
    name: trustConfig?.name ?? name,
    anchors: trustConfig?.anchors ?? [],
    intermediates: trustConfig?.intermediates ?? [],
    allowlist: [],
    publicRoots: false,
  });
}

function publicRootsOpinion(
  chain: readonly Uint8Array[],
  dnsNames: readonly string[],
  atMs: number,
): BackendExplanation['publicRoots'] {
  if (dnsNames.length === 0 || chain.length === 0) return null;
  const store = trustStore({ name: 'public roots', anchors: [], intermediates: [], allowlist: [], publicRoots: true });
  const verdict = verify({ chain, store, purpose: 'server', names: { dnsNames, uris: [] }, atMs });
  if (verdict.ok) return { ok: true, reason: `trusted through '${verdict.path.at(-1)?.subject ?? ''}'` };
  const place = verdict.subject === '' ? `depth ${verdict.depth}` : `'${verdict.subject}', depth ${verdict.depth}`;
  return { ok: false, reason: `refused by rule ${verdict.rule} at ${place}` };
}

const NOTHING_DIALLED: Dialled = { connection: null, failure: null };
const LATE_ALERT_MS = 500; // a backend's alert takes a round trip; on a path longer than that it is missed
