// Where clients are, as a backend is told: sallyport.geoipDatabase behind a balancer that says who the client is.
import { once } from 'node:events';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type MmdbValue, mmdb } from '../harness/mmdb.ts';
import { type ProxiedScenario, startProxiedScenario } from '../harness/proxied-scenario.ts';

const MOUNTAIN_VIEW = {
  country: { iso_code: 'US' },
  subdivisions: [{ iso_code: 'CA' }],
  city: { names: { en: 'Mountain View' } },
  location: { latitude: 37.386051, longitude: -122.083851 },
  autonomous_system_number: 15_169,
};
const FIELDS = ['region', 'region_subdivision', 'city', 'city_lat_long'].map((name) => `client_${name}`).concat('asn');

let doors: ProxiedScenario | null = null;
afterEach(async () => {
  await doors?.stop();
  doors = null;
});

async function start(networks: Readonly<Record<string, MmdbValue>>, workers: number): Promise<ProxiedScenario> {
  const started = await startProxiedScenario({ workers });
  doors = started;
  const { scenario } = started;
  await writeFile(join(scenario.folder, 'places.mmdb'), mmdb(networks));
  const configuration = JSON.parse(await readFile(scenario.configFile, 'utf8')) as Written;
  configuration.backendServices[0]!['customRequestHeaders'] = FIELDS.map((name) => `X-${name}:{${name}}`);
  configuration.sallyport['geoipDatabase'] = 'places.mmdb';
  await reload(started, async () => {
    await scenario.rewrite(JSON.stringify(configuration));
  });
  return started;
}

interface Written {
  readonly backendServices: Record<string, unknown>[];
  readonly sallyport: Record<string, unknown>;
}

async function reload({ scenario }: ProxiedScenario, change: () => Promise<void>): Promise<void> {
  const before = scenario.proxy.log.length;
  await change();
  await scenario.proxy.waitForLog((line) => line.msg === 'reloaded' && scenario.proxy.log.indexOf(line) >= before);
}

/** What the backend is told of a client at this address. */
async function toldOf({ proxiedPort }: ProxiedScenario, address: string): Promise<Record<string, unknown>> {
  const socket = connect(proxiedPort, '127.0.0.1').on('error', () => {});
  socket.write(`PROXY TCP4 ${address} 203.0.113.9 4321 443\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  await once(socket, 'close');
  const headers = JSON.parse(/\{.*\}/.exec(text)?.[0] ?? '{}') as Record<string, unknown>;
  return Object.fromEntries(FIELDS.map((name) => [name, headers[`x-${name}`]]));
}

const NOWHERE = Object.fromEntries(FIELDS.map((name) => [name, '']));

test('a backend is told where the client of a balancer is, and of a new database without a restart', async () => {
  const running = await start({ '198.51.100.0/24': MOUNTAIN_VIEW }, 1);
  expect(await toldOf(running, '198.51.100.7')).toEqual({
    client_region: 'US',
    client_region_subdivision: 'USCA',
    client_city: 'Mountain View',
    client_city_lat_long: '37.386051,-122.083851',
    asn: '15169',
  });
  expect(await toldOf(running, '192.0.2.1')).toEqual(NOWHERE);
  const { folder } = running.scenario;
  await reload(running, async () => {
    await writeFile(join(folder, 'next.mmdb'), mmdb({ '192.0.2.0/24': { country: { iso_code: 'FR' } } }));
    await rename(join(folder, 'next.mmdb'), join(folder, 'places.mmdb'));
  });
  expect(await toldOf(running, '198.51.100.7')).toEqual(NOWHERE);
  expect(await toldOf(running, '192.0.2.1')).toEqual({ ...NOWHERE, client_region: 'FR' });
  expect(running.scenario.proxy.log.filter((line) => String(line['warning']).includes('client_region'))).toEqual([]);
});

test('workers open the database themselves; what is no field value is empty (security rule 15)', async () => {
  const hostile = {
    country: { iso_code: 'U\r\nX-Admin: 1' },
    city: { names: { en: 'M\0' } },
    autonomous_system_number: 7,
  };
  const running = await start({ '198.51.100.0/24': hostile }, 2);
  expect(await toldOf(running, '198.51.100.7')).toEqual({ ...NOWHERE, asn: '7' });
});

test('a database that breaks leaves the running one in use', async () => {
  const running = await start({ '198.51.100.0/24': MOUNTAIN_VIEW }, 1);
  await writeFile(join(running.scenario.folder, 'places.mmdb'), 'no database');
  const line = await running.scenario.proxy.waitForLog(({ msg }) => msg?.startsWith('reload refused') === true);
  expect(String(line['diagnostics'])).toMatch(/sallyport\.json:1:\d+: error: sallyport: Cannot read geoipDatabase/);
  expect(await toldOf(running, '198.51.100.7')).toMatchObject({ client_region: 'US' });
});
