// hot path: counted for every hello. Index loops over the hello's own lists, one number as the answer.
import { prefersChacha } from './chacha-preference.ts';
import type { ClientHello } from './client-hello.ts';

/**
 * What a client can be asked for, in one closed list (a metric's label). Versions are those of
 * supported_versions; without that extension the newest, the only one that a hello names (legacy_version, RFC 5246 §7.4.1.2): whether
 * such a client would go lower it does not say.
 */
export const HELLO_FEATURES = [
  'tls13',
  'tls12',
  'tls11',
  'tls10',
  /** In supported_groups. */
  'x25519mlkem768',
  /** It sent a key share for it: no HelloRetryRequest is needed. */
  'x25519mlkem768_keyshare',
  /** An ECDSA certificate on P-256 or P-384 can be served: signature algorithms and, before TLS 1.3, a suite. */
  'ecdsa_certificates',
  /** ChaCha20 is its first choice: usually no AES in its hardware. */
  'chacha20_first',
  /** It offers no other cipher. */
  'chacha20_only',
  'alpn_h2',
  'alpn_http11',
  /** The session_ticket extension, empty or not (RFC 5077): it would resume a session of TLS 1.2 or older. */
  'session_ticket',
  /** A pre_shared_key: it wants to resume a TLS 1.3 session. */
  'psk',
  'sni',
] as const;
export type HelloFeature = (typeof HELLO_FEATURES)[number];

/** Bit i stands for HELLO_FEATURES[i]. */
export function helloFeatures(hello: ClientHello): number {
  const tls13 = offersVersion(hello, 0x0304);
  const tls12 = offersVersion(hello, 0x0303);
  let bits = 0;
  if (tls13) bits |= TLS13;
  if (tls12) bits |= TLS12;
  if (offersVersion(hello, 0x0302)) bits |= TLS11;
  if (offersVersion(hello, 0x0301)) bits |= TLS10;
  if (hello.groups?.includes(X25519MLKEM768_CODE)) bits |= MLKEM;
  if (hello.keyShares?.includes(X25519MLKEM768_CODE)) bits |= MLKEM_KEY_SHARE;
  if (takesEcdsa(hello, tls13, tls12)) bits |= ECDSA;
  if (prefersChacha(hello)) {
    bits |= CHACHA_FIRST;
    if (offersOnlyChacha(hello)) bits |= CHACHA_ONLY;
  }
  if (hello.alpn !== null) {
    if (hello.alpn.includes('h2')) bits |= ALPN_H2;
    if (hello.alpn.includes('http/1.1')) bits |= ALPN_HTTP11;
  }
  if (hello.extensions.includes(SESSION_TICKET_TYPE)) bits |= SESSION_TICKET;
  if (hello.hasPreSharedKey) bits |= PSK;
  if (hello.serverName !== null) bits |= SNI;
  return bits;
}

function offersVersion(hello: ClientHello, code: number): boolean {
  if (hello.supportedVersions !== null) return hello.supportedVersions.includes(code);
  return code === Math.min(hello.legacyVersion, 0x0303); // RFC 8446 §4.2.1: a newer one in this field is TLS 1.2
}

function takesEcdsa(hello: ClientHello, tls13: boolean, tls12: boolean): boolean {
  const schemes = hello.signatureAlgorithms;
  const signs = schemes !== null && (schemes.includes(ECDSA_P256_SHA256) || schemes.includes(ECDSA_P384_SHA384));
  if (tls13 && signs) return true;
  // TLS 1.2 without the extension means SHA-1 (RFC 5246 §7.4.1.4.1), which no policy signs with; before it the hello has no say.
  if (tls12 && !signs) return false;
  const suites = hello.cipherSuites;
  for (let i = 0; i < suites.length; i++) if (isEcdheEcdsa(suites[i]!)) return true;
  return false;
}

// IANA "TLS Cipher Suites": TLS_ECDHE_ECDSA_WITH_… that encrypt, with AES-CBC, AES-GCM, AES-CCM or ChaCha20-Poly1305
function isEcdheEcdsa(code: number): boolean {
  if (code >= 0xc008 && code <= 0xc00a) return true;
  if (code === 0xc023 || code === 0xc024 || code === 0xc02b || code === 0xc02c) return true;
  return (code >= 0xc0ac && code <= 0xc0af) || code === 0xcca9;
}

function offersOnlyChacha(hello: ClientHello): boolean {
  const suites = hello.cipherSuites;
  for (let i = 0; i < suites.length; i++) {
    const code = suites[i]!;
    const isChacha = code === 0x1303 || (code >= 0xcca8 && code <= 0xccae);
    if (!isChacha && code !== RENEGOTIATION_SCSV && code !== FALLBACK_SCSV) return false;
  }
  return true;
}

function bitOf(feature: HelloFeature): number {
  return 1 << HELLO_FEATURES.indexOf(feature);
}

const TLS13 = bitOf('tls13');
const TLS12 = bitOf('tls12');
const TLS11 = bitOf('tls11');
const TLS10 = bitOf('tls10');
const MLKEM = bitOf('x25519mlkem768');
const MLKEM_KEY_SHARE = bitOf('x25519mlkem768_keyshare');
const ECDSA = bitOf('ecdsa_certificates');
const CHACHA_FIRST = bitOf('chacha20_first');
const CHACHA_ONLY = bitOf('chacha20_only');
const ALPN_H2 = bitOf('alpn_h2');
const ALPN_HTTP11 = bitOf('alpn_http11');
const SESSION_TICKET = bitOf('session_ticket');
const PSK = bitOf('psk');
const SNI = bitOf('sni');

const X25519MLKEM768_CODE = 0x11ec;
const ECDSA_P256_SHA256 = 0x0403;
const ECDSA_P384_SHA384 = 0x0503;
const SESSION_TICKET_TYPE = 35;
const RENEGOTIATION_SCSV = 0x00ff; // RFC 5746 §3.3
const FALLBACK_SCSV = 0x5600; // RFC 7507
