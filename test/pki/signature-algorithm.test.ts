import { constants, generateKeyPairSync, sign } from 'node:crypto';
import { isSignedBy, readSignatureAlgorithm } from '#src/pki/signature-algorithm.ts';

const SHA256 = '300d 0609 608648016503040201 0500';
const SHA1 = '3007 0605 2b0e03021a';
const MGF1 = '0609 2a864886f70d010108';

/** AlgorithmIdentifier of RSASSA-PSS with these parameters. */
function pss(hash: string, maskHash: string, saltBytes: number): Buffer {
  const parts = [wrap(0xa0, bytes(hash)), wrap(0xa1, wrap(0x30, bytes(MGF1), bytes(maskHash)))];
  const salt = wrap(0xa2, Buffer.of(2, 1, saltBytes));
  return wrap(0x30, bytes('0609 2a864886f70d01010a'), wrap(0x30, ...parts, salt));
}

test.each([
  ['sha256WithRSA', bytes('300d 0609 2a864886f70d01010b 0500'), { kind: 'RSA', hash: 'sha256' }],
  ['sha512WithRSA without NULL', bytes('300b 0609 2a864886f70d01010d'), { kind: 'RSA', hash: 'sha512' }],
  ['ecdsa-with-SHA384', bytes('300a 0608 2a8648ce3d040303'), { kind: 'ECDSA', hash: 'sha384' }],
  ['PSS with SHA-256', pss(SHA256, SHA256, 32), { kind: 'RSA-PSS', hash: 'sha256' }],
])('`readSignatureAlgorithm()` takes %s', (_, der, expected) => {
  expect(readSignatureAlgorithm(der)).toEqual(expected);
});

test.each([
  ['sha1WithRSA', bytes('300d 0609 2a864886f70d010105 0500')],
  ['ecdsa-with-SHA256 with NULL', bytes('300c 0608 2a8648ce3d040302 0500')],
  ['sha256WithRSA with other parameters', bytes('300e 0609 2a864886f70d01010b 020100')],
  ['PSS without parameters, which means SHA-1', bytes('300b 0609 2a864886f70d01010a')],
  ['PSS with SHA-1', pss(SHA1, SHA1, 20)],
  ['PSS with two hashes', pss(SHA256, SHA1, 32)],
  ['PSS with a short salt', pss(SHA256, SHA256, 20)],
  ['Ed25519', bytes('3005 0603 2b6570')],
])('`readSignatureAlgorithm()` does not support %s', (_, der) => {
  expect(readSignatureAlgorithm(der).kind).toBe('unsupported');
});

test('`isSignedBy()` checks PSS, and never takes one algorithm for another', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const data = Buffer.from('signed');
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  const signature = sign('sha256', data, { key: privateKey, padding, saltLength: 32 });
  const shortSalt = sign('sha256', data, { key: privateKey, padding, saltLength: 20 });
  const algorithm = readSignatureAlgorithm(pss(SHA256, SHA256, 32));
  expect(isSignedBy(publicKey, algorithm, data, signature)).toBe(true);
  expect(isSignedBy(publicKey, algorithm, data, shortSalt)).toBe(false);
  expect(isSignedBy(publicKey, { kind: 'RSA', hash: 'sha256' }, data, signature)).toBe(false);
  expect(isSignedBy(ec.publicKey, algorithm, data, signature)).toBe(false);
  expect(isSignedBy(ec.publicKey, { kind: 'ECDSA', hash: 'sha256' }, data, Buffer.of(0x30))).toBe(false);
});

function bytes(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex');
}

function wrap(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.of(tag, content.length), content]);
}
