import { DerError } from './der.ts';

/**
 * DER of every CERTIFICATE block of a PEM text (RFC 7468), in order; text between blocks is ignored, other labels too.
 * Throws DerError for a block that does not end or is not base64.
 */
export function pemCertificates(text: string): Buffer[] {
  const blocks: Buffer[] = [];
  let at = 0;
  for (;;) {
    const begin = text.indexOf(BEGIN, at);
    if (begin < 0) return blocks;
    const start = begin + BEGIN.length;
    const end = text.indexOf(END, start);
    if (end < 0) throw new DerError('PEM block without an END CERTIFICATE line');
    const body = text.slice(start, end).replace(/[ \t\r\n]+/g, '');
    if (body.length === 0 || body.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(body)) {
      throw new DerError('PEM block that is not base64');
    }
    blocks.push(Buffer.from(body, 'base64'));
    at = end + END.length;
  }
}

const BEGIN = '-----BEGIN CERTIFICATE-----';
const END = '-----END CERTIFICATE-----';
