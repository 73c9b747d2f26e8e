import type { Certificate } from '../certificate.ts';
import { KEY_USAGE } from '../extensions.ts';
import type { Finding } from '../finding.ts';
import type { Purpose } from '../verdict.ts';

/** An issuer with a keyUsage must have keyCertSign in it (RFC 5280 section 6.1.4 (n)). */
export function checkIssuerKeyUsage(issuer: Certificate): Finding | null {
  if (issuer.keyUsage === null || (issuer.keyUsage & KEY_USAGE.keyCertSign) !== 0) return null;
  return {
    rule: 'key-usage',
    word: 'chain',
    found: 'its keyUsage lacks keyCertSign',
    expected: 'keyCertSign on every certificate that issues another',
    fix: 'reissue this CA with keyCertSign',
  };
}

/**
 * What is known of the handshake: 'signature' when the leaf's key signs it, as in TLS 1.3 and every ECDHE suite; 'unknown' when
 * chains are judged without one (`sallyport verify`), where static RSA and ECDH keys may be meant.
 */
export type KeyProof = 'signature' | 'unknown';

/**
 * A TLS leaf with a keyUsage must have digitalSignature where its key signs the handshake (RFC 8446 section 4.4.2.2, security
 * rule 27), and digitalSignature, keyEncipherment or keyAgreement where that is not known (RFC 5246 section 7.4.2).
 */
export function checkLeafKeyUsage(leaf: Certificate, purpose: Purpose, proof: KeyProof): Finding | null {
  if (purpose === 'any' || leaf.keyUsage === null) return null;
  const wanted = proof === 'signature' ? KEY_USAGE.digitalSignature : ANY_TLS_USE;
  if ((leaf.keyUsage & wanted) !== 0) return null;
  const isSigned = proof === 'signature';
  return {
    rule: 'key-usage',
    word: 'chain',
    found: isSigned ? 'its keyUsage lacks digitalSignature' : 'its keyUsage allows no use in TLS',
    expected: isSigned
      ? 'digitalSignature, because the key signs the TLS handshake'
      : 'digitalSignature, keyEncipherment or keyAgreement',
    fix: 'reissue it with digitalSignature, or without keyUsage',
  };
}

const ANY_TLS_USE = KEY_USAGE.digitalSignature | KEY_USAGE.keyEncipherment | KEY_USAGE.keyAgreement;
