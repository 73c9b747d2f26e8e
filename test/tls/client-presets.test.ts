import fc from 'fast-check';
import { HelloReader } from '#src/tls/client-hello.ts';
import { type ClientPreset, clientPresets, findClientPreset, presetHello } from '#src/tls/client-presets.ts';
import { withServerName } from '#src/tls/client-presets-sni.ts';
import { contextOptions } from '#src/tls/context-options.ts';
import { ja3 } from '#src/tls/ja3.ts';
import { ja4 } from '#src/tls/ja4.ts';
import { negotiate } from '#src/tls/negotiate.ts';
import { effectivePolicy, type SslPolicy } from '#src/tls/ssl-policy.ts';
import { VERSION_CODE } from '#src/tls/tls-version.ts';
import { entryFor } from './entries.ts';
import { helloMessage, record, records } from './raw-hello.ts';
import { Engine } from './server-flight.ts';

const names = clientPresets().map(({ name }) => name);
const NOW = Date.UTC(2026, 10, 21);

test.each(names)('the preset %s is one whole ClientHello with its origin', (name) => {
  const { bytes, origin, title } = preset(name);
  expect(new HelloReader().push(bytes)).toBe('hello');
  expect(origin).toMatch(/^(captured|described): .{10,}/);
  expect(title).not.toBe('');
});

test('names are distinct', () => {
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThanOrEqual(30);
});

// Found in public fingerprint lists, for the client and version that the preset names. Where a list has the hello of a request without
// ALPN or to an address, only the hashes are compared.
test.each([
  ['chromium-156', 't13d1517h2_8daaf6152771_cb7bf5808d99'], // Chrome 152 to 154
  ['firefox-153-esr', 't13d1617h2_86a278354501_3cbfd9057e0d'],
  ['curl-7.88', 't13d3112h2_e8f1e7e78f70_b26ce05bbdd6'],
  ['node-20', 't13d591000_a33745022dd6_1f22a2ca17c4'],
  ['chrome-101', 't13d1516h2_8daaf6152771_e5627efa2ab1'], // JA4.md's own example
  ['firefox-100', 't13d1715h2_5b57614c22b0_3d5424432f57'],
  ['safari-15', 't13d2014h2_a09f3c656075_14788d8d241b'],
  ['safari-18', 't13d2014h2_a09f3c656075_e42f34c56612'],
])('the JA4 of %s is the published one', (name, published) => {
  expect(ja4(presetHello(preset(name), 'any.example'))).toBe(published);
});

test.each([
  ['go-1.19', '9dc949149365_97f8aa674fd9'],
  ['node-26', 'b262b3658495_8e6e362c5eac'], // Node 22 and later
])('the hashes in the JA4 of %s are the published ones', (name, published) => {
  expect(ja4(presetHello(preset(name), 'any.example')).slice(11)).toBe(published);
});

test.each([
  ['curl-7.88', '0149f47eabf9a20d0893e2a44e5a6323'],
  ['node-20', '0cce74b0d9b7f8528fb2181588d23793'],
  ['firefox-153-esr', '6447ab086255d194909d4013b1a89e87'],
  ['chrome-101', 'cd08e31494f9531f560d64c695473da9'],
  ['firefox-100', '579ccef312d18482fc42e2b822ca2430'],
  ['safari-18', '773906b0efdefa24a7f2b8eb6985bf37'],
])('the JA3 of %s is the published one', (name, published) => {
  expect(ja3(presetHello(preset(name), 'any.example'))).toBe(published);
});

describe('`presetHello()`', () => {
  test.each(names)('asks for the given name, for none, and offers the same as before: %s', (name) => {
    const original = presetHello(preset(name), 'preset.example');
    const other = presetHello(preset(name), 'a-rather-longer-name.of.some.example');
    const sendsSni = original.extensions.includes(0);
    expect(other.serverName).toBe(sendsSni ? 'a-rather-longer-name.of.some.example' : null);
    expect(ja4(other)).toBe(ja4(original));
    expect(ja3(other)).toBe(ja3(original));
    expect(other.keyShares).toEqual(original.keyShares);
    const none = presetHello(preset(name), null);
    expect(none.serverName).toBeNull();
    expect(none.extensions).toEqual(original.extensions.filter((type) => type !== 0));
  });

  test('leaves the client that sends no SNI without', () => {
    expect(presetHello(preset('ie-8-xp'), 'host.example').serverName).toBeNull();
  });
});

describe('`withServerName()`', () => {
  test('keeps everything else, byte for byte', () => {
    const { bytes } = preset('chromium-156');
    expect(withServerName(withServerName(bytes, 'x.example'), 'preset.example')).toEqual(bytes);
  });

  test('follows a hello over several records and makes as few as there can be', () => {
    const message = helloMessage({ suites: [0x1301], serverName: 'short.example', alpn: ['h2'] });
    const name = `${'a'.repeat(60)}.${'b'.repeat(60)}.example`;
    const rewritten = withServerName(records(message, 20), name);
    const reader = new HelloReader();
    reader.push(rewritten);
    expect(reader.hello).toMatchObject({ serverName: name, alpn: ['h2'] });
    expect(rewritten.readUInt16BE(3)).toBe(rewritten.length - 5);
  });

  test('gives back a hello without extensions as it is', () => {
    const bytes = record(helloMessage({ legacyVersion: 0x0301, suites: [0x002f] }));
    expect(withServerName(bytes, 'host.example')).toBe(bytes);
  });

  test('makes what `HelloReader` accepts, for any preset and name', () => {
    const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/);
    const host = fc.array(label, { minLength: 2, maxLength: 5 }).map((labels) => `${labels.join('.')}.example`);
    fc.assert(
      fc.property(fc.constantFrom(...clientPresets()), host, (client, serverName) => {
        const reader = new HelloReader();
        expect(reader.push(withServerName(client.bytes, serverName))).toBe('hello');
        expect([serverName, null]).toContain(reader.hello!.serverName);
      }),
    );
  });
});

describe('`findClientPreset()`', () => {
  test('takes a name, or the beginning of one where it is one', () => {
    expect(findClientPreset('java-8')).toMatchObject({ name: 'java-8' });
    expect(findClientPreset('chromium')).toMatchObject({ name: 'chromium-156' });
  });

  test('gives the candidates otherwise', () => {
    const several = findClientPreset('java') as readonly ClientPreset[];
    expect(several.map(({ name }) => name)).toEqual(['java-25', 'java-17', 'java-11', 'java-8', 'java-7']);
    expect(findClientPreset('lynx')).toEqual([]);
  });
});

// What `explain` says of a preset is what OpenSSL does with its bytes.
test.each([
  ['no policy', null],
  ['MODERN 1.2', { profile: 'MODERN', minTlsVersion: 'TLS_1_2' }],
  ['RESTRICTED 1.3', { profile: 'RESTRICTED', minTlsVersion: 'TLS_1_3' }],
  ['FIPS_202205', { profile: 'FIPS_202205', minTlsVersion: 'TLS_1_2' }],
] as const)('`negotiate()` predicts what OpenSSL answers to each preset under %s', async (_name, terms) => {
  const sslPolicy: SslPolicy | null =
    terms === null ? null : { ...terms, customFeatures: [], postQuantumKeyExchange: 'DEFAULT' };
  const policy = effectivePolicy(sslPolicy, NOW);
  for (const entry of [await entryFor('p256', 'P-256'), await entryFor('rsa', 'RSA')]) {
    const engine = await new Engine(contextOptions(policy, entry, null)).listen();
    for (const client of clientPresets()) {
      const outcome = negotiate(presetHello(client, 'example.test'), policy, entry);
      const flight = await engine.answer(withServerName(client.bytes, 'example.test'));
      if (!outcome.ok) {
        expect({ client: client.name, kind: flight.kind }).toEqual({ client: client.name, kind: 'alert' });
        continue;
      }
      expect({ client: client.name, ...flight }).toMatchObject({
        client: client.name,
        kind: 'hello',
        version: VERSION_CODE[outcome.version],
        suite: outcome.suite.code,
        group: outcome.group?.code ?? null,
        helloRetryRequest: outcome.helloRetryRequest,
      });
    }
    await engine.close();
  }
});

function preset(name: string): ClientPreset {
  const found = findClientPreset(name);
  if ('name' in found) return found;
  throw new Error(`Cannot find the preset ${name}`);
}
