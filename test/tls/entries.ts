import type { IssuedKeyType } from '#src/pki/issue/contract.ts';
import { issue } from '#src/pki/issue/issue.ts';
import type { CertificateEntry, KeyType } from '#src/tls/certificate-entry.ts';

/** A self-signed certificate as an entry; `hostNames` also become its SANs. */
export async function entryFor(
  name: string,
  keyType: KeyType,
  hostNames: readonly string[] = ['example.test'],
): Promise<CertificateEntry> {
  const issued = await issue({
    subject: `CN=${name}`,
    keyType: ISSUED_TYPES[keyType],
    dnsNames: hostNames,
    extendedKeyUsage: ['serverAuth'],
  });
  return {
    name,
    keyType,
    keyBits: KEY_BITS[keyType],
    hostNames,
    notBeforeMs: 0,
    notAfterMs: Date.UTC(2100, 0, 1),
    certificatePem: issued.certificatePem,
    privateKeyPem: issued.privateKeyPem,
  };
}

const ISSUED_TYPES: Readonly<Record<KeyType, IssuedKeyType>> = { RSA: 'rsa-2048', 'P-256': 'p256', 'P-384': 'p384' };
const KEY_BITS: Readonly<Record<KeyType, number>> = { RSA: 2048, 'P-256': 256, 'P-384': 384 };
