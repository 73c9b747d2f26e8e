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
  /**
   * Signature checks for one chain, in checks with a P-256 key (about 0.1 ms): rustls-webpki's 100. With issuerEvaluations alone, 100
   * P-384 keys would take 120 ms.
   */
  signatures: 100,
  /**
   * Signatures of CRLs checked for one chain, kept ones left out: a path has nine issuers. Each hashes its whole list, 0.1 s for 32 MiB,
   * but only for issuers whose chain holds, and once per key.
   */
  crlSignatures: 9,
  /** Candidates of the right name that are looked at, most of them only for their key identifier: 10 levels of a full store. */
  steps: 2000,
  /**
   * Names compared with constraints for one chain. Nine CAs with 10 constraints each over 1,000 names take 90,000; rustls-webpki's
   * 250,000 would be 15 ms here.
   */
  nameComparisons: 100_000,
  /** Certificate policies carried through all paths tried: 16 KiB hold 2,000 of them, and 10 paths may carry them all. */
  policies: 20_000,
  /** Name constraints on one CA certificate (spec 10.7). */
  nameConstraints: 10,
  /** Intermediates that share subject and public key (spec 10.7; the lower of Google's two numbers). */
  sameEntityIntermediates: 3,
  /** Policy mappings on one certificate: a TrustConfig certificate is at most 5 kB, about 200 mappings. */
  policyMappings: 200,
} as const;

/** A check with a P-384 key in checks with a P-256 key: 6 to 12 measured, as OpenSSL has fast code for P-256 only. */
export const P384_WEIGHT = 6;
