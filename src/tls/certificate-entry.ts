export type KeyType = 'RSA' | 'P-256' | 'P-384';

/** A server certificate that can be served, with what the choice needs to know of it. */
export interface CertificateEntry {
  /** The resource's name. */
  readonly name: string;
  readonly keyType: KeyType;
  /** Modulus or curve bits. */
  readonly keyBits: number;
  /** CN (if it is a host name) and DNS SANs, lower-cased, without trailing dot; wildcards as `*.example.com`. */
  readonly hostNames: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}
