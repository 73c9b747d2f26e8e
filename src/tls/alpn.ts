import { allowsHttp2, type CipherSuite } from './cipher-suites.ts';
import type { ClientHello } from './client-hello.ts';
import type { Negotiation } from './negotiate.ts';
import type { TlsVersion } from './tls-version.ts';

/** What the proxy speaks, in its preference. */
export const ALPN_PROTOCOLS = ['h2', 'http/1.1'] as const;
export type AlpnProtocol = (typeof ALPN_PROTOCOLS)[number];

/**
 * The protocol for a list of offered ones; null: nothing in common, which RFC 7301 §3.2 makes a fatal no_application_protocol (an
 * ALPNCallback that returns undefined does that). HTTP/2 only where RFC 9113 §9.2 allows it: node:tls would take it on TLS 1.1 too.
 */
export function selectAlpn(offered: readonly string[], version: TlsVersion, suite: CipherSuite): AlpnProtocol | null {
  if (http2Allowed(version, suite) && offered.includes('h2')) return 'h2';
  return offered.includes('http/1.1') ? 'http/1.1' : null;
}

/** TLS 1.2 at least, and a suite outside RFC 9113 Appendix A. */
export function http2Allowed(version: TlsVersion, suite: CipherSuite): boolean {
  return version === 'TLSv1.3' || (version === 'TLSv1.2' && allowsHttp2(suite));
}

/** The same from hello and prediction: what an engine's ALPN list has to be for this connection. 'none': the client sent no ALPN. */
export function alpnFor(hello: ClientHello, negotiation: Negotiation): AlpnProtocol | 'none' | null {
  if (hello.alpn === null) return 'none';
  if (!negotiation.ok) return null;
  return selectAlpn(hello.alpn, negotiation.version, negotiation.suite);
}
