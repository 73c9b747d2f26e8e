import type { ClientHello } from '#src/tls/client-hello.ts';
import { ja4, ja4Raw } from '#src/tls/ja4.ts';
import { parsedHello } from './captured-hello.ts';
import { helloBytes } from './raw-hello.ts';

// FoxIO's technical_details/JA4.md: a Chrome hello, its parts and its hashes.
const SUITES = codes('1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035');
const EXTENSIONS = codes('001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015');
const SCHEMES = codes('0403,0804,0401,0503,0805,0501,0806,0601');
const CHROME: ClientHello = {
  ...parsedHello(helloBytes({ suites: SUITES, versions: [0x0a0a, 0x0304, 0x0303] })),
  extensions: EXTENSIONS,
  signatureAlgorithms: SCHEMES,
  alpn: ['h2', 'http/1.1'],
  serverName: 'example.test',
};

test('`ja4()` gives the published value', () => {
  expect(ja4(CHROME)).toBe('t13d1516h2_8daaf6152771_e5627efa2ab1');
});

test('`ja4Raw()` gives the published text', () => {
  expect(ja4Raw(CHROME)).toBe(
    't13d1516h2_002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9_' +
      '0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01_0403,0804,0401,0503,0805,0501,0806,0601',
  );
});

test('`ja4()` hashes extensions alone when there are no signature algorithms', () => {
  expect(ja4({ ...CHROME, signatureAlgorithms: null })).toBe('t13d1516h2_8daaf6152771_6d807ffa2a79');
});

test('`ja4()` marks versions, missing SNI, missing extensions and large counts', () => {
  const bare = parsedHello(helloBytes({ legacyVersion: 0x0301, suites: [0x002f] }));
  expect(ja4(bare)).toMatch(/^t10i010000_[0-9a-f]{12}_000000000000$/);
  const many = { ...CHROME, cipherSuites: Array.from({ length: 120 }, (_, i) => i) };
  expect(ja4(many)).toMatch(/^t13d9916h2_/);
  expect(ja4({ ...CHROME, supportedVersions: null, legacyVersion: 0x0300 })).toMatch(/^ts3d/);
  expect(ja4({ ...CHROME, supportedVersions: [0x7f1c] })).toMatch(/^t00d/);
});

// The published examples of names whose ends are not alphanumeric.
test.each([
  ['http/1.1', 'h1'],
  ['a', 'aa'],
  ['\xab', 'ab'],
  ['\xab\xcd', 'ad'],
  ['0\xab', '3b'],
  ['01\xab\xcd', '3d'],
  ['0\xab\xcd1', '01'],
])('`ja4()` marks the ALPN value %j as %s', (protocol, mark) => {
  expect(ja4({ ...CHROME, alpn: [protocol] }).slice(8, 10)).toBe(mark);
});

function codes(list: string): number[] {
  return list.split(',').map((code) => Number.parseInt(code, 16));
}
