export type IssuedKeyType = 'rsa-1024' | 'rsa-2048' | 'rsa-3072' | 'rsa-4096' | 'p256' | 'p384' | 'p521' | 'ed25519';
export type ExtendedKeyUsage = 'serverAuth' | 'clientAuth' | 'codeSigning' | 'timeStamping' | 'OCSPSigning' | 'any';
export type KeyUsage =
  | 'digitalSignature'
  | 'nonRepudiation'
  | 'keyEncipherment'
  | 'dataEncipherment'
  | 'keyAgreement'
  | 'keyCertSign'
  | 'cRLSign';

export interface SubtreeNames {
  readonly dns?: readonly string[];
  /** CIDR, for instance 127.0.0.0/8 or ::1/128. */
  readonly ip?: readonly string[];
  readonly email?: readonly string[];
  readonly uri?: readonly string[];
}

/** What to issue. Defaults make the usual certificate of its kind: a CA if `ca`, else a leaf for server and client. */
export interface IssueRequest {
  /** RFC 4514-like text, for instance 'CN=Demo Root,O=Sallyport'. */
  readonly subject: string;
  readonly keyType?: IssuedKeyType;
  /** Absent: self-signed. */
  readonly issuer?: Issued;
  readonly ca?: boolean;
  readonly pathLength?: number;
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly uris?: readonly string[];
  readonly emails?: readonly string[];
  /** null: no extension. */
  readonly extendedKeyUsage?: readonly ExtendedKeyUsage[] | null;
  readonly keyUsage?: readonly KeyUsage[] | null;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly permitted?: SubtreeNames;
  readonly excluded?: SubtreeNames;
  /** Default true; false writes no basicConstraints at all. */
  readonly basicConstraints?: boolean;
  readonly keyIdentifiers?: boolean;
  readonly signatureHash?: 'SHA-1' | 'SHA-256' | 'SHA-384' | 'SHA-512';
  readonly serialHex?: string;
  /** Extra extensions: DER of the value. */
  readonly extensions?: readonly { readonly oid: string; readonly critical: boolean; readonly valueDer: Uint8Array }[];
  /** Reuse another certificate's key pair (cross-signing, renewal). */
  readonly keyFrom?: Issued;
}

export interface Issued {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  readonly der: Uint8Array;
  readonly keys: import('node:crypto').webcrypto.CryptoKeyPair;
  readonly subject: string;
}
