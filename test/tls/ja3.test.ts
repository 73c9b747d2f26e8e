import { createHash } from 'node:crypto';
import { ja3, ja3Text } from '#src/tls/ja3.ts';
import { parsedHello } from './captured-hello.ts';
import { helloBytes } from './raw-hello.ts';

// The two worked examples of salesforce/ja3's README.
test('`ja3()` gives the published value for a hello with extensions', () => {
  const suites = [47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4];
  const hello = parsedHello(
    helloBytes({ legacyVersion: 769, suites, serverName: 'example.test', groups: [23, 24, 25], pointFormats: [0] }),
  );
  expect(ja3Text(hello)).toBe('769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0');
  expect(ja3(hello)).toBe('ada70206e40642a3e4461f35503241d5');
});

test('`ja3()` gives the published value for a hello without extensions', () => {
  const hello = parsedHello(helloBytes({ legacyVersion: 769, suites: [4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99] }));
  expect(ja3Text(hello)).toBe('769,4-5-10-9-100-98-3-6-19-18-99,,,');
  expect(ja3(hello)).toBe('de350869b8c85de67a350c8d186f11e6');
});

test('`ja3()` ignores GREASE wherever it stands', () => {
  const plain = { suites: [0x1301, 0xc02b], groups: [29, 23], pointFormats: [0], versions: [0x0304] };
  const greased = {
    suites: [0x4a4a, 0x1301, 0xc02b],
    groups: [0xfafa, 29, 23],
    pointFormats: [0],
    versions: [0x0a0a, 0x0304],
    extensions: [[0x1a1a, Buffer.alloc(0)]] as const,
  };
  const text = ja3Text(parsedHello(helloBytes(plain)));
  expect(ja3Text(parsedHello(helloBytes(greased)))).toBe(text);
  expect(ja3(parsedHello(helloBytes(plain)))).toBe(createHash('md5').update(text).digest('hex'));
});
