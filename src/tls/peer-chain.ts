import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';

/**
 * The certificates exactly as the peer sent them, DER, leaf first; empty when it sent none or the session was resumed.
 * `getPeerCertificate(true)` would re-link them and leave out what does not fit: the verifier must see what was sent.
 */
export function peerChain(socket: TLSSocket): readonly Buffer[] {
  const chain: Buffer[] = [];
  let certificate: X509Certificate | undefined = socket.getPeerX509Certificate();
  while (certificate !== undefined && chain.length <= MAX_CERTIFICATES) {
    chain.push(certificate.raw);
    certificate = certificate.issuerCertificate;
  }
  return chain;
}

/** One more than the verifier takes (spec 10.7) is enough for it to say so; OpenSSL lets about 100 kB of certificates through. */
const MAX_CERTIFICATES = 10;
