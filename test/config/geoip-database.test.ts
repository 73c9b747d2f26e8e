import { rmSync, utimesSync } from 'node:fs';
import fc from 'fast-check';
import type { FileReadings } from '#src/config/file-reader.ts';
import { type Loaded, loadConfiguration } from '#src/config/load.ts';
import { type MmdbValue, mmdb } from '../harness/mmdb.ts';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';

const US = { country: { iso_code: 'US' } };
const CONFIGURATION = JSON.stringify({
  forwardingRules: [{ name: 'http', IPAddress: '127.0.0.1', portRange: '8080', target: 'targetHttpProxies/web' }],
  targetHttpProxies: [{ name: 'web', urlMap: 'web' }],
  urlMaps: [{ name: 'web', defaultService: 'api' }],
  backendServices: [{ name: 'api', backends: [{ group: 'api' }] }],
  networkEndpointGroups: [
    {
      name: 'api',
      networkEndpointType: 'NON_GCP_PRIVATE_IP_PORT',
      endpoints: [{ ipAddress: '127.0.0.1', port: 8081 }],
    },
  ],
  sallyport: { geoipDatabase: 'places.mmdb' },
});

let folder: TempFolder;
beforeEach(() => {
  folder = makeTempFolder();
  folder.write('sallyport.json', CONFIGURATION);
});
afterEach(() => folder.remove());

const load = (readings?: FileReadings) =>
  loadConfiguration({ path: folder.file('sallyport.json'), env: {}, nowMs: 0, ...(readings && { readings }) });

async function loaded(readings?: FileReadings): Promise<Loaded> {
  const outcome = await load(readings);
  if (!outcome.ok) throw new Error(outcome.diagnostics.map(({ message }) => message).join('\n'));
  return outcome;
}

async function regionOf(address: string): Promise<string | null> {
  return (await loaded()).configuration.geoip?.placeOf(address)?.region ?? null;
}

test('finds addresses of both families; none, and what is no address, are nowhere', async () => {
  const networks = { '198.51.100.0/24': US, '2001:db8::/32': { country: { iso_code: 'FR' } } };
  folder.write('places.mmdb', mmdb(networks));
  expect(await regionOf('198.51.100.7')).toBe('US');
  expect(await regionOf('2001:db8::7')).toBe('FR');
  expect(await regionOf('198.51.101.7')).toBeNull();
  expect(await regionOf('nobody')).toBeNull();
});

test('a database of IPv4 addresses knows no IPv6 address', async () => {
  folder.write('places.mmdb', mmdb({ '32.1.0.0/16': US }, 4)); // the bits that 2001::/16 begins with
  expect(await regionOf('32.1.2.3')).toBe('US');
  expect(await regionOf('2001:db8::7')).toBeNull();
});

test('is among the files that are watched, there or not', async () => {
  const missing = await load();
  expect(missing.ok ? [] : missing.files).toContain(folder.file('places.mmdb'));
  folder.write('places.mmdb', mmdb({ '198.51.100.0/24': US }));
  expect((await loaded()).configuration.files).toContain(folder.file('places.mmdb'));
});

test('another file is another configuration, and is read; the same one is not read again', async () => {
  const file = folder.write('places.mmdb', mmdb({ '198.51.100.0/24': US }));
  const first = await loaded();
  const again = await loaded();
  expect(again.configuration.digest).toBe(first.configuration.digest);
  expect(again.configuration.geoip).toBe(first.configuration.geoip);
  folder.write('places.mmdb', mmdb({ '198.51.100.0/24': { country: { iso_code: 'CA' } } }));
  utimesSync(file, 1, 1);
  const changed = await loaded();
  expect(changed.configuration.digest).not.toBe(first.configuration.digest);
  expect(changed.configuration.geoip?.placeOf('198.51.100.7')?.region).toBe('CA');
});

test('is not sent to workers: one comes to the same digest by what the file was known by, and serves without it', async () => {
  const networks = Object.fromEntries(
    Array.from({ length: 200 }, (_, i): [string, MmdbValue] => [`10.0.${i}.0/24`, US]),
  );
  const database = mmdb(networks);
  folder.write('places.mmdb', database);
  const { readings, configuration } = await loaded();
  const sent = [...readings.files.values()].reduce((sum, { file }) => sum + (file?.bytes.byteLength ?? 0), 0);
  expect(sent).toBeLessThan(database.length);
  const same = await loaded(readings);
  expect(same.configuration.digest).toBe(configuration.digest);
  expect(same.configuration.geoip?.placeOf('10.0.7.7')?.region).toBe('US');
  // gone since: whoever starts now must not fail for it
  folder.write('elsewhere.json', CONFIGURATION.replace('places.mmdb', 'other.mmdb'));
  folder.write('other.mmdb', database);
  await loadConfiguration({ path: folder.file('elsewhere.json'), env: {}, nowMs: 0 });
  rmSync(folder.file('places.mmdb'));
  const late = await loaded(readings);
  expect(late.configuration.digest).toBe(configuration.digest);
  expect(late.configuration.geoip?.placeOf('10.0.7.7')).toBeNull();
});

test('a damaged database is refused, or has places of strings; it never throws', async () => {
  const whole = mmdb({ '198.51.100.0/24': US, '2001:db8::/32': { city: { names: { en: 'x' } } } });
  let count = 0;
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length), async (at, byte, length) => {
      const damaged = Buffer.from(whole.subarray(0, length));
      if (at < length) damaged[at] = byte;
      utimesSync(folder.write('places.mmdb', damaged), 1, ++count);
      const outcome = await load();
      if (!outcome.ok) {
        expect(outcome.diagnostics.map(({ message }) => message).join()).toContain(
          "Cannot read geoipDatabase 'places.mmdb'",
        );
        return;
      }
      for (const address of ['198.51.100.7', '2001:db8::1', '0.0.0.0', '::'])
        for (const value of Object.values(outcome.configuration.geoip?.placeOf(address) ?? {}))
          expect(typeof value).toBe('string');
    }),
    { numRuns: 200 },
  );
});
