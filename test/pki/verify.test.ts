// A chain per rule, issued for it: the verdict must name the rule, the depth, the log word and the remedy.
import type { Issued, IssueRequest } from '#src/pki/issue/contract.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { trustStore } from '#src/pki/trust-store.ts';
import type { Purpose, Refused, Verdict } from '#src/pki/verdict.ts';
import { type VerifyRequest, verify } from '#src/pki/verify.ts';

const NOW_MS = Date.parse('2026-06-15T12:00:00Z');
const DAY_MS = 86_400_000;
const VALID = { notBefore: new Date(NOW_MS - 30 * DAY_MS), notAfter: new Date(NOW_MS + 30 * DAY_MS) };

let root: Issued;
let issuing: Issued;
let leaf: Issued;

beforeAll(async () => {
  root = await make({ subject: 'CN=Root', ca: true, notAfter: new Date(NOW_MS + 100 * DAY_MS) });
  issuing = await make({ subject: 'CN=Issuing CA', ca: true, issuer: root, notAfter: new Date(NOW_MS + 60 * DAY_MS) });
  leaf = await make({
    subject: 'CN=leaf',
    issuer: issuing,
    dnsNames: ['a.example', '*.b.example'],
    uris: ['spiffe://a/b'],
  });
});

describe('an accepted chain', () => {
  test('names its path and the earliest notAfter', () => {
    const verdict = judge([leaf, issuing]);
    expect(verdict).toMatchObject({ ok: true, by: 'anchor', notAfterMs: VALID.notAfter.getTime() });
    expect(verdict.ok && verdict.path.map(({ subject, from }) => [subject, from])).toEqual([
      ['CN=leaf', 'peer'],
      ['CN=Issuing CA', 'peer'],
      ['CN=Root', 'anchor'],
    ]);
  });

  test('may take its intermediate from the trust config', () => {
    const verdict = judge([leaf], { intermediates: [issuing] });
    expect(verdict.ok && verdict.path[1]).toMatchObject({ subject: 'CN=Issuing CA', from: 'trustConfig' });
  });

  test('may end at an anchor that is not self-signed', () => {
    expect(judge([leaf], { anchors: [issuing] })).toMatchObject({ ok: true, by: 'anchor' });
  });

  test('may carry the root, strangers, duplicates and garbage, in any order after the leaf', async () => {
    const stranger = await make({ subject: 'CN=Stranger', ca: true });
    expect(judge([leaf, root, stranger, issuing, issuing])).toMatchObject({ ok: true });
    const chain = [leaf.der, Buffer.from('garbage'), issuing.der];
    expect(verify({ ...request([leaf]), chain })).toMatchObject({ ok: true });
  });

  test('may use RSA-2048, P-384 and SHA-384 to SHA-512', async () => {
    const rsa = await make({ subject: 'CN=RSA CA', ca: true, keyType: 'rsa-2048', signatureHash: 'SHA-512' });
    const p384 = await make({ subject: 'CN=P-384', issuer: rsa, keyType: 'p384', signatureHash: 'SHA-384' });
    expect(judge([p384], { anchors: [rsa] })).toMatchObject({ ok: true });
  });

  test('is found behind a dead end: an expired cross-certificate is left and the other branch taken', async () => {
    const other = await make({ subject: 'CN=Other Root', ca: true });
    const expired = await make({ subject: 'CN=Issuing CA', ca: true, issuer: other, keyFrom: issuing, ...past() });
    const sound = await make({ subject: 'CN=Issuing CA', ca: true, issuer: root, keyFrom: issuing });
    expect(judge([leaf, expired, sound], { anchors: [other, root] })).toMatchObject({ ok: true, by: 'anchor' });
  });

  test('may come from a client, judged for clientAuth', () => {
    expect(judge([leaf, issuing], { purpose: 'client' })).toMatchObject({ ok: true });
  });
});

describe('fail closed (security rule 1)', () => {
  test('a store without anchors refuses whatever is not allowlisted', () => {
    const verdict = refused(judge([leaf, issuing, root], { anchors: [] }));
    expect(verdict).toMatchObject({
      rule: 'trust-anchor',
      statusDetails: 'ssl_certificate_chain_verification_failed',
      depth: 2,
    });
    expect(verdict.reason).toContain("add 'CN=Root' to trustAnchors");
  });

  test('an intermediate of the trust config is never an anchor (security rule 25)', () => {
    expect(refused(judge([leaf], { anchors: [], intermediates: [issuing, root] })).rule).toBe('trust-anchor');
  });

  test('a self-signed leaf is never its own anchor (security rule 25)', async () => {
    const selfSigned = await make({ subject: 'CN=self', dnsNames: ['a.example'] });
    const verdict = refused(judge([selfSigned], { anchors: [selfSigned] }));
    expect(verdict).toMatchObject({ rule: 'trust-anchor', depth: 0 });
    expect(verdict.reason).toContain('add it to allowlistedCertificates');
    expect(refused(judge([selfSigned], { anchors: [] })).reason).toContain('it is self-signed');
  });

  test('public roots count only when a DNS name is expected', async () => {
    const store = trustStore({ name: 'public', anchors: [], intermediates: [], allowlist: [], publicRoots: true });
    const names = { dnsNames: [], uris: ['spiffe://a/b'] };
    expect(refused(verify({ ...request([leaf, issuing]), store, names })).rule).toBe('trust-anchor');
  });

  test('a defect becomes a refusal', () => {
    const verdict = refused(verify({ ...request([leaf]), store: null as never }));
    expect(verdict).toMatchObject({ rule: 'internal-error', statusDetails: 'server_cert_validation_internal_error' });
  });

  test('no certificate at all', () => {
    expect(refused(judge([]))).toMatchObject({ rule: 'no-certificate', statusDetails: 'server_cert_not_provided' });
    expect(refused(judge([], { purpose: 'client' })).statusDetails).toBe('client_cert_not_provided');
  });
});

describe('an anchor (security rule 25)', () => {
  test.each<[string, Partial<IssueRequest>, string]>([
    ['basicConstraints', { basicConstraints: false }, 'basic-constraints'],
    ['keyCertSign', { keyUsage: ['cRLSign'] }, 'key-usage'],
    ['extendedKeyUsage', { extendedKeyUsage: ['clientAuth'] }, 'extended-key-usage'],
    ['the rules for keys', { keyType: 'p521' }, 'key-strength'],
    ['nameConstraints', { excluded: { dns: ['a.test'] } }, 'name-constraints'],
  ])('is held to %s', async (_what, request, rule) => {
    const anchor = await make({ subject: 'CN=Anchor', ca: true, ...request });
    const below = await make({ subject: 'CN=l', issuer: anchor, dnsNames: ['x.a.test'], signatureHash: 'SHA-256' });
    const verdict = refused(judge([below], { anchors: [anchor] }));
    expect(verdict).toMatchObject({ rule, depth: 1, subject: 'CN=Anchor' });
  });

  test('is trusted for its key: neither its own signature nor the hash of that counts', async () => {
    const sha1 = await make({ subject: 'CN=Anchor', ca: true, signatureHash: 'SHA-1' });
    const below = await make({ subject: 'CN=l', issuer: sha1, signatureHash: 'SHA-256' });
    expect(judge([below], { anchors: [sha1] })).toMatchObject({ ok: true, by: 'anchor' });
    const der = Uint8Array.from(root.der);
    der[der.length - 1]! ^= 1; // of the signature
    expect(judge([leaf, issuing], { anchors: [{ ...root, der }] })).toMatchObject({ ok: true, by: 'anchor' });
  });
});

describe('the reason for a missing issuer', () => {
  test('names the certificate where the chain ends, its issuer, the trust config and the remedy', () => {
    const verdict = refused(judge([leaf, issuing], { anchors: [leaf] }));
    expect(verdict).toMatchObject({ rule: 'trust-anchor', depth: 1, subject: 'CN=Issuing CA' });
    expect(verdict.reason).toBe(
      "Cannot trust 'CN=Issuing CA' (depth 1): the chain ends at 'CN=Issuing CA', whose issuer 'CN=Root' was not sent and is not in " +
        "trust config 'internal', expected a path to a trust anchor; add 'CN=Root' to trustAnchors (or to intermediateCas if it is " +
        'not the root), or have the peer send it',
    );
  });

  test('is not hidden by an unrelated certificate of the same name', async () => {
    const impostor = await make({ subject: 'CN=Root', ca: true, keyIdentifiers: false });
    expect(refused(judge([leaf, issuing], { anchors: [impostor] }))).toMatchObject({ rule: 'signature', depth: 1 });
  });
});

interface Row {
  readonly title: string;
  readonly chain: () => Promise<readonly Issued[]>;
  readonly anchors?: () => Promise<readonly Issued[]>;
  readonly purpose?: Purpose;
  readonly rule: string;
  readonly depth: number;
  readonly statusDetails?: string;
  readonly reason: RegExp;
}

const CHAIN_FAILED = 'ssl_certificate_chain_verification_failed';

test.each<Row>([
  {
    title: 'validity: an expired leaf',
    chain: async () => [await make({ subject: 'CN=old', issuer: issuing, ...past() }), issuing],
    rule: 'validity',
    depth: 0,
    reason: /has expired, expected a time until 2026-06-05T12:00:00Z \(checked at 2026-06-15T12:00:00Z\); renew it/,
  },
  {
    title: 'validity: a leaf of tomorrow',
    chain: async () => [
      await make({ subject: 'CN=new', issuer: issuing, notBefore: new Date(NOW_MS + DAY_MS) }),
      issuing,
    ],
    rule: 'validity',
    depth: 0,
    reason: /not valid yet.*check the clocks/,
  },
  {
    title: 'validity: an expired anchor (security rule 25)',
    chain: async () => [await make({ subject: 'CN=l', issuer: await expiredRoot() })],
    anchors: async () => [await expiredRoot()],
    rule: 'validity',
    depth: 1,
    reason: /'CN=Expired Root' \(depth 1, from trustAnchors\): it has expired/,
  },
  {
    title: 'basic-constraints: an issuer that is a leaf',
    chain: async () => [await make({ subject: 'CN=forged', issuer: leaf }), leaf, issuing],
    rule: 'basic-constraints',
    depth: 1,
    reason: /no CA, expected cA=TRUE.*use a CA certificate/,
  },
  {
    title: 'basic-constraints: an issuer without the extension',
    chain: async () => {
      const bare = await make({ subject: 'CN=bare', issuer: root, ca: true, basicConstraints: false });
      return [await make({ subject: 'CN=l', issuer: bare }), bare];
    },
    rule: 'basic-constraints',
    depth: 1,
    reason: /it has no basicConstraints/,
  },
  {
    title: 'basic-constraints: a CA in the place of the leaf',
    chain: async () => [issuing],
    rule: 'basic-constraints',
    depth: 0,
    reason: /the leaf is a CA certificate/,
  },
  {
    title: 'path-length: a CA below pathLenConstraint 0',
    chain: async () => {
      const zero = await make({ subject: 'CN=Zero', issuer: root, ca: true, pathLength: 0 });
      const sub = await make({ subject: 'CN=Sub', issuer: zero, ca: true });
      return [await make({ subject: 'CN=l', issuer: sub }), sub, zero];
    },
    rule: 'path-length',
    depth: 2,
    reason: /1 intermediate CA follows it, expected at most 0.*larger pathLenConstraint/,
  },
  {
    title: 'path-length: of the anchor (security rule 25)',
    chain: async () => [await make({ subject: 'CN=l', issuer: await subOfLimited() }), await subOfLimited()],
    anchors: async () => [await limitedRoot()],
    rule: 'path-length',
    depth: 2,
    reason: /'CN=Limited Root'/,
  },
  {
    title: 'key-usage: an issuer without keyCertSign',
    chain: async () => {
      const ca = await make({ subject: 'CN=NoSign', issuer: root, ca: true, keyUsage: ['cRLSign'] });
      return [await make({ subject: 'CN=l', issuer: ca }), ca];
    },
    rule: 'key-usage',
    depth: 1,
    reason: /lacks keyCertSign.*reissue this CA with keyCertSign/,
  },
  {
    title: 'key-usage: a leaf without digitalSignature (security rule 27)',
    chain: async () => [await make({ subject: 'CN=l', issuer: issuing, keyUsage: ['keyAgreement'] }), issuing],
    rule: 'key-usage',
    depth: 0,
    reason: /lacks digitalSignature/,
  },
  {
    title: 'extended-key-usage: a leaf without the extension',
    chain: async () => [await make({ subject: 'CN=l', issuer: issuing, extendedKeyUsage: null }), issuing],
    rule: 'extended-key-usage',
    depth: 0,
    statusDetails: 'server_cert_chain_invalid_eku',
    reason: /it has no extendedKeyUsage, expected serverAuth; reissue it with serverAuth/,
  },
  {
    title: 'extended-key-usage: anyExtendedKeyUsage on a leaf does not count (security rule 27)',
    chain: async () => [await make({ subject: 'CN=l', issuer: issuing, extendedKeyUsage: ['any'] }), issuing],
    rule: 'extended-key-usage',
    depth: 0,
    statusDetails: 'server_cert_chain_invalid_eku',
    reason: /anyExtendedKeyUsage \(2\.5\.29\.37\.0\), expected serverAuth/,
  },
  {
    title: 'extended-key-usage: serverAuth beside codeSigning',
    chain: async () => [
      await make({ subject: 'CN=l', issuer: issuing, extendedKeyUsage: ['serverAuth', 'codeSigning'] }),
      issuing,
    ],
    rule: 'extended-key-usage',
    depth: 0,
    statusDetails: 'server_cert_chain_invalid_eku',
    reason:
      /includes codeSigning \(1\.3\.6\.1\.5\.5\.7\.3\.3\), expected serverAuth without .*; reissue it without codeSigning/,
  },
  {
    title: 'extended-key-usage: a server certificate from a client',
    chain: async () => [await make({ subject: 'CN=l', issuer: issuing, extendedKeyUsage: ['serverAuth'] }), issuing],
    purpose: 'client',
    rule: 'extended-key-usage',
    depth: 0,
    statusDetails: 'client_cert_chain_invalid_eku',
    reason: /expected clientAuth/,
  },
  {
    title: 'extended-key-usage: a CA limited to clientAuth',
    chain: async () => {
      const ca = await make({ subject: 'CN=Clients', issuer: root, ca: true, extendedKeyUsage: ['clientAuth'] });
      return [await make({ subject: 'CN=l', issuer: ca }), ca];
    },
    rule: 'extended-key-usage',
    depth: 1,
    statusDetails: 'server_cert_chain_invalid_eku',
    reason: /this CA is limited to clientAuth/,
  },
  {
    title: 'critical-extensions: unknown on the leaf',
    chain: async () => [await make({ subject: 'CN=l', issuer: issuing, extensions: [unknownCritical()] }), issuing],
    rule: 'critical-extensions',
    depth: 0,
    reason: /critical extension 1\.3\.6\.1\.4\.1\.55738\.1 .*without that extension/,
  },
  {
    title: 'critical-extensions: unknown on an intermediate',
    chain: async () => {
      const ca = await make({ subject: 'CN=Odd', issuer: root, ca: true, extensions: [unknownCritical()] });
      return [await make({ subject: 'CN=l', issuer: ca }), ca];
    },
    rule: 'critical-extensions',
    depth: 1,
    reason: /critical extension/,
  },
  {
    title: 'name-constraints: outside the permitted subtree',
    chain: async () => constrained({ permitted: { dns: ['example'] } }, { dnsNames: ['a.test'] }),
    rule: 'name-constraints',
    depth: 1,
    reason:
      /'CN=l' below it has the name DNS:a\.test, expected a name in its permitted subtrees DNS:example; issue that/,
  },
  {
    title: 'name-constraints: inside the excluded subtree',
    chain: async () => constrained({ excluded: { dns: ['a.test'] } }, { dnsNames: ['x.a.test'] }),
    rule: 'name-constraints',
    depth: 1,
    reason: /no name in its excluded subtree DNS:a\.test/,
  },
  {
    title: 'name-constraints: an IP address outside the permitted range',
    chain: async () => constrained({ permitted: { ip: ['10.0.0.0/8'] } }, { ipAddresses: ['192.0.2.1'] }),
    rule: 'name-constraints',
    depth: 1,
    reason: /IP:192\.0\.2\.1, expected a name in its permitted subtrees IP:10\.0\.0\.0\/255\.0\.0\.0/,
  },
  {
    title: 'name-constraints: a SPIFFE id of another trust domain',
    chain: async () => constrained({ permitted: { uri: ['a.test'] } }, { uris: ['spiffe://b.test/x'] }),
    rule: 'name-constraints',
    depth: 1,
    reason: /URI:spiffe:\/\/b\.test\/x/,
  },
  {
    title: 'name-constraints: a name that cannot be compared',
    chain: async () => constrained({ excluded: { uri: ['a.test'] } }, { uris: ['urn:uuid:1'] }),
    rule: 'name-constraints',
    depth: 1,
    reason: /URI:urn:uuid:1, which cannot be compared with its constraints/,
  },
  {
    title: 'name-constraints: a malformed one',
    chain: async () => constrained({ permitted: { dns: ['*.a.test'] } }, { dnsNames: ['x.a.test'] }),
    rule: 'name-constraints',
    depth: 1,
    reason: /its name constraint DNS:\*\.a\.test is malformed/,
  },
  {
    title: 'name-constraints: a lower CA cannot widen what a higher one narrowed',
    chain: async () => {
      const narrow = await make({ subject: 'CN=Narrow', issuer: root, ca: true, permitted: { dns: ['a.test'] } });
      const wide = await make({
        subject: 'CN=Wide',
        issuer: narrow,
        ca: true,
        permitted: { dns: ['a.test', 'b.test'] },
      });
      return [await make({ subject: 'CN=l', issuer: wide, dnsNames: ['b.test'] }), wide, narrow];
    },
    rule: 'name-constraints',
    depth: 2,
    reason: /'CN=Narrow'/,
  },
  {
    title: 'name-constraints: more than 10 on one CA',
    chain: async () => {
      const dns = Array.from({ length: 11 }, (_, index) => `n${index}.test`);
      return constrained({ permitted: { dns } }, { dnsNames: ['n1.test'] });
    },
    rule: 'name-constraints',
    depth: 1,
    statusDetails: 'server_cert_chain_max_name_constraints_exceeded',
    reason: /it has 11 name constraints, expected at most 10/,
  },
  {
    title: 'name-constraints: on a leaf',
    chain: async () => [await make({ subject: 'CN=l', issuer: issuing, permitted: { dns: ['a.test'] } }), issuing],
    rule: 'name-constraints',
    depth: 0,
    reason: /the leaf has nameConstraints, expected name constraints on CA certificates only; reissue it without them/,
  },
  {
    title: 'key-strength: an RSA leaf of 1024 bits',
    chain: async () => [await make({ subject: 'CN=l', issuer: issuing, keyType: 'rsa-1024' }), issuing],
    rule: 'key-strength',
    depth: 0,
    statusDetails: 'server_cert_invalid_rsa_key_size',
    reason: /RSA key has 1024 bits, expected 2048 to 4096 bits/,
  },
  {
    title: 'key-strength: a P-521 leaf',
    chain: async () => [await make({ subject: 'CN=l', issuer: issuing, keyType: 'p521' }), issuing],
    rule: 'key-strength',
    depth: 0,
    statusDetails: 'server_cert_unsupported_elliptic_curve_key',
    reason: /on the curve P-521 \(1\.3\.132\.0\.35\), expected P-256 or P-384/,
  },
  {
    title: 'key-strength: an Ed25519 leaf',
    chain: async () => [await make({ subject: 'CN=l', issuer: issuing, keyType: 'ed25519' }), issuing],
    purpose: 'client',
    rule: 'key-strength',
    depth: 0,
    statusDetails: 'client_cert_unsupported_key_algorithm',
    reason: /key algorithm is Ed25519/,
  },
  {
    title: 'key-strength: a P-521 intermediate',
    chain: async () => {
      const ca = await make({ subject: 'CN=P521', issuer: root, ca: true, keyType: 'p521' });
      return [await make({ subject: 'CN=l', issuer: ca, signatureHash: 'SHA-512' }), ca];
    },
    rule: 'key-strength',
    depth: 1,
    statusDetails: 'server_cert_unsupported_elliptic_curve_key',
    reason: /'CN=P521' \(depth 1\)/,
  },
  {
    title: 'signature-algorithm: a leaf signed with SHA-1',
    chain: async () => [await make({ subject: 'CN=l', issuer: issuing, signatureHash: 'SHA-1' }), issuing],
    rule: 'signature-algorithm',
    depth: 0,
    reason: /signed with ecdsa-with-SHA1 \(1\.2\.840\.10045\.4\.1\), expected .*SHA-256/,
  },
  {
    title: 'signature-algorithm: an intermediate signed with SHA-1',
    chain: async () => {
      const ca = await make({ subject: 'CN=Sha1 CA', issuer: root, ca: true, signatureHash: 'SHA-1' });
      return [await make({ subject: 'CN=l', issuer: ca }), ca];
    },
    rule: 'signature-algorithm',
    depth: 1,
    reason: /'CN=Sha1 CA' \(depth 1\): it is signed with/,
  },
  {
    title: 'signature: the right name with the wrong key',
    chain: async () => {
      const impostor = await make({ subject: 'CN=Issuing CA', ca: true, issuer: root, keyIdentifiers: false });
      return [leaf, impostor];
    },
    rule: 'signature',
    depth: 0,
    reason: /does not verify with the key of 'CN=Issuing CA'/,
  },
  {
    title: 'key-identifiers: the right name with another subjectKeyIdentifier',
    chain: async () => [leaf, await make({ subject: 'CN=Issuing CA', ca: true, issuer: root })],
    rule: 'key-identifiers',
    depth: 0,
    reason: /authorityKeyIdentifier is [0-9A-F]{40}, but 'CN=Issuing CA' has.*provide the certificate of/,
  },
  {
    title: 'serial-number: zero',
    chain: async () => [await make({ subject: 'CN=l', issuer: issuing, serialHex: '00' }), issuing],
    rule: 'serial-number',
    depth: 0,
    reason: /serial number is 0/,
  },
  {
    title: 'serial-number: more than 20 octets',
    chain: async () => [await make({ subject: 'CN=l', issuer: issuing, serialHex: '01'.repeat(21) }), issuing],
    rule: 'serial-number',
    depth: 0,
    reason: /has 21 octets/,
  },
])('$title', async ({ chain, anchors, purpose, rule, depth, statusDetails, reason }) => {
  const verdict = refused(
    judge(await chain(), {
      ...(anchors === undefined ? {} : { anchors: await anchors() }),
      ...(purpose === undefined ? {} : { purpose }),
    }),
  );
  expect(verdict).toMatchObject({ rule, depth, statusDetails: statusDetails ?? CHAIN_FAILED });
  expect(verdict.reason).toMatch(reason);
});

describe('names', () => {
  test.each([
    ['a.example', true],
    ['A.Example', true],
    ['x.b.example', true],
    ['b.example', false],
    ['x.y.b.example', false],
    ['.b.example', false],
    ['*.b.example', false],
    ['leaf', false],
  ])('%s', (name, ok) => {
    const verdict = judge([leaf, issuing], { names: { dnsNames: [name], uris: [] } });
    expect(verdict.ok).toBe(ok);
    if (!verdict.ok) {
      expect(verdict).toMatchObject({
        rule: 'subject-alternative-name',
        depth: 0,
        statusDetails: 'ssl_certificate_san_verification_failed',
      });
      expect(verdict.reason).toContain('its SANs are DNS:a.example, DNS:*.b.example, URI:spiffe://a/b');
    }
  });

  test('URIs match byte for byte, and one match of several is enough', () => {
    const withUris = (...uris: string[]) => judge([leaf, issuing], { names: { dnsNames: ['no.example'], uris } }).ok;
    expect(withUris('spiffe://a/b')).toBe(true);
    expect(withUris('spiffe://x', 'spiffe://a/b')).toBe(true);
    expect(withUris('spiffe://A/b')).toBe(false);
  });

  test('come after the chain', () => {
    const verdict = refused(judge([leaf], { names: { dnsNames: ['no.example'], uris: [] } }));
    expect(verdict.rule).toBe('trust-anchor');
  });
});

describe('the allowlist', () => {
  test('admits an expired, self-signed, weak leaf without EKU, and nothing but that leaf', async () => {
    const odd = { dnsNames: ['a.example'], extendedKeyUsage: null, ...past() } as const;
    const listed = await make({ subject: 'CN=odd', ...odd });
    const twin = await make({ subject: 'CN=odd', ...odd, keyFrom: listed });
    const options = { anchors: [], allowlist: [listed] };
    expect(judge([listed], options)).toMatchObject({ ok: true, by: 'allowlist', notAfterMs: Number.POSITIVE_INFINITY });
    expect(judge([twin], options)).toMatchObject({ ok: false });
    expect(judge([leaf, listed], options)).toMatchObject({ ok: false });
  });

  test('keeps the SAN rule', () => {
    const names = { dnsNames: ['no.example'], uris: [] };
    expect(refused(judge([leaf], { anchors: [], allowlist: [leaf], names })).rule).toBe('subject-alternative-name');
  });
});

describe('limits', () => {
  test('more than 10 certificates', () => {
    const verdict = refused(judge([leaf, ...Array.from({ length: 10 }, () => issuing)]));
    expect(verdict).toMatchObject({ rule: 'chain-length', statusDetails: 'server_cert_chain_exceeded_limit' });
    expect(verdict.reason).toContain('the peer sent 11 certificates, expected at most 10');
  });

  test('more than 16 KiB', () => {
    const verdict = refused(verify({ ...request([leaf]), chain: [leaf.der, Buffer.alloc(16 * 1024)] }));
    expect(verdict).toMatchObject({ rule: 'chain-size', statusDetails: 'server_cert_exceeded_size_limit' });
  });

  test('a path of 10 certificates passes, one of 11 does not', async () => {
    const cas = [root];
    for (let index = 1; index <= 9; index++) {
      cas.push(await make({ subject: `CN=CA ${index}`, ca: true, issuer: cas[index - 1]! }));
    }
    const ten = await make({ subject: 'CN=ten', issuer: cas[8]! });
    const eleven = await make({ subject: 'CN=eleven', issuer: cas[9]! });
    const chainOf = (first: Issued, from: number) => [first, ...cas.slice(1, from + 1).toReversed()];
    expect(judge(chainOf(ten, 8))).toMatchObject({ ok: true });
    expect(refused(judge(chainOf(eleven, 9)))).toMatchObject({
      rule: 'search-limit',
      statusDetails: 'server_cert_validation_search_limit_exceeded',
    });
  });

  test('three intermediates of one subject and key pass, four do not', async () => {
    const crosses: Issued[] = [];
    for (let index = 0; index < 3; index++) {
      const stranger = await make({ subject: `CN=Stranger ${index}`, ca: true });
      crosses.push(await make({ subject: 'CN=Issuing CA', ca: true, issuer: stranger, keyFrom: issuing }));
    }
    expect(judge([leaf, crosses[0]!, crosses[1]!, issuing])).toMatchObject({ ok: true });
    expect(refused(judge([leaf, ...crosses, issuing]))).toMatchObject({
      rule: 'same-entity-limit',
      statusDetails: 'server_cert_pki_too_large',
      depth: 1,
    });
  });

  test('100 issuers examined end the search, however many there are', async () => {
    // Every CA of a layer is signed by every CA of the next: the number of paths is exponential, and none ends at an anchor.
    const sharedKeys = await Promise.all(Array.from({ length: 6 }, () => make({ subject: 'CN=key', ca: true })));
    const layers: Issued[][] = [];
    for (let layer = 0; layer < 6; layer++) {
      const above = layers[layer - 1] ?? [await make({ subject: 'CN=Nobody', ca: true })];
      const certificates: Issued[] = [];
      for (const key of sharedKeys.slice(0, 3)) {
        for (const issuer of above.slice(0, 3)) {
          const subject = `CN=Layer ${layer}`;
          certificates.push(await make({ subject, ca: true, issuer, keyFrom: key, keyIdentifiers: false }));
        }
      }
      layers.push(certificates);
    }
    const target = await make({ subject: 'CN=target', issuer: layers[5]![0]!, keyIdentifiers: false });
    expect(refused(judge([target], { intermediates: layers.flat() }))).toMatchObject({
      rule: 'search-limit',
      depth: 0,
    });
  });
});

describe('a malformed certificate', () => {
  test('as the leaf is refused at depth 0', () => {
    const verdict = refused(verify({ ...request([leaf]), chain: [leaf.der.subarray(0, -1), issuing.der] }));
    expect(verdict).toMatchObject({ rule: 'malformed-certificate', depth: 0, statusDetails: CHAIN_FAILED });
  });

  test('as the missing link is named at its depth', () => {
    const verdict = refused(verify({ ...request([leaf]), chain: [leaf.der, issuing.der.subarray(0, -1)] }));
    expect(verdict).toMatchObject({ rule: 'malformed-certificate', depth: 1 });
  });
});

test('any changed byte of the chain is refused, by a rule', () => {
  const original = request([leaf, issuing]);
  for (const [index, der] of original.chain.entries()) {
    for (let at = 0; at < der.length; at++) {
      const changed = Uint8Array.from(der);
      changed[at]! ^= 1 << (at % 8);
      const verdict = verify({ ...original, chain: original.chain.with(index, changed) });
      if (verdict.ok || verdict.rule === 'internal-error') throw new Error(`byte ${at} of certificate ${index}`);
    }
  }
  expect(verify(original).ok).toBe(true);
});

interface Options {
  readonly anchors?: readonly Issued[];
  readonly intermediates?: readonly Issued[];
  readonly allowlist?: readonly Issued[];
  readonly purpose?: Purpose;
  readonly names?: VerifyRequest['names'];
}

function judge(chain: readonly Issued[], options: Options = {}): Verdict {
  return verify(request(chain, options));
}

function request(chain: readonly Issued[], options: Options = {}): VerifyRequest {
  const ders = (list: readonly Issued[]) => list.map((one) => one.der);
  return {
    chain: ders(chain),
    store: trustStore({
      name: 'internal',
      anchors: ders(options.anchors ?? [root]),
      intermediates: ders(options.intermediates ?? []),
      allowlist: ders(options.allowlist ?? []),
      publicRoots: false,
    }),
    purpose: options.purpose ?? 'server',
    names: options.names ?? { dnsNames: [], uris: [] },
    atMs: NOW_MS,
  };
}

function refused(verdict: Verdict): Refused {
  if (verdict.ok) throw new Error(`accepted by ${verdict.by}`);
  return verdict;
}

function make(request: IssueRequest): Promise<Issued> {
  return issue({ ...VALID, ...request });
}

/** A CA under the root with these constraints, and a leaf of it with these names. */
async function constrained(ca: Partial<IssueRequest>, names: Partial<IssueRequest>): Promise<readonly Issued[]> {
  const limited = await make({ subject: 'CN=Limited CA', issuer: root, ca: true, ...ca });
  return [await make({ subject: 'CN=l', issuer: limited, ...names }), limited];
}

function past(): { readonly notBefore: Date; readonly notAfter: Date } {
  return { notBefore: new Date(NOW_MS - 90 * DAY_MS), notAfter: new Date(NOW_MS - 10 * DAY_MS) };
}

function unknownCritical() {
  return { oid: '1.3.6.1.4.1.55738.1', critical: true, valueDer: Uint8Array.of(5, 0) };
}

const made = new Map<string, Promise<Issued>>();

function once(name: string, create: () => Promise<Issued>): Promise<Issued> {
  const known = made.get(name) ?? create();
  made.set(name, known);
  return known;
}

function expiredRoot(): Promise<Issued> {
  return once('expired', () => make({ subject: 'CN=Expired Root', ca: true, ...past() }));
}

function limitedRoot(): Promise<Issued> {
  return once('limited', () => make({ subject: 'CN=Limited Root', ca: true, pathLength: 0 }));
}

function subOfLimited(): Promise<Issued> {
  return once('sub', async () => make({ subject: 'CN=Sub CA', ca: true, issuer: await limitedRoot() }));
}
