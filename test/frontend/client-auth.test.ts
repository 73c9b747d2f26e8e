import type { ConnectionOptions } from 'node:tls';
import type { ErrorCode } from '#src/base/errors.ts';
import { clientCertificateError } from '#src/frontend/client-auth.ts';
import type { Issued, IssueRequest } from '#src/pki/issue/contract.ts';
import { issue } from '#src/pki/issue/issue.ts';
import { type ClientMode, get, identity, startClientDoor, type Trust } from './_client-door.ts';
import { type TlsDoor, withTls } from './_tls-door.ts';

/*
 *   root ─┬─ issuing ── client
 *         ├─ server-only CA (EKU serverAuth) ── wrongIssuer
 *         └─ constrained CA (11 name constraints) ── constrained
 *   stranger ── unknown
 */
let root: Issued;
let issuing: Issued;
let client: Issued;
let doors: TlsDoor[] = [];

beforeAll(async () => {
  root = await issue({ subject: 'CN=Client Root', ca: true });
  issuing = await issue({ subject: 'CN=Client Issuing CA', ca: true, issuer: root });
  client = await leaf({});
});
afterEach(async () => {
  for (const door of doors) await door.close();
  doors = [];
});

function leaf(request: Partial<IssueRequest>): Promise<Issued> {
  return issue({ subject: 'CN=test client', issuer: issuing, extendedKeyUsage: ['clientAuth'], ...request });
}

async function open(mode: ClientMode, trust: Trust | null = { anchors: [root] }): Promise<TlsDoor> {
  const door = await startClientDoor(mode, trust, { policy: MODERN });
  doors.push(door);
  return door;
}

const MODERN = {
  profile: 'MODERN',
  minTlsVersion: 'TLS_1_2',
  customFeatures: [],
  postQuantumKeyExchange: 'DEFAULT',
  name: 'modern',
} as const;
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;

interface Case {
  readonly shows: string;
  readonly statusDetails: ErrorCode;
  readonly trust?: () => Promise<Trust>;
  readonly offer: () => Promise<ConnectionOptions>;
}

const YESTERDAY = new Date(Date.now() - 86_400_000);
const LAST_MONTH = new Date(Date.now() - 30 * 86_400_000);

const REFUSED: readonly Case[] = [
  { shows: 'no certificate', statusDetails: 'client_cert_not_provided', offer: async () => ({}) },
  {
    shows: 'a certificate of an unknown CA',
    statusDetails: 'client_cert_validation_failed',
    offer: async () => {
      const stranger = await issue({ subject: 'CN=Stranger', ca: true });
      return identity(await leaf({ issuer: stranger }), stranger);
    },
  },
  {
    shows: 'a self-signed certificate',
    statusDetails: 'client_cert_validation_failed',
    offer: async () => identity(await issue({ subject: 'CN=myself', extendedKeyUsage: ['clientAuth'] })),
  },
  {
    shows: 'an expired certificate',
    statusDetails: 'client_cert_validation_failed',
    offer: async () => identity(await leaf({ notBefore: LAST_MONTH, notAfter: YESTERDAY }), issuing),
  },
  {
    shows: 'a certificate signed with SHA-1',
    statusDetails: 'client_cert_validation_failed',
    offer: async () => identity(await leaf({ signatureHash: 'SHA-1' }), issuing),
  },
  {
    shows: 'a leaf without its intermediate',
    statusDetails: 'client_cert_validation_failed',
    offer: async () => identity(client),
  },
  {
    shows: 'an RSA key of 1024 bits',
    statusDetails: 'client_cert_invalid_rsa_key_size',
    offer: async () => identity(await leaf({ keyType: 'rsa-1024' }), issuing),
  },
  {
    shows: 'a P-521 key',
    statusDetails: 'client_cert_unsupported_elliptic_curve_key',
    offer: async () => identity(await leaf({ keyType: 'p521' }), issuing),
  },
  {
    shows: 'an Ed25519 key',
    statusDetails: 'client_cert_unsupported_key_algorithm',
    offer: async () => identity(await leaf({ keyType: 'ed25519' }), issuing),
  },
  {
    shows: 'a leaf for servers',
    statusDetails: 'client_cert_chain_invalid_eku',
    offer: async () => identity(await leaf({ extendedKeyUsage: ['serverAuth'] }), issuing),
  },
  {
    shows: 'a leaf without an extended key usage',
    statusDetails: 'client_cert_chain_invalid_eku',
    offer: async () => identity(await leaf({ extendedKeyUsage: null }), issuing),
  },
  {
    shows: 'an issuer that may only issue for servers',
    statusDetails: 'client_cert_chain_invalid_eku',
    offer: async () => {
      const issuer = await issue({ subject: 'CN=Server CA', ca: true, issuer: root, extendedKeyUsage: ['serverAuth'] });
      return identity(await leaf({ issuer }), issuer);
    },
  },
  {
    shows: 'an intermediate with 11 name constraints',
    statusDetails: 'client_cert_chain_max_name_constraints_exceeded',
    offer: async () => {
      const dns = Array.from({ length: 11 }, (_, index) => `d${index}.example`);
      const issuer = await issue({ subject: 'CN=Constrained CA', ca: true, issuer: root, permitted: { dns } });
      return identity(await leaf({ issuer, dnsNames: ['d1.example'] }), issuer);
    },
  },
  {
    shows: 'eleven certificates',
    statusDetails: 'client_cert_chain_exceeded_limit',
    offer: async () => identity(client, ...Array.from({ length: 10 }, () => issuing)),
  },
  {
    shows: 'more than 16 KiB of certificates',
    statusDetails: 'client_cert_exceeded_size_limit',
    offer: async () => identity(await leaf({ uris: [`https://long.example/${'x'.repeat(17_000)}`] }), issuing),
  },
  {
    shows: 'more certificates than OpenSSL reads',
    statusDetails: 'client_cert_exceeded_size_limit',
    offer: async () => identity(await leaf({ uris: [`https://long.example/${'x'.repeat(120_000)}`] }), issuing),
  },
  {
    shows: 'four intermediates of one subject and key',
    statusDetails: 'client_cert_pki_too_large',
    offer: async () => {
      const same = { subject: 'CN=Same CA', ca: true, keyFrom: issuing } as const;
      const copies = [];
      for (let i = 0; i < 4; i++) copies.push(await issue({ ...same, issuer: root }));
      return identity(await leaf({ issuer: copies[0]! }), ...copies);
    },
  },
  {
    shows: 'a chain that is too deep',
    statusDetails: 'client_cert_validation_search_limit_exceeded',
    trust: async () => ({ anchors: [root], intermediates: await deepCas() }),
    offer: async () => identity(await leaf({ issuer: (await deepCas()).at(-1)! })),
  },
];

let deep: Promise<readonly Issued[]> | undefined;

/** Ten CAs in a row: with root and leaf two more than may be. */
function deepCas(): Promise<readonly Issued[]> {
  deep ??= (async () => {
    const cas: Issued[] = [];
    for (let i = 0; i < 10; i++) {
      cas.push(await issue({ subject: `CN=Deep ${i}`, ca: true, issuer: cas.at(-1) ?? root }));
    }
    return cas;
  })();
  return deep;
}

describe.each(VERSIONS)('REJECT_INVALID on %s', (version) => {
  const only = { minVersion: version, maxVersion: version } as const;

  test.each(REFUSED)('closes a client that shows $shows: $statusDetails', async ({ statusDetails, trust, offer }) => {
    const door = await open('REJECT_INVALID', await trust?.());
    const answer = await get(door.connect({ ...only, ...(await offer()) }));
    await door.recorder.until(() => door.recorder.handshakeFailures.length === 1);
    const [failure] = door.recorder.handshakeFailures;
    expect(failure).toMatchObject({ reason: statusDetails, statusDetails, side: 'client', sni: 'localhost' });
    expect(failure?.detail).not.toBe('');
    expect(answer).toBe('');
    expect(door.recorder.exchanges).toEqual([]);
    expect(door.recorder.handshakes).toEqual([]);
  });

  test('admits a client whose chain verifies, and its facts say so', async () => {
    const door = await open('REJECT_INVALID');
    const socket = door.connect({ ...only, ...identity(client, issuing) });
    expect(await get(socket)).toMatch(/^HTTP\/1\.1 200 /);
    const facts = door.recorder.handshakes[0]?.tls.clientCertificate;
    expect(facts).toMatchObject({ present: true, verified: true, error: null, reason: '' });
    expect(facts?.chain.map((der) => Buffer.from(der))).toEqual([client, issuing].map(({ der }) => Buffer.from(der)));
    expect(facts?.leaf?.subject).toBe('CN=test client');
  });

  test('admits an allowlisted certificate that verifies in no other way', async () => {
    const expired = await issue({ subject: 'CN=old friend', notBefore: LAST_MONTH, notAfter: YESTERDAY });
    const door = await open('REJECT_INVALID', { allowlist: [expired] });
    expect(await get(door.connect({ ...only, ...identity(expired) }))).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('resumes no session: neither one of its own nor one of the same name without client authentication (security rule 19)', async () => {
    const door = await open('REJECT_INVALID');
    const authenticating = door.proxy;
    const { startTlsDoor } = await import('./_tls-door.ts');
    const plain = await startTlsDoor({ policy: MODERN });
    doors.push(plain);
    const sessions: Buffer[] = [];
    const first = plain.connect({ ...only });
    first.on('session', (session) => sessions.push(session));
    await get(first);
    expect(sessions.length).toBeGreaterThan(0);
    // the ticket is good where it comes from …
    const again = plain.connect({ ...only, session: sessions.at(-1)! });
    await get(again);
    expect(again.isSessionReused()).toBe(true);
    // … and opens nothing at the door that authenticates, whoever offers it, also when that takes the plain door's place
    plain.proxy = withTls(authenticating, { certificates: plain.proxy.tls!.certificates });
    for (const target of [door, plain]) {
      expect(await get(target.connect({ ...only, session: sessions.at(-1)! }))).toBe('');
      const failure = target.recorder.handshakeFailures.at(-1);
      expect(failure?.statusDetails).toBe('client_cert_not_provided');
    }
    const known = door.connect({ ...only, ...identity(client, issuing), session: sessions.at(-1)! });
    const offered: Buffer[] = [];
    known.on('session', (session) => offered.push(session));
    expect(await get(known)).toMatch(/^HTTP\/1\.1 200 /);
    expect(known.isSessionReused()).toBe(false);
    // what OpenSSL sends all the same is a name of a session that nobody keeps
    const later = door.connect({ ...only, ...identity(client, issuing), ...(offered[0] && { session: offered[0] }) });
    expect(await get(later)).toMatch(/^HTTP\/1\.1 200 /);
    expect(later.isSessionReused()).toBe(false);
    expect(door.recorder.handshakes.at(-1)?.tls.clientCertificate?.chain).toHaveLength(2);
  });
});

describe('ALLOW_INVALID_OR_MISSING_CLIENT_CERT', () => {
  test.each(REFUSED.filter(({ shows }) => shows !== 'more certificates than OpenSSL reads'))(
    'serves a client that shows $shows, and its facts say $statusDetails',
    async (refused) => {
      const door = await open('ALLOW_INVALID_OR_MISSING_CLIENT_CERT', await refused.trust?.());
      const offer = await refused.offer();
      expect(await get(door.connect(offer))).toMatch(/^HTTP\/1\.1 200 /);
      const facts = door.recorder.handshakes[0]?.tls.clientCertificate;
      expect(facts).toMatchObject({ present: 'cert' in offer, verified: false, error: refused.statusDetails });
    },
  );

  test('without a trust config nothing is verified', async () => {
    const door = await open('ALLOW_INVALID_OR_MISSING_CLIENT_CERT', null);
    expect(await get(door.connect(identity(client, issuing)))).toMatch(/^HTTP\/1\.1 200 /);
    const facts = door.recorder.handshakes[0]?.tls.clientCertificate;
    expect(facts).toMatchObject({ present: true, verified: false, error: 'client_cert_validation_not_performed' });
  });
});

test('a proxy without a serverTlsPolicy asks for nothing', async () => {
  const { startTlsDoor } = await import('./_tls-door.ts');
  const door = await startTlsDoor();
  doors.push(door);
  expect(await get(door.connect(identity(client, issuing)))).toMatch(/^HTTP\/1\.1 200 /);
  expect(door.recorder.handshakes[0]?.tls.clientCertificate ?? null).toBeNull();
});

describe('clientCertificateError()', () => {
  test.each([
    ['ERR_SSL_BAD_SIGNATURE', 'client_cert_validation_failed'],
    ['ERR_SSL_WRONG_SIGNATURE_TYPE', 'client_cert_validation_failed'],
    ['ERR_SSL_WRONG_CURVE', 'client_cert_unsupported_elliptic_curve_key'],
    ['ERR_OSSL_ASN1_WRONG_TAG', 'client_cert_validation_failed'],
  ])('reads %s as %s', (code, word) => {
    expect(clientCertificateError(code)).toBe(word);
  });

  test.each(['ERR_SSL_NO_SHARED_CIPHER', 'ECONNRESET', 'ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE', ''])(
    'leaves %j to the other reasons',
    (code) => {
      expect(clientCertificateError(code)).toBeNull();
    },
  );
});
