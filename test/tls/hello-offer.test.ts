import fc from 'fast-check';
import { clientPresets, presetHello } from '#src/tls/client-presets.ts';
import { helloOffer, offeredHello } from '#src/tls/hello-offer.ts';
import { ja3 } from '#src/tls/ja3.ts';
import { ja4 } from '#src/tls/ja4.ts';
import { negotiate } from '#src/tls/negotiate.ts';
import { effectivePolicy } from '#src/tls/ssl-policy.ts';
import { parsedHello } from './captured-hello.ts';
import { entryFor } from './entries.ts';
import { helloBytes } from './raw-hello.ts';
import { rawHellos } from './raw-hello-arbitrary.ts';

test('`helloOffer()` is one line that can be read', () => {
  const chrome = clientPresets().find(({ name }) => name === 'chrome-101')!;
  expect(helloOffer(presetHello(chrome, 'any.example'))).toBe(
    '771,4865-4866-4867-49195-49199-49196-49200-52393-52392-49171-49172-156-157-47-53,' +
      '0-23-65281-10-11-35-16-5-13-18-51-45-43-27-17513-21,29-23-24,0' +
      '|0304,0303|001d|0403,0804,0401,0503,0805,0501,0806,0601|-|h2,http/1.1',
  );
});

test('`offeredHello()` gives back every preset as far as anybody negotiates or fingerprints', () => {
  for (const preset of clientPresets()) {
    const hello = presetHello(preset, 'any.example');
    const again = offeredHello(helloOffer(hello)!, 'any.example')!;
    expect(ja4(again)).toBe(ja4(hello));
    expect(ja3(again)).toBe(ja3(hello));
    const { keyShares, groups, signatureAlgorithmsCert, alpn, fallbackScsv } = hello;
    expect(again).toMatchObject({ keyShares, groups, signatureAlgorithmsCert, alpn, fallbackScsv });
  }
});

test('`negotiate()` says the same of a hello and of its offer', async () => {
  const entries = [await entryFor('p256', 'P-256'), await entryFor('p384', 'P-384')];
  const policy = effectivePolicy(null, Date.UTC(2026, 10, 21));
  fc.assert(
    fc.property(rawHellos, fc.constantFrom(...entries), (raw, entry) => {
      const hello = parsedHello(helloBytes(raw));
      const offer = helloOffer(hello);
      fc.pre(offer !== null);
      const again = offeredHello(offer, hello.serverName);
      expect(again).not.toBeNull();
      expect(negotiate(again!, policy, entry)).toEqual(negotiate(hello, policy, entry));
    }),
  );
});

test('protocol names of strangers stay on the line and come back', () => {
  const byte = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code));
  const name = fc.string({ unit: byte, minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(fc.array(name, { minLength: 1, maxLength: 8 }), (alpn) => {
      const hello = { ...parsedHello(helloBytes({ suites: [0x1301] })), alpn };
      const offer = helloOffer(hello)!;
      expect(offer).toMatch(/^[ -~]+$/);
      expect(offeredHello(offer, null)!.alpn).toEqual(alpn);
    }),
  );
});

test('a hello that offers too much has no offer', () => {
  const hello = parsedHello(helloBytes({ suites: [0x1301] }));
  expect(helloOffer({ ...hello, cipherSuites: Array.from({ length: 301 }, () => 0x1301) })).toBeNull();
  expect(helloOffer({ ...hello, alpn: Array.from({ length: 50 }, () => 'p'.repeat(100)) })).toBeNull();
});

test.each(['', '771', '771,1,2,3,4', '771,a,,,|||||', '771,1,,,|x||||', '771,1,,,|0304|001d|0403|-'])(
  '`offeredHello()` refuses %j',
  (text) => {
    expect(offeredHello(text, null)).toBeNull();
  },
);

test('`offeredHello()` never throws', () => {
  fc.assert(fc.property(fc.string(), (text) => void offeredHello(text, null)));
});
