/** A key-exchange group (RFC 8446 §4.2.7; X25519MLKEM768: draft-ietf-tls-ecdhe-mlkem). */
export interface NamedGroup {
  readonly code: number;
  /** The field's usual name, as it appears in logs and metrics. */
  readonly name: string;
  /** What OpenSSL calls it in a group list. */
  readonly opensslName: string;
  readonly tls13Only: boolean;
}

export const X25519MLKEM768: NamedGroup = {
  code: 0x11ec,
  name: 'X25519MLKEM768',
  opensslName: 'X25519MLKEM768',
  tls13Only: true,
};
export const X25519: NamedGroup = { code: 0x001d, name: 'X25519', opensslName: 'X25519', tls13Only: false };
export const P256: NamedGroup = { code: 0x0017, name: 'P-256', opensslName: 'P-256', tls13Only: false };
export const P384: NamedGroup = { code: 0x0018, name: 'P-384', opensslName: 'P-384', tls13Only: false };

/** A wire code's name for logs, or four hex digits. */
export function groupName(code: number): string {
  return NAMES.get(code) ?? `0x${code.toString(16).padStart(4, '0')}`;
}

// IANA "TLS Supported Groups"
const NAMES: ReadonlyMap<number, string> = new Map([
  [0x0017, 'P-256'],
  [0x0018, 'P-384'],
  [0x0019, 'P-521'],
  [0x001d, 'X25519'],
  [0x001e, 'X448'],
  [0x0100, 'ffdhe2048'],
  [0x0101, 'ffdhe3072'],
  [0x0102, 'ffdhe4096'],
  [0x0103, 'ffdhe6144'],
  [0x0104, 'ffdhe8192'],
  [0x0200, 'MLKEM512'],
  [0x0201, 'MLKEM768'],
  [0x0202, 'MLKEM1024'],
  [0x11eb, 'SecP256r1MLKEM768'],
  [0x11ec, 'X25519MLKEM768'],
  [0x11ed, 'SecP384r1MLKEM1024'],
  [0x6399, 'X25519Kyber768Draft00'],
]);
