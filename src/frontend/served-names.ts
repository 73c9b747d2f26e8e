import { X509Certificate } from 'node:crypto';
import { parseCertificate } from '../pki/certificate.ts';
import type { CertificateEntry } from '../tls/certificate-entry.ts';

/** The authorities that a served certificate covers (RFC 9110 section 7.4): its host names, and its addresses as IP literals. */
export function servedNames(certificate: CertificateEntry): readonly string[] {
  let names = known.get(certificate);
  if (names === undefined) {
    names = [...certificate.hostNames, ...addressesOf(certificate)];
    known.set(certificate, names);
  }
  return names;
}

function addressesOf({ certificatePem }: CertificateEntry): readonly string[] {
  const leaf = parseCertificate(new X509Certificate(certificatePem).raw);
  return (leaf.subjectAltName ?? []).flatMap((name) => (name.kind === 'ip' ? [addressText(name.address)] : []));
}

/** As URL hosts are written: 192.0.2.1, or 2001:db8::1 in its shortest form. */
function addressText(address: Buffer): string {
  if (address.length === 4) return address.join('.');
  const groups: string[] = [];
  for (let i = 0; i < address.length; i += 2) groups.push(address.readUInt16BE(i).toString(16));
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}

const known = new WeakMap<CertificateEntry, readonly string[]>();
