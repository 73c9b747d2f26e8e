import type { ErrorCode } from '#src/base/errors.ts';
import type { Issued, IssueRequest } from '#src/pki/issue/contract.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { type TestPki, testPki } from '../harness/pki.ts';
import type { TlsOptions } from './support.ts';

/** A backend that shows `chain`, and what a verifier told by `tls` says of it: `code` is asserted as statusDetails over HTTPS and SSL. */
export interface CertificateRefusal {
  readonly code: ErrorCode;
  readonly name: string;
  readonly rule: string;
  readonly chain: (pki: TestPki) => Promise<readonly Issued[]>;
  readonly tls?: (pki: TestPki) => TlsOptions;
}

/** Every word of spec 2.8 for a backend's certificate that can be reached, and the commonest rules behind the two widest words. */
export const certificateRefusals: readonly CertificateRefusal[] = [
  {
    code: 'ssl_certificate_san_verification_failed',
    name: 'another name',
    rule: 'subject-alternative-name',
    chain: async (pki) => [pki.server, pki.issuing],
    tls: (pki) => ({ anchors: [pki.root], dnsNames: ['other.example'] }),
  },
  {
    code: 'ssl_certificate_chain_verification_failed',
    name: 'another root',
    rule: 'trust-anchor',
    chain: async (pki) => [pki.server, pki.issuing],
    tls: (pki) => ({ anchors: [pki.stranger] }),
  },
  {
    code: 'server_cert_chain_exceeded_limit',
    name: 'eleven certificates',
    rule: 'chain-length',
    chain: async (pki) => [pki.server, pki.issuing, ...Array<Issued>(9).fill(pki.stranger)],
  },
  {
    code: 'server_cert_exceeded_size_limit',
    name: 'more than 16 KiB',
    rule: 'chain-size',
    chain: async (pki) => [await leaf({ extensions: [ballast(17_000)] }), pki.issuing],
  },
  {
    code: 'server_cert_chain_invalid_eku',
    name: 'a leaf for clients only',
    rule: 'extended-key-usage',
    chain: async (pki) => [await leaf({ extendedKeyUsage: ['clientAuth'] }), pki.issuing],
  },
  {
    code: 'server_cert_chain_invalid_eku',
    name: 'a leaf without the extension',
    rule: 'extended-key-usage',
    chain: async (pki) => [await leaf({ extendedKeyUsage: null }), pki.issuing],
  },
  {
    code: 'server_cert_chain_invalid_eku',
    name: 'a leaf that may also sign code',
    rule: 'extended-key-usage',
    chain: async (pki) => [await leaf({ extendedKeyUsage: ['serverAuth', 'codeSigning'] }), pki.issuing],
  },
  {
    code: 'server_cert_chain_invalid_eku',
    name: 'a CA whose EKU lacks serverAuth',
    rule: 'extended-key-usage',
    chain: async (pki) => {
      const ca = await issue({ subject: 'CN=mail CA', ca: true, issuer: pki.root, extendedKeyUsage: ['clientAuth'] });
      return [await leaf({ issuer: ca }), ca];
    },
  },
  {
    code: 'server_cert_chain_max_name_constraints_exceeded',
    name: 'a CA with eleven name constraints',
    rule: 'name-constraints',
    chain: async (pki) => {
      const dns = ['backend.example', ...Array.from({ length: 10 }, (_, i) => `n${i}.example`)];
      const ca = await issue({ subject: 'CN=constrained CA', ca: true, issuer: pki.root, permitted: { dns } });
      return [await leaf({ issuer: ca }), ca];
    },
  },
  {
    code: 'server_cert_invalid_rsa_key_size',
    name: 'an RSA key of 1024 bits on a CA',
    rule: 'key-strength',
    chain: async (pki) => {
      const ca = await issue({ subject: 'CN=small CA', ca: true, issuer: pki.root, keyType: 'rsa-1024' });
      return [await leaf({ issuer: ca }), ca];
    },
  },
  {
    code: 'server_cert_unsupported_elliptic_curve_key',
    name: 'a P-521 key',
    rule: 'key-strength',
    chain: async (pki) => [await leaf({ keyType: 'p521' }), pki.issuing],
  },
  {
    code: 'server_cert_unsupported_key_algorithm',
    name: 'an Ed25519 key',
    rule: 'key-strength',
    chain: async (pki) => [await leaf({ keyType: 'ed25519' }), pki.issuing],
  },
  {
    code: 'server_cert_pki_too_large',
    name: 'four intermediates of one subject and key',
    rule: 'same-entity-limit',
    chain: async (pki) => {
      const first = await issue({ subject: 'CN=renewed CA', ca: true, issuer: pki.root });
      const more: Issued[] = [];
      for (let i = 0; i < 3; i++) {
        more.push(await issue({ subject: 'CN=renewed CA', ca: true, issuer: pki.root, keyFrom: first }));
      }
      return [await leaf({ issuer: first }), first, ...more];
    },
  },
  {
    code: 'server_cert_validation_search_limit_exceeded',
    name: 'a path of eleven certificates, of which ten are sent',
    rule: 'search-limit',
    chain: async (pki) => {
      const cas = await authorities(pki.root, 9);
      return [await leaf({ issuer: cas[0]! }), ...cas];
    },
    tls: (pki) => ({ anchors: [pki.root] }),
  },
  {
    code: 'ssl_certificate_san_verification_failed',
    name: 'another URI',
    rule: 'subject-alternative-name',
    chain: async (pki) => [await leaf({ uris: ['spiffe://example/cats'] }), pki.issuing],
    tls: (pki) => ({ anchors: [pki.root], uris: ['spiffe://example/dogs'] }),
  },
  {
    code: 'ssl_certificate_chain_verification_failed',
    name: 'self-signed',
    rule: 'trust-anchor',
    chain: async () => [
      await issue({ subject: 'CN=alone', dnsNames: ['backend.example'], extendedKeyUsage: ['serverAuth'] }),
    ],
  },
  {
    code: 'ssl_certificate_chain_verification_failed',
    name: 'ran out yesterday',
    rule: 'validity',
    chain: async (pki) => [await leaf({ notBefore: daysAgo(2), notAfter: daysAgo(1) }), pki.issuing],
  },
  {
    code: 'ssl_certificate_chain_verification_failed',
    name: 'not valid before tomorrow',
    rule: 'validity',
    chain: async (pki) => [await leaf({ notBefore: daysAgo(-1), notAfter: daysAgo(-2) }), pki.issuing],
  },
  {
    code: 'ssl_certificate_chain_verification_failed',
    name: 'a CA below one of path length 0',
    rule: 'path-length',
    chain: async (pki) => {
      const below = await issue({ subject: 'CN=one too deep', ca: true, issuer: pki.issuing });
      return [await leaf({ issuer: below }), below, pki.issuing];
    },
  },
  {
    code: 'ssl_certificate_chain_verification_failed',
    name: 'a CA that may not speak for this name',
    rule: 'name-constraints',
    chain: async (pki) => {
      const ca = await issue({
        subject: 'CN=dogs only',
        ca: true,
        issuer: pki.root,
        permitted: { dns: ['dogs.example'] },
      });
      return [await leaf({ issuer: ca }), ca];
    },
  },
];

async function leaf(request: Partial<IssueRequest>): Promise<Issued> {
  const { issuing } = await testPki();
  return issue({ subject: 'CN=leaf', issuer: issuing, dnsNames: ['backend.example'], ...request });
}

function daysAgo(days: number): Date {
  return new Date(Date.now() - days * 86_400_000);
}

/** A chain of `length` CAs below the root, the last one first. */
async function authorities(root: Issued, length: number): Promise<readonly Issued[]> {
  const list: Issued[] = [];
  for (let i = 0; i < length; i++) {
    list.unshift(await issue({ subject: `CN=CA ${i}`, ca: true, issuer: list[0] ?? root }));
  }
  return list;
}

/** An extension that nothing reads, of so many bytes. */
function ballast(bytes: number) {
  const valueDer = Buffer.concat([Buffer.from([0x04, 0x82, bytes >> 8, bytes & 0xff]), Buffer.alloc(bytes)]);
  return { oid: '1.3.6.1.4.1.99999.1', critical: false, valueDer };
}
