/** A cipher suite that a policy can name or that TLS 1.3 always brings. */
export interface CipherSuite {
  readonly code: number;
  /** IANA name: the feature's name in an SSL policy, and the name in logs. */
  readonly name: string;
  readonly opensslName: string;
  /** The only versions it exists for are this one and, below TLS 1.3, those after it up to 1.2. */
  readonly minVersion: 'TLSv1' | 'TLSv1.2' | 'TLSv1.3';
  /** null: TLS 1.3, where the suite says nothing of key exchange and authentication. */
  readonly keyExchange: 'ECDHE' | 'RSA' | null;
  readonly authentication: 'ECDSA' | 'RSA' | null;
  readonly encryption:
    | 'AES_128_GCM'
    | 'AES_256_GCM'
    | 'CHACHA20_POLY1305'
    | 'AES_128_CBC'
    | 'AES_256_CBC'
    | '3DES_EDE_CBC';
  /** False: no OpenSSL that Node ships can negotiate it. */
  readonly available: boolean;
}

export const TLS_AES_128_GCM_SHA256 = tls13(0x1301, 'TLS_AES_128_GCM_SHA256', 'AES_128_GCM');
export const TLS_AES_256_GCM_SHA384 = tls13(0x1302, 'TLS_AES_256_GCM_SHA384', 'AES_256_GCM');
export const TLS_CHACHA20_POLY1305_SHA256 = tls13(0x1303, 'TLS_CHACHA20_POLY1305_SHA256', 'CHACHA20_POLY1305');

/** HTTP/2 may be spoken over it: outside RFC 9113 Appendix A, that is, ephemeral key exchange and an AEAD. */
export function allowsHttp2(suite: CipherSuite): boolean {
  return suite.keyExchange !== 'RSA' && !suite.encryption.endsWith('CBC');
}

function tls13(code: number, name: string, encryption: CipherSuite['encryption']): CipherSuite {
  return {
    code,
    name,
    opensslName: name,
    minVersion: 'TLSv1.3',
    keyExchange: null,
    authentication: null,
    encryption,
    available: true,
  };
}
