import { createHash, timingSafeEqual } from 'node:crypto';

/** 'absent': no credentials at all; 'wrong': others, or more than one field of them (RFC 6750 §3.1). */
export type TokenCheck = 'right' | 'absent' | 'wrong';

/** `fields`: the values of all Authorization fields. How long it takes says nothing of the token, its length included. */
export function checkBearerToken(fields: readonly string[], token: string): TokenCheck {
  const [field] = fields;
  if (field === undefined) return 'absent';
  const credentials = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(field);
  if (fields.length !== 1 || credentials === null) return 'wrong';
  return timingSafeEqual(digestOf(credentials[1]!), digestOf(token)) ? 'right' : 'wrong';
}

/** Of one length, which timingSafeEqual() wants. */
function digestOf(text: string): Uint8Array {
  return createHash('sha256').update(text).digest();
}
