import { createPrivateKey, type KeyObject } from 'node:crypto';

export interface PemBlock {
  /** 'CERTIFICATE', 'PRIVATE KEY', … */
  readonly label: string;
  readonly der: Uint8Array;
}

/** The blocks of a PEM text (RFC 7468), text around them ignored; null when one is broken. Nothing of the text is kept elsewhere. */
export function readPem(text: string): readonly PemBlock[] | null {
  const blocks: PemBlock[] = [];
  let at = 0;
  for (;;) {
    const begin = text.indexOf(BEGIN, at);
    if (begin === -1) return blocks;
    const labelEnd = text.indexOf(DASHES, begin + BEGIN.length);
    if (labelEnd === -1) return null;
    const label = text.slice(begin + BEGIN.length, labelEnd);
    const end = text.indexOf(`-----END ${label}${DASHES}`, labelEnd);
    if (end === -1 || label.includes('\n')) return null;
    const body = text.slice(labelEnd + DASHES.length, end).replace(/\s+/g, '');
    at = end + BEGIN.length;
    const isEncrypted = body.includes(':'); // RFC 1421 headers: Proc-Type, DEK-Info
    if (!isEncrypted && !/^[A-Za-z0-9+/]+={0,2}$/.test(body)) return null;
    blocks.push({ label, der: isEncrypted ? new Uint8Array() : Uint8Array.from(Buffer.from(body, 'base64')) });
  }
}

/** RFC 7468 text of certificates: 64 characters a line, nothing between them. */
export function writeCertificates(certificates: readonly Uint8Array[]): string {
  return certificates
    .map((der) => {
      const lines =
        Buffer.from(der)
          .toString('base64')
          .match(/.{1,64}/g) ?? [];
      return `${BEGIN}CERTIFICATE${DASHES}\n${lines.join('\n')}\n-----END CERTIFICATE${DASHES}\n`;
    })
    .join('');
}

export type PrivateKeyReading =
  | { readonly key: KeyObject; readonly problem: null }
  | { readonly key: null; readonly problem: string };

/** The one private key of a PEM text, or a sentence about what is wrong that holds nothing of it. */
export function readPrivateKey(text: string): PrivateKeyReading {
  const blocks = readPem(text);
  if (blocks === null) return { key: null, problem: 'found a broken PEM block, expected a PEM private key' };
  const keys = blocks.filter(({ label }) => label.endsWith('PRIVATE KEY'));
  if (keys.length !== 1) {
    const found = keys.length === 0 ? 'no private key' : `${keys.length} private keys`;
    return { key: null, problem: `found ${found}, expected one PEM private key (PKCS#8, PKCS#1 or SEC 1)` };
  }
  if (text.includes('ENCRYPTED')) {
    return {
      key: null,
      problem: 'found an encrypted private key, which is not supported yet; decrypt it (openssl pkey)',
    };
  }
  try {
    return { key: createPrivateKey(text), problem: null };
  } catch {
    // OpenSSL's message names routines, never contents, but helps nobody either.
    return { key: null, problem: 'found a private key that OpenSSL cannot read, expected PKCS#8, PKCS#1 or SEC 1' };
  }
}

const BEGIN = '-----BEGIN ';
const DASHES = '-----';
