import type { Certificate } from '../certificate.ts';
import type { Finding } from '../finding.ts';
import { timeText } from '../time.ts';

/**
 * notBefore ≤ now ≤ notAfter (RFC 5280 sections 4.1.2.5 and 6.1.3 (a)(2)). Both ends belong to it, and certificates know whole
 * seconds only, so the fraction of the present second does not count.
 */
export function checkValidity(certificate: Certificate, atMs: number): Finding | null {
  const nowMs = Math.floor(atMs / 1000) * 1000;
  if (nowMs < certificate.notBeforeMs) {
    const expected = `a time from ${timeText(certificate.notBeforeMs)} on (checked at ${timeText(atMs)})`;
    return {
      rule: 'validity',
      word: 'chain',
      found: 'it is not valid yet',
      expected,
      fix: 'check the clocks, or reissue it',
    };
  }
  if (nowMs <= certificate.notAfterMs) return null;
  return {
    rule: 'validity',
    word: 'chain',
    found: 'it has expired',
    expected: `a time until ${timeText(certificate.notAfterMs)} (checked at ${timeText(atMs)})`,
    fix: 'renew it',
  };
}
