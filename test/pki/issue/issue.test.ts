import { createPrivateKey, X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import type { IssuedKeyType } from '#src/pki/issue/contract.ts';
import { issue } from '#src/pki/issue/issue.ts';

describe('issue()', () => {
  test.each<IssuedKeyType>(['rsa-2048', 'p256', 'p384', 'p521', 'ed25519'])(
    'issues a chain with %s keys whose signatures hold and whose key fits',
    async (keyType) => {
      const root = await issue({ subject: 'CN=Root,O=Sallyport', ca: true, keyType });
      const leaf = await issue({ subject: 'CN=leaf', issuer: root, keyType, dnsNames: ['a.example'] });
      const rootCertificate = new X509Certificate(root.certificatePem);
      const certificate = new X509Certificate(leaf.certificatePem);
      expect(rootCertificate.verify(rootCertificate.publicKey)).toBe(true);
      expect(certificate.verify(rootCertificate.publicKey)).toBe(true);
      expect(certificate.checkIssued(rootCertificate)).toBe(true);
      expect(certificate.checkPrivateKey(createPrivateKey(leaf.privateKeyPem))).toBe(true);
      expect(leaf.privateKeyPem).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
      expect([rootCertificate.ca, certificate.ca]).toEqual([true, false]);
    },
  );

  test('writes each alternative name in its own form', async () => {
    const { certificatePem } = await issue({
      subject: '',
      dnsNames: ['a.example', '*.b.example'],
      ipAddresses: ['192.0.2.1', '2001:db8::1', '::ffff:198.51.100.7'],
      uris: ['spiffe://example/workload'],
      emails: ['ops@example.com'],
    });
    const names = new X509Certificate(certificatePem).subjectAltName;
    expect(names).toBe(
      'DNS:a.example, DNS:*.b.example, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1, ' +
        'IP Address:0:0:0:0:0:FFFF:C633:6407, URI:spiffe://example/workload, email:ops@example.com',
    );
  });

  test('writes any IPv4 or IPv6 address, however it is abbreviated, so that Node finds it again', async () => {
    const keyFrom = await issue({ subject: 'CN=key' });
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.ipV4(), fc.ipV6()), async (address) => {
        const { der } = await issue({ subject: 'CN=a', keyFrom, ipAddresses: [address] });
        expect(new X509Certificate(der).checkIP(address)).toBe(address);
      }),
      { numRuns: 200 },
    );
  });

  test('gives every attribute of a name an RDN of its own, in the reverse of the text (RFC 4514 §2.1)', async () => {
    const { certificatePem } = await issue({ subject: 'CN=one\\, two,O=Sallyport,C=DE' });
    expect(new X509Certificate(certificatePem).subject).toBe('C=DE\nO=Sallyport\nCN=one\\, two');
  });

  test('keeps a serial number positive that begins with a set bit', async () => {
    const { certificatePem } = await issue({ subject: 'CN=a', serialHex: 'ff01' });
    expect(new X509Certificate(certificatePem).serialNumber).toBe('FF01');
  });

  test('writes GeneralizedTime from 2050 on', async () => {
    const notAfter = new Date('2055-06-01T00:00:00Z');
    const issued = await issue({ subject: 'CN=a', notBefore: new Date('2049-12-31T23:59:59Z'), notAfter });
    expect(new X509Certificate(issued.der).validToDate).toEqual(notAfter);
    expect(Buffer.from(issued.der).includes('491231235959Z')).toBe(true);
    expect(Buffer.from(issued.der).includes('20550601000000Z')).toBe(true);
  });

  test('cross-signs a key under a second issuer', async () => {
    const [one, two] = [await issue({ subject: 'CN=One', ca: true }), await issue({ subject: 'CN=Two', ca: true })];
    const first = await issue({ subject: 'CN=Issuing', ca: true, issuer: one });
    const second = await issue({ subject: 'CN=Issuing', ca: true, issuer: two, keyFrom: first });
    const leaf = new X509Certificate((await issue({ subject: 'CN=leaf', issuer: first })).der);
    expect(leaf.checkIssued(new X509Certificate(second.der))).toBe(true);
    expect(new X509Certificate(second.der).checkIssued(new X509Certificate(two.der))).toBe(true);
    expect(second.privateKeyPem).toBe(first.privateKeyPem);
  });

  test.each(['SHA-1', 'SHA-256', 'SHA-384', 'SHA-512'] as const)(
    'signs with %s where asked to',
    async (signatureHash) => {
      const certificate = new X509Certificate((await issue({ subject: 'CN=a', signatureHash })).der);
      expect(certificate.signatureAlgorithm).toBe(`ecdsa-with-${signatureHash.replace('-', '')}`);
      expect(certificate.verify(certificate.publicKey)).toBe(true);
    },
  );

  test('leaves out what it is told to leave out', async () => {
    const plain = await issue({
      subject: 'CN=a',
      basicConstraints: false,
      keyUsage: null,
      extendedKeyUsage: null,
      keyIdentifiers: false,
    });
    expect(Buffer.from(plain.der).includes(Buffer.from('0603551d', 'hex'))).toBe(false); // id-ce
  });

  test.each([
    [{ subject: 'XX=a' }, /'XX=a', expected TYPE=value/],
    [{ subject: 'CN=' }, /'CN' is empty/],
    [{ subject: 'CN=a+O=b' }, /multi-valued/],
    [{ subject: 'CN=a', ipAddresses: ['999.1.1.1'] }, /address '999\.1\.1\.1'/],
    [{ subject: 'CN=a', serialHex: 'abc' }, /serial number 'abc'/],
    [{ subject: 'CN=a', permitted: { ip: ['10.0.0.0/33'] } }, /prefix length of 0 to 32/],
  ])('refuses %j by name', async (request, message) => {
    await expect(issue(request)).rejects.toThrow(message);
  });
});
