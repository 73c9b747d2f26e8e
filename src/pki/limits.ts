/** Every limit of the verifier, each with where the number comes from. */
export const LIMITS = {
  /** Certificates a peer may send, leaf included (spec 10.7; Google's overview of backend authenticated TLS). */
  chainCertificates: 10,
  /** Bytes of DER a peer may send (spec 10.7). */
  chainBytes: 16 * 1024,
  /** Certificates on a path, leaf and anchor included (spec 10.7). */
  pathCertificates: 10,
  /** Candidate issuers examined for one chain (spec 10.7). */
  issuerEvaluations: 100,
  /** Signature checks for one chain: rustls-webpki's budget; at 84 µs for P-256 it bounds a verdict to about 10 ms. */
  signatures: 100,
  /** Names compared with constraints for one chain: rustls-webpki's budget. */
  nameComparisons: 250_000,
  /** Name constraints on one CA certificate (spec 10.7). */
  nameConstraints: 10,
  /** Intermediates that share subject and public key (spec 10.7; the lower of Google's two numbers). */
  sameEntityIntermediates: 3,
  /** Policy mappings on one certificate: a TrustConfig certificate is at most 5 kB, about 200 mappings. */
  policyMappings: 200,
} as const;
