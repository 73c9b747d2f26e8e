import type { ErrorCode } from '../base/errors.ts';

/** A client's connection that ended before its TLS handshake did; made by the frontend. */
export interface HandshakeFailure {
  readonly connectionId: string;
  readonly targetProxy: string;
  readonly forwardingRule: string;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly reason: string;
  readonly side: 'client' | 'proxy' | 'network';
  /** client_cert_* where a client certificate was the reason. */
  readonly statusDetails: ErrorCode | null;
  readonly detail: string;
  readonly sni: string | null;
  readonly ja3: string | null;
  readonly ja4: string | null;
  readonly offeredVersions: readonly string[];
  readonly offeredCiphers: readonly string[];
  readonly offeredGroups: readonly string[];
  readonly alpn: readonly string[];
  /** All that it offered, for predictions (tls/hello-offer.ts); null or absent: no hello, or one of unusual size. */
  readonly offer?: string | null;
  readonly durationMs: number;
}
