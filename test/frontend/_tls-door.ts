import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { Admission } from '#src/frontend/admission.ts';
import type { FrontendLimits, FrontendProxy, TlsTermination } from '#src/frontend/contract.ts';
import type { FrontendTimeouts } from '#src/frontend/timeouts.ts';
import { issue } from '#src/pki/issue/issue.ts';
import type { CertificateEntry } from '#src/tls/certificate-entry.ts';
import { contextOptions } from '#src/tls/context-options.ts';
import type { ServedCertificates } from '#src/tls/served-certificates.ts';
import { sessionIdentity } from '#src/tls/session-identity.ts';
import { effectivePolicy, type SslPolicy } from '#src/tls/ssl-policy.ts';
import { EngineTickets, TicketKeys } from '#src/tls/ticket-keys.ts';
import { type Door, startDoor } from './_door.ts';
import { httpTraffic, Recorder, stubProxy } from './_recorder.ts';

/** A listener for HTTPS; its clients speak TLS and do not verify. */
export type TlsDoor = Door<ConnectionOptions, TLSSocket>;

export interface TlsDoorOptions {
  readonly policy?: SslPolicy | null;
  readonly certificates?: ServedCertificates;
  readonly timeouts?: Partial<FrontendTimeouts>;
  readonly limits?: Partial<FrontendLimits>;
  readonly keepAliveTimeoutMs?: number;
  readonly fileLimit?: number;
}

export async function startTlsDoor(options: TlsDoorOptions = {}): Promise<TlsDoor> {
  const recorder = new Recorder();
  return startDoor({
    recorder,
    proxy: tlsProxy(recorder, options, options.certificates ?? [await localhostCertificate()]),
    timeouts: options.timeouts ?? {},
    ...(options.fileLimit === undefined ? {} : { admission: new Admission(options.fileLimit) }),
    connect: (port, extra: ConnectionOptions = {}) =>
      connectTls({ port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false, ...extra }),
  });
}

/** The same proxy with another TLS side. */
export function withTls(proxy: FrontendProxy, changes: Partial<TlsTermination>): FrontendProxy {
  return { ...proxy, tls: { ...proxy.tls!, ...changes } };
}

export function tlsProxy(recorder: Recorder, options: TlsDoorOptions, certificates: ServedCertificates): FrontendProxy {
  const policy = effectivePolicy(options.policy ?? null, Date.now());
  const keys = new TicketKeys(Buffer.alloc(32, 7));
  return stubProxy(recorder, {
    traffic: httpTraffic(recorder, options.keepAliveTimeoutMs),
    limits: options.limits ?? {},
    tls: {
      sslPolicyName: null,
      policy,
      shadowPolicies: [],
      certificates,
      clientAuthentication: null,
      ticketGeneration: ({ name }, _version, offeredKeyName) => {
        const identity = sessionIdentity('test-proxy', policy, name);
        return new EngineTickets(keys, identity).generationFor(offeredKeyName, Date.now());
      },
      engineOptions: (certificate, tickets) => contextOptions(policy, certificate, tickets),
    },
  });
}

export async function certificateEntry(
  name: string,
  hostNames: readonly string[],
  keyType: 'p256' | 'rsa-2048' = 'p256',
): Promise<CertificateEntry> {
  const issued = await issue({ subject: `CN=${hostNames[0]}`, dnsNames: hostNames, keyType });
  return {
    name,
    keyType: keyType === 'p256' ? 'P-256' : 'RSA',
    keyBits: keyType === 'p256' ? 256 : 2048,
    hostNames,
    notBeforeMs: Date.now() - 1000,
    notAfterMs: Date.now() + 86_400_000,
    certificatePem: issued.certificatePem,
    privateKeyPem: issued.privateKeyPem,
  };
}

let localhost: Promise<CertificateEntry> | null = null;

export function localhostCertificate(): Promise<CertificateEntry> {
  localhost ??= certificateEntry('localhost-ecdsa', ['localhost']);
  return localhost;
}
