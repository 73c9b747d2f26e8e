// hot path: runs for every hello.
import type { ClientHello } from './client-hello.ts';

/**
 * SSL_OP_PRIORITIZE_CHACHA: a client that puts ChaCha20 first (no AES in its hardware) gets it, whatever the server prefers. OpenSSL
 * looks at the first suite that it knows, so what it does not know (GREASE, signalling values, 3DES, drafts) is skipped here as well.
 */
export function prefersChacha(hello: ClientHello): boolean {
  for (let i = 0; i < hello.cipherSuites.length; i++) {
    const code = hello.cipherSuites[i]!;
    if (code === 0x1303 || (code >= 0xcca8 && code <= 0xccae)) return true;
    if (isKnownToOpenssl(code)) return false;
  }
  return false;
}

/** Of the suites without ChaCha20. */
function isKnownToOpenssl(code: number): boolean {
  for (let i = 0; i < KNOWN.length; i += 2) {
    if (code < KNOWN[i]!) return false;
    if (code <= KNOWN[i + 1]!) return true;
  }
  return false;
}

// First and last codes of the runs that Node 26's OpenSSL 3.5 knows, compiled-in but disabled ones included; found by asking it
// (test/tls/chacha-preference.test.ts).
// biome-ignore format: pairs
const KNOWN: readonly number[] = [
  0x0001, 0x0002, 0x0007, 0x0007, 0x002c, 0x002f, 0x0032, 0x0035, 0x0038, 0x003d, 0x0040, 0x0041, 0x0044, 0x0046, 0x0067,
  0x0067, 0x006a, 0x006d, 0x0084, 0x0084, 0x0087, 0x0089, 0x008c, 0x008d, 0x0090, 0x0091, 0x0094, 0x0096, 0x0099, 0x009f,
  0x00a2, 0x00a3, 0x00a6, 0x00ba, 0x00bd, 0x00c0, 0x00c3, 0x00c5, 0x1301, 0x1302, 0x1304, 0x1305, 0xc006, 0xc006, 0xc009,
  0xc00a, 0xc010, 0xc010, 0xc013, 0xc015, 0xc018, 0xc019, 0xc01d, 0xc024, 0xc027, 0xc028, 0xc02b, 0xc02c, 0xc02f, 0xc030,
  0xc035, 0xc03b, 0xc050, 0xc053, 0xc056, 0xc057, 0xc05c, 0xc05d, 0xc060, 0xc061, 0xc06a, 0xc06f, 0xc072, 0xc073, 0xc076,
  0xc077, 0xc094, 0xc0af, 0xc0b4, 0xc0b5,
];
