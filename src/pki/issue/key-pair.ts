import { KeyObject, webcrypto } from 'node:crypto';
import type { IssuedKeyType } from './contract.ts';

/** A new key pair that node:crypto and WebCrypto both accept. */
export async function makeKeyPair(keyType: IssuedKeyType): Promise<webcrypto.CryptoKeyPair> {
  const algorithm = ALGORITHMS[keyType];
  return (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
}

/** PKCS#8 PEM, unencrypted. */
export function privateKeyPem(keys: webcrypto.CryptoKeyPair): string {
  return KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }) as string;
}

/** SubjectPublicKeyInfo, DER. */
export function publicKeyDer(keys: webcrypto.CryptoKeyPair): Uint8Array {
  return KeyObject.from(keys.publicKey).export({ type: 'spki', format: 'der' });
}

function rsa(modulusLength: number): webcrypto.RsaHashedKeyGenParams {
  // The hash here binds only WebCrypto's own sign(); signatures are made by node:crypto, which takes any.
  return { name: 'RSASSA-PKCS1-v1_5', modulusLength, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' };
}

const ALGORITHMS: Readonly<
  Record<IssuedKeyType, webcrypto.RsaHashedKeyGenParams | webcrypto.EcKeyGenParams | webcrypto.Algorithm>
> = {
  'rsa-1024': rsa(1024),
  'rsa-2048': rsa(2048),
  'rsa-3072': rsa(3072),
  'rsa-4096': rsa(4096),
  p256: { name: 'ECDSA', namedCurve: 'P-256' },
  p384: { name: 'ECDSA', namedCurve: 'P-384' },
  p521: { name: 'ECDSA', namedCurve: 'P-521' },
  ed25519: { name: 'Ed25519' },
};
