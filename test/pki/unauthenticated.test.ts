import { issue } from '#src/pki/issue/issue.ts';
import { verifyUnauthenticated } from '#src/pki/unauthenticated.ts';

const NO_NAMES = { dnsNames: [], uris: [] };

test('an expired self-signed P-256 certificate without keyUsage passes', async () => {
  const { der } = await issue({
    subject: 'CN=any',
    keyUsage: null,
    notBefore: new Date('2001-01-01T00:00:00Z'),
    notAfter: new Date('2001-02-01T00:00:00Z'),
  });
  const verdict = verifyUnauthenticated({ chain: [der], names: NO_NAMES });
  expect(verdict).toMatchObject({ ok: true, by: 'unauthenticated', notAfterMs: Number.POSITIVE_INFINITY });
});

test('an RSA leaf needs digitalSignature and keyEncipherment (spec 10.12)', async () => {
  const usages = [['digitalSignature', 'keyEncipherment'], ['digitalSignature'], ['keyEncipherment'], null] as const;
  const keys = await issue({ subject: 'CN=keys', keyType: 'rsa-2048' });
  const verdicts = [];
  for (const keyUsage of usages) {
    const { der } = await issue({ subject: 'CN=rsa', keyFrom: keys, keyUsage });
    verdicts.push(verifyUnauthenticated({ chain: [der], names: NO_NAMES }));
  }
  expect(verdicts.map((verdict) => verdict.ok)).toEqual([true, false, false, false]);
  expect(verdicts[3]).toMatchObject({
    rule: 'key-usage',
    depth: 0,
    statusDetails: 'ssl_certificate_chain_verification_failed',
    reason:
      "Cannot trust 'CN=rsa' (depth 0): its RSA key has no keyUsage, expected digitalSignature and keyEncipherment, even where " +
      'backends are not authenticated; reissue it with both',
  });
});

test('expected names still count (spec 10.11)', async () => {
  const { der } = await issue({ subject: 'CN=a.example', dnsNames: ['b.example'] });
  const judge = (name: string) => verifyUnauthenticated({ chain: [der], names: { dnsNames: [name], uris: [] } });
  expect(judge('b.example')).toMatchObject({ ok: true });
  expect(judge('a.example')).toMatchObject({ statusDetails: 'ssl_certificate_san_verification_failed' });
});

test('no certificate, and one that cannot be parsed', () => {
  const judge = (chain: readonly Uint8Array[]) => verifyUnauthenticated({ chain, names: NO_NAMES });
  expect(judge([])).toMatchObject({ rule: 'no-certificate', statusDetails: 'server_cert_not_provided' });
  expect(judge([Uint8Array.of(0x30)])).toMatchObject({ rule: 'malformed-certificate' });
});
