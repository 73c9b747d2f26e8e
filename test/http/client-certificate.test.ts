import { createHash } from 'node:crypto';
import { type ClientCertificateFacts, type ClientLeaf, clientCertificateValues } from '#src/http/client-certificate.ts';

const leafDer = Buffer.from('the leaf');
const leaf: ClientLeaf = {
  sha256: createHash('sha256').update(leafDer).digest('hex'),
  serialHex: '0f1e2d',
  subject: 'CN=client',
  issuer: 'CN=ca',
  subjectDer: Buffer.from('subject'),
  issuerDer: Buffer.from('issuer'),
  notBeforeMs: Date.UTC(2022, 6, 1, 18, 5, 9),
  notAfterMs: Date.UTC(2049, 11, 31, 23, 59, 59),
  dnsNames: ['a.example', 'b.example'],
  uris: ['https://one.example/', 'spiffe://prod.example/ns/pets/sa/cat', 'urn:two'],
};

function verified(changes: Partial<ClientLeaf> = {}, chain: readonly Uint8Array[] = [leafDer]): ClientCertificateFacts {
  return { present: true, verified: true, error: null, reason: '', chain, leaf: { ...leaf, ...changes } };
}

describe('clientCertificateValues()', () => {
  test('writes each value as documented', () => {
    const intermediates = [Buffer.from('issuing'), Buffer.from('root')];
    expect(clientCertificateValues(verified({}, [leafDer, ...intermediates]))).toEqual({
      client_cert_present: 'true',
      client_cert_chain_verified: 'true',
      client_cert_error: '',
      client_cert_sha256_fingerprint: 'OryXoXh9Xz7B5XsFiEVK1G4xGn45ZjS4sLwiCjVt4Fs',
      client_cert_serial_number: '0f1e2d',
      client_cert_spiffe_id: 'spiffe://prod.example/ns/pets/sa/cat',
      client_cert_uri_sans: 'aHR0cHM6Ly9vbmUuZXhhbXBsZS8=,dXJuOnR3bw==',
      client_cert_dnsname_sans: 'YS5leGFtcGxl,Yi5leGFtcGxl',
      client_cert_valid_not_before: '2022-07-01T18:05:09+00:00',
      client_cert_valid_not_after: '2049-12-31T23:59:59+00:00',
      client_cert_issuer_dn: 'aXNzdWVy',
      client_cert_subject_dn: 'c3ViamVjdA==',
      client_cert_leaf: ':dGhlIGxlYWY=:',
      client_cert_chain: ':aXNzdWluZw==:, :cm9vdA==:',
    });
  });

  test('names nobody where the proxy did not ask', () => {
    const values = clientCertificateValues(null);
    expect(values.client_cert_present).toBe('false');
    expect(values.client_cert_chain_verified).toBe('false');
    expect(Object.values(values).filter((value) => value !== '')).toEqual(['false', 'false']);
  });

  test('passes the certificate itself only when it is verified', () => {
    const values = clientCertificateValues({
      ...verified(),
      verified: false,
      error: 'client_cert_validation_failed',
    });
    expect(values.client_cert_error).toBe('client_cert_validation_failed');
    expect(values.client_cert_leaf).toBe('');
    expect(values.client_cert_chain).toBe('');
    expect(values.client_cert_subject_dn).toBe('c3ViamVjdA==');
  });

  test.each([
    ['serial_number', { serialHex: 'a'.repeat(50) }, { serialHex: 'a'.repeat(51) }],
    ['uri_sans', { uris: ['u'.repeat(384)] }, { uris: ['u'.repeat(385)] }],
    ['dnsname_sans', { dnsNames: ['d'.repeat(384)] }, { dnsNames: ['d'.repeat(385)] }],
    ['issuer_dn', { issuerDer: Buffer.alloc(384) }, { issuerDer: Buffer.alloc(385) }],
    ['subject_dn', { subjectDer: Buffer.alloc(384) }, { subjectDer: Buffer.alloc(385) }],
    ['spiffe_id', { uris: [spiffeOf(2048)] }, { uris: [spiffeOf(2049)] }],
  ] as const)('leaves %s empty beyond its limit, and says so', (name, fits, exceeds) => {
    expect(clientCertificateValues(verified(fits))[`client_cert_${name}`]).not.toBe('');
    expect(clientCertificateValues(verified(fits)).client_cert_error).toBe('');
    const values = clientCertificateValues(verified(exceeds));
    expect(values[`client_cert_${name}`]).toBe('');
    expect(values.client_cert_error).toBe(`client_cert_${name}_exceeded_size_limit`);
  });

  test('counts leaf and chain together', () => {
    const fits = clientCertificateValues(verified({}, [Buffer.alloc(6000), Buffer.alloc(6000)]));
    expect(fits.client_cert_leaf).not.toBe('');
    expect(fits.client_cert_chain).not.toBe('');
    const exceeds = clientCertificateValues(verified({}, [Buffer.alloc(6000), Buffer.alloc(7000)]));
    expect(exceeds.client_cert_leaf).not.toBe('');
    expect(exceeds.client_cert_chain).toBe('');
    expect(exceeds.client_cert_error).toBe('client_cert_validated_chain_exceeded_size_limit');
    const leafOnly = clientCertificateValues(verified({}, [Buffer.alloc(13_000)]));
    expect(leafOnly.client_cert_leaf).toBe('');
    expect(leafOnly.client_cert_error).toContain('client_cert_validated_leaf_exceeded_size_limit');
  });

  test('lists several errors, comma separated, the verdict first', () => {
    const facts = verified({ serialHex: 'a'.repeat(60), dnsNames: ['d'.repeat(400)] });
    const values = clientCertificateValues({ ...facts, verified: false, error: 'client_cert_chain_invalid_eku' });
    expect(values.client_cert_error).toBe(
      'client_cert_chain_invalid_eku,client_cert_serial_number_exceeded_size_limit,client_cert_dnsname_sans_exceeded_size_limit',
    );
  });

  test.each([
    ['spiffe://domain', 'spiffe://domain'],
    ['spiffe://domain/a/b', 'spiffe://domain/a/b'],
    ['spiffe://domain/', ''],
    ['spiffe://domain//b', ''],
    ['spiffe://domain/../b', ''],
    ['spiffe://DOMAIN/b', ''],
    ['spiffe://domain:443/b', ''],
    ['spiffe://user@domain/b', ''],
    ['spiffe://domain/b?c', ''],
    ['spiffe://domain/b\r\nx: y', ''],
    ['SPIFFE://domain/b', ''],
    ['spiffe:///b', ''],
  ])('takes %j as the SPIFFE ID %j', (uri, expected) => {
    const values = clientCertificateValues(verified({ uris: [uri] }));
    expect(values.client_cert_spiffe_id).toBe(expected);
    expect(values.client_cert_uri_sans).toBe('');
  });

  test('has no SPIFFE ID where there are two', () => {
    const values = clientCertificateValues(verified({ uris: ['spiffe://a/1', 'spiffe://a/2'] }));
    expect(values.client_cert_spiffe_id).toBe('');
  });
});

function spiffeOf(length: number): string {
  return `spiffe://d/${'x'.repeat(length - 'spiffe://d/'.length)}`;
}
