// hot path: reads the first bytes of every plaintext connection.

/**
 * What the first bytes of a plaintext connection are: the preface of HTTP/2 with prior knowledge (RFC 9113 section 3.4), a TLS
 * record, or anything else, which is for an HTTP/1 parser to judge. `need-more`: they are the beginning of the preface.
 */
export type PlainProtocol = 'need-more' | 'http2' | 'http1' | 'tls';

export function plainProtocol(bytes: Uint8Array): PlainProtocol {
  if (bytes.length > 0 && bytes[0] === TLS_HANDSHAKE) return 'tls';
  const known = Math.min(bytes.length, PREFACE.length);
  for (let i = 0; i < known; i++) if (bytes[i] !== PREFACE[i]) return 'http1';
  return known === PREFACE.length ? 'http2' : 'need-more';
}

const TLS_HANDSHAKE = 0x16; // RFC 8446 section 5.1; no HTTP method begins with it
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
