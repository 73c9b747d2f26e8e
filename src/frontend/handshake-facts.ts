import type { CipherNameAndProtocol, TLSSocket } from 'node:tls';
import type { ClientCertificateFacts } from '../http/client-certificate.ts';
import type { TlsFacts } from '../http/exchange.ts';
import type { CertificateEntry } from '../tls/certificate-entry.ts';
import { cipherSuiteHex } from '../tls/cipher-suite-names.ts';
import type { ClientHello } from '../tls/client-hello.ts';
import { fingerprints } from '../tls/fingerprints.ts';
import { helloOffer } from '../tls/hello-offer.ts';
import type { Negotiation } from '../tls/negotiate.ts';

/**
 * What TLS agreed on, read off the socket when the handshake is over (a closed socket would not tell any more). The
 * fingerprints are hashed when somebody asks, and the hello is let go then.
 */
export class HandshakeFacts implements TlsFacts {
  readonly protocol: string;
  readonly cipher: string;
  readonly cipherCode: string;
  readonly group: string | null;
  readonly sni: string | null;
  readonly alpn: string | null;
  readonly resumed: boolean;
  readonly certificate: string;
  readonly sslPolicy: string | null;
  clientCertificate: ClientCertificateFacts | null;
  servedNames: readonly string[] | null;
  #hello: ClientHello | null;
  #ja3: string;
  #ja4: string;

  constructor(
    socket: TLSSocket,
    hello: ClientHello,
    negotiation: Negotiation,
    certificate: CertificateEntry,
    sslPolicy: string | null,
  ) {
    const cipher = socket.getCipher() as CipherNameAndProtocol | null;
    // the version of a suite is the first that has it, and TLS 1.3 shares none with those before: one call less into OpenSSL
    const protocol = cipher?.version === 'TLSv1.3' ? cipher.version : (socket.getProtocol() ?? '');
    const isAsPredicted =
      negotiation.ok && negotiation.version === protocol && negotiation.suite.name === cipher?.standardName;
    this.resumed = socket.isSessionReused();
    // where they are the same, our own texts: whoever looks something up by them finds their hashes made
    this.protocol = isAsPredicted ? negotiation.version : protocol;
    this.cipher = isAsPredicted ? negotiation.suite.name : (cipher?.standardName ?? '');
    this.cipherCode = cipherSuiteHex(this.cipher);
    this.group = isAsPredicted && !this.resumed ? (negotiation.group?.name ?? null) : null;
    this.sni = hello.serverName;
    this.alpn = socket.alpnProtocol === false || socket.alpnProtocol === null ? null : socket.alpnProtocol;
    this.certificate = certificate.name;
    this.sslPolicy = sslPolicy;
    this.clientCertificate = null;
    this.servedNames = null;
    this.#hello = hello;
    this.#ja3 = '';
    this.#ja4 = '';
  }

  /** Also when a reload brings another verdict. */
  authenticated(client: ClientCertificateFacts, servedNames: readonly string[] | null): void {
    this.clientCertificate = client;
    this.servedNames = servedNames;
  }

  get offer(): string | null {
    return this.#hello === null ? null : helloOffer(this.#hello);
  }

  get ja3(): string {
    this.#fingerprint();
    return this.#ja3;
  }

  get ja4(): string {
    this.#fingerprint();
    return this.#ja4;
  }

  #fingerprint(): void {
    if (this.#hello === null) return;
    const { ja3, ja4 } = fingerprints(this.#hello);
    this.#ja3 = ja3;
    this.#ja4 = ja4;
    this.#hello = null;
  }
}
