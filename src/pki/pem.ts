import { DerError } from './der.ts';

/** DER of every CERTIFICATE block of a PEM text. Throws DerError for a block that does not end or is not base64. */
export function pemCertificates(text: string): Buffer[] {
  return pemBlocks(text, 'CERTIFICATE');
}

/** DER of every block with this label in a PEM text (RFC 7468), in order; text between blocks is ignored, other labels too. */
export function pemBlocks(text: string, label: string): Buffer[] {
  const [beginLine, endLine] = [`-----BEGIN ${label}-----`, `-----END ${label}-----`];
  const blocks: Buffer[] = [];
  let at = 0;
  for (;;) {
    const begin = text.indexOf(beginLine, at);
    if (begin < 0) return blocks;
    const start = begin + beginLine.length;
    const end = text.indexOf(endLine, start);
    if (end < 0) throw new DerError(`PEM block without an END ${label} line`);
    blocks.push(decodeBase64(text.slice(start, end).replace(/[ \t\r\n]+/g, '')));
    at = end + endLine.length;
  }
}

/** Node's decoder leaves out what is no base64, so its length tells. (A regular expression would not do for 32 MiB of it.) */
function decodeBase64(body: string): Buffer {
  const bytes = Buffer.from(body, 'base64');
  const padding = body.endsWith('==') ? 2 : body.endsWith('=') ? 1 : 0;
  const isWhole = body.length > 0 && body.length % 4 === 0 && bytes.length === (body.length / 4) * 3 - padding;
  if (!isWhole || body.includes('-') || body.includes('_')) throw new DerError('PEM block that is not base64');
  return bytes;
}
