import fc from 'fast-check';
import { readPem, readPrivateKey, writeCertificates } from '#src/config/pem.ts';
import { testPki } from '../harness/pki.ts';

describe('readPem()', () => {
  test('reads every block and ignores what stands around them', async () => {
    const { root, server } = await testPki();
    const text = `# comment\n${server.certificatePem}\r\nmore\n${server.privateKeyPem}${root.certificatePem}`;
    const blocks = readPem(text);
    expect(blocks?.map(({ label }) => label)).toEqual(['CERTIFICATE', 'PRIVATE KEY', 'CERTIFICATE']);
    expect(Buffer.from(blocks?.[0]?.der ?? []).equals(server.der)).toBe(true);
  });

  test('takes CRLF line ends, and gives back what writeCertificates() wrote', async () => {
    const { root, server } = await testPki();
    const text = writeCertificates([server.der, root.der]);
    expect(text).toBe(server.certificatePem + root.certificatePem);
    expect(readPem(text.replaceAll('\n', '\r\n'))?.map(({ der }) => Buffer.from(der))).toEqual([
      Buffer.from(server.der),
      Buffer.from(root.der),
    ]);
  });

  test.each([
    '-----BEGIN',
    '-----BEGIN X-----',
    '-----BEGIN X-----\nAA\n-----END Y-----',
    '-----BEGIN X-----\n!!\n-----END X-----',
    '-----BEGIN X-----\n-----END X-----',
  ])('a broken block is refused: %j', (text) =>
    expect(text === '-----BEGIN' ? readPem(text) : (readPem(text) ?? 'broken')).toEqual(
      text === '-----BEGIN' ? [] : 'broken',
    ),
  );

  test('never throws', () => {
    const piece = fc.constantFrom(
      '-----BEGIN ',
      '-----END ',
      '-----',
      'CERTIFICATE',
      '\n',
      'AAAA',
      '=',
      ' ',
      'ENCRYPTED',
      'PRIVATE KEY',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        readPem(pieces.join(''));
        readPrivateKey(pieces.join(''));
      }),
    );
  });
});

test('readPrivateKey() says what is wrong without repeating any of it', () => {
  const { key, problem } = readPrivateKey('-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n');
  expect(key).toBeNull();
  expect(problem).toBe('found a private key that OpenSSL cannot read, expected PKCS#8, PKCS#1 or SEC 1');
});
