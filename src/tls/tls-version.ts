/** Protocol versions by node:tls's names. SSL 3.0 and older are never supported. */
export type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';

/** Oldest first. */
export const TLS_VERSIONS: readonly TlsVersion[] = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];

/** As on the wire (`ProtocolVersion`, RFC 8446 §4.1.2). */
export const VERSION_CODE: Readonly<Record<TlsVersion, number>> = {
  TLSv1: 0x0301,
  'TLSv1.1': 0x0302,
  'TLSv1.2': 0x0303,
  'TLSv1.3': 0x0304,
};

/** A wire version's name for logs: `TLSv1.2`, `SSLv3`, or four hex digits. */
export function versionName(code: number): string {
  switch (code) {
    case 0x0304:
      return 'TLSv1.3';
    case 0x0303:
      return 'TLSv1.2';
    case 0x0302:
      return 'TLSv1.1';
    case 0x0301:
      return 'TLSv1';
    case 0x0300:
      return 'SSLv3';
    default:
      return `0x${code.toString(16).padStart(4, '0')}`;
  }
}
