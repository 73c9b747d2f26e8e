import type { ErrorCode } from '../base/errors.ts';
import type { Certificate } from './certificate.ts';
import { printable } from './printable.ts';
import type { Purpose, Refused } from './verdict.ts';

/** The names of the rules, as verdicts show them. Each has a file of its name in rules/, or is decided in
 * revocation.ts, or is a stage of verify.ts. */
export type RuleName =
  | 'basic-constraints'
  | 'chain-length'
  | 'chain-size'
  | 'critical-extensions'
  | 'crl-expired'
  | 'crl-invalid'
  | 'crl-missing'
  | 'extended-key-usage'
  | 'internal-error'
  | 'issuer-subject'
  | 'key-identifiers'
  | 'key-strength'
  | 'key-usage'
  | 'malformed-certificate'
  | 'malformed-request'
  | 'name-constraints'
  | 'no-certificate'
  | 'path-length'
  | 'policies'
  | 'revocation'
  | 'same-entity-limit'
  | 'search-limit'
  | 'serial-number'
  | 'signature'
  | 'signature-algorithm'
  | 'subject-alternative-name'
  | 'trust-anchor'
  | 'validity';

/** Which statusDetails a finding becomes; the words differ by purpose (spec 2.8). */
export type StatusWord = keyof typeof SERVER_WORDS;

/** What a rule found wrong. The three texts make one sentence: `Cannot trust X: <found>, expected <expected>; <fix>`. */
export interface Finding {
  readonly rule: RuleName;
  readonly word: StatusWord;
  readonly found: string;
  readonly expected: string;
  readonly fix: string;
}

/** Where the certificate at fault is to be mended: what the peer sends, or a field of the trust config. */
export type Origin = 'peer' | 'trustAnchors' | 'intermediateCas' | 'the public roots';

/** The verdict for a finding at one certificate. `depth` counts from the leaf (0). */
export function refusal(
  finding: Finding,
  purpose: Purpose,
  depth: number,
  certificate: Certificate | null,
  origin: Origin = 'peer',
): Refused {
  const subject = certificate === null ? '' : certificate.subject.text;
  const place = origin === 'peer' ? `depth ${depth}` : `depth ${depth}, from ${origin}`;
  const thing = certificate === null ? `certificate ${depth}` : `'${subject}' (${place})`;
  const reason = `Cannot trust ${thing}: ${finding.found}, expected ${finding.expected}; ${finding.fix}`;
  const words = purpose === 'client' ? CLIENT_WORDS : SERVER_WORDS;
  return {
    ok: false,
    statusDetails: words[finding.word],
    rule: finding.rule,
    depth,
    subject,
    reason: printable(reason, MAX_REASON_LENGTH),
    found: printable(finding.found, MAX_REASON_LENGTH),
    expected: printable(finding.expected, MAX_REASON_LENGTH),
    remedy: printable(finding.fix, MAX_REASON_LENGTH),
  };
}

const MAX_REASON_LENGTH = 1200; // two subjects of 256 and the sentence around them

const SERVER_WORDS = {
  chain: 'ssl_certificate_chain_verification_failed',
  names: 'ssl_certificate_san_verification_failed',
  chainLength: 'server_cert_chain_exceeded_limit',
  chainSize: 'server_cert_exceeded_size_limit',
  curve: 'server_cert_unsupported_elliptic_curve_key',
  extendedKeyUsage: 'server_cert_chain_invalid_eku',
  internal: 'server_cert_validation_internal_error',
  keyAlgorithm: 'server_cert_unsupported_key_algorithm',
  nameConstraintCount: 'server_cert_chain_max_name_constraints_exceeded',
  notProvided: 'server_cert_not_provided',
  pkiTooLarge: 'server_cert_pki_too_large',
  rsaKeySize: 'server_cert_invalid_rsa_key_size',
  searchLimit: 'server_cert_validation_search_limit_exceeded',
} as const satisfies Record<string, ErrorCode>;

const CLIENT_WORDS = {
  chain: 'client_cert_validation_failed',
  names: 'client_cert_validation_failed', // Google has no word for a client's name: its SANs are never matched
  chainLength: 'client_cert_chain_exceeded_limit',
  chainSize: 'client_cert_exceeded_size_limit',
  curve: 'client_cert_unsupported_elliptic_curve_key',
  extendedKeyUsage: 'client_cert_chain_invalid_eku',
  internal: 'client_cert_validation_internal_error',
  keyAlgorithm: 'client_cert_unsupported_key_algorithm',
  nameConstraintCount: 'client_cert_chain_max_name_constraints_exceeded',
  notProvided: 'client_cert_not_provided',
  pkiTooLarge: 'client_cert_pki_too_large',
  rsaKeySize: 'client_cert_invalid_rsa_key_size',
  searchLimit: 'client_cert_validation_search_limit_exceeded',
} as const satisfies Record<StatusWord, ErrorCode>;
