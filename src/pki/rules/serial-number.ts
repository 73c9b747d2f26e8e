import type { Certificate } from '../certificate.ts';
import type { Finding } from '../finding.ts';

/** 1 to 20 octets, positive (RFC 5280 section 4.1.2.2). Not asked of anchors: roots with serial 0 are in use. */
export function checkSerialNumber(certificate: Certificate): Finding | null {
  const { serial } = certificate;
  if ((serial[0]! & 0x80) !== 0) return finding('its serial number is negative');
  if (serial.length === 1 && serial[0] === 0) return finding('its serial number is 0');
  // A leading zero octet only carries the sign; 20 octets of value are the limit either way (section 4.1.2.2).
  const octets = serial[0] === 0 ? serial.length - 1 : serial.length;
  return octets > MAX_OCTETS ? finding(`its serial number has ${octets} octets`) : null;
}

function finding(found: string): Finding {
  const expected = 'a positive number of at most 20 octets';
  return { rule: 'serial-number', word: 'chain', found, expected, fix: 'reissue it' };
}

const MAX_OCTETS = 20;
