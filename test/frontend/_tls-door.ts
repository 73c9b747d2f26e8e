import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { Admission } from '#src/frontend/admission.ts';
import type { FrontendLimits, FrontendProxy, TlsTermination } from '#src/frontend/contract.ts';
import { Listener } from '#src/frontend/listener.ts';
import type { FrontendTimeouts } from '#src/frontend/timeouts.ts';
import { issue } from '#src/pki/issue/issue.ts';
import type { CertificateEntry } from '#src/tls/certificate-entry.ts';
import { contextOptions } from '#src/tls/context-options.ts';
import type { ServedCertificates } from '#src/tls/served-certificates.ts';
import { sessionIdentity } from '#src/tls/session-identity.ts';
import { effectivePolicy, type SslPolicy } from '#src/tls/ssl-policy.ts';
import { EngineTickets, TicketKeys } from '#src/tls/ticket-keys.ts';
import { httpTraffic, Recorder, stubProxy } from './_recorder.ts';

export interface TlsDoor {
  readonly recorder: Recorder;
  readonly listener: Listener;
  readonly port: number;
  /** What the next connection gets. */
  proxy: FrontendProxy;
  /** A TLS client whose errors are kept instead of thrown; it does not verify. */
  readonly connect: (options?: ConnectionOptions) => TLSSocket;
  /** Fails (by never resolving) when a socket is left. */
  readonly close: () => Promise<void>;
}

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
  const proxy = tlsProxy(recorder, options, options.certificates ?? [await localhostCertificate()]);
  const listener = new Listener({
    address: '127.0.0.1',
    port: 0,
    forwardingRule: () => 'test-rule',
    current: () => door.proxy,
    events: recorder,
    timeouts: { checkIntervalMs: 20, ...options.timeouts },
    ...(options.fileLimit === undefined ? {} : { admission: new Admission(options.fileLimit) }),
  });
  await listener.listen();
  const clients: TLSSocket[] = [];
  const door: TlsDoor = {
    recorder,
    listener,
    port: listener.port,
    proxy,
    connect(extra = {}) {
      const socket = connectTls({
        port: listener.port,
        host: '127.0.0.1',
        servername: 'localhost',
        rejectUnauthorized: false,
        ...extra,
      });
      socket.on('error', () => {});
      clients.push(socket);
      return socket;
    },
    async close() {
      for (const client of clients) client.destroy();
      await recorder.until(() => listener.connections === 0);
      await listener.closeNow();
    },
  };
  return door;
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
