import forge from 'node-forge';
import type { Issued } from '#src/pki/issue/contract.ts';

/** A PKCS#12 file of an RSA key and its certificate (node-forge writes no other keys; test/interop has those of OpenSSL). */
export function makePkcs12(issued: Issued, passphrase: string): Buffer {
  const key = forge.pki.privateKeyFromPem(issued.privateKeyPem);
  const pfx = forge.pkcs12.toPkcs12Asn1(key, [forge.pki.certificateFromPem(issued.certificatePem)], passphrase, {
    algorithm: 'aes256',
  });
  return Buffer.from(forge.asn1.toDer(pfx).getBytes(), 'binary');
}
