// What nobody has configured is not even loaded: it would cost every start, every worker's memory, and every `check` in an editor.
import { join } from 'node:path';
import { freePort } from '../harness/free-port.ts';
import { mmdb } from '../harness/mmdb.ts';
import { runTool } from '../harness/run-tool.ts';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';

/** Runs its argument's function and prints, last, the URL of every module that was loaded for it. */
const SCRIPT = `
import { registerHooks } from 'node:module';
const loaded = new Set();
registerHooks({ load(url, context, next) { loaded.add(url); return next(url, context); } });
const [command, root, config] = process.argv.slice(2);
if (command === 'check') {
  const { buildProgram } = await import(root + '/cli/program.ts');
  process.exitCode = await buildProgram().run(['check', '--config', config]);
} else {
  const { startProxy } = await import(root + '/process/run.ts');
  const proxy = await startProxy({ configPath: config });
  await proxy.drain(0);
  process.exitCode = await proxy.ended;
}
console.log(JSON.stringify([...loaded]));
`;

let folder: TempFolder;
beforeEach(() => {
  folder = makeTempFolder();
  folder.write('loaded.mjs', SCRIPT);
  folder.write('places.mmdb', mmdb({ '198.51.100.0/24': { country: { iso_code: 'US' } } }));
});
afterEach(() => folder.remove());

const ONLY_WHEN_CONFIGURED = [
  'node:cluster',
  'maxmind',
  'mmdb-lib',
  'node-forge',
  'pkijs',
  'asn1js',
  '@opentelemetry/sdk-trace',
  '@opentelemetry/resources',
  '@opentelemetry/exporter-trace-otlp-http',
];

test('`run` in one process loads no cluster, no database of places, no PKCS#12 and no SDK for traces', async () => {
  const loaded = await loadedBy('run', { workers: 1 });
  expect(loaded).toEqual(expect.arrayContaining(['undici', 'pino', 'prom-client']));
  expect(ONLY_WHEN_CONFIGURED.filter((name) => loaded.includes(name))).toEqual([]);
});

test('`check` loads none of that either, and nothing that logs or counts', async () => {
  const loaded = await loadedBy('check', { workers: 2, tracing: { otlpEndpoint: 'http://127.0.0.1:4318/v1/traces' } });
  expect(loaded).toEqual(expect.arrayContaining(['zod', 'yaml', 'undici']));
  const unwanted = [...ONLY_WHEN_CONFIGURED, 'pino', 'prom-client', '@opentelemetry/api'];
  expect(unwanted.filter((name) => loaded.includes(name))).toEqual([]);
});

test('what is configured is loaded', async () => {
  expect(await loadedBy('check', { geoipDatabase: 'places.mmdb' })).toContain('maxmind');
  expect(await loadedBy('run', { workers: 2 })).toContain('node:cluster');
});

/** The built-in modules and packages. */
async function loadedBy(command: 'run' | 'check', sallyport: object): Promise<readonly string[]> {
  const config = folder.write('sallyport.json', JSON.stringify(await configuration(sallyport)));
  const { exitCode, stdout, stderr } = await runTool(process.execPath, [
    folder.file('loaded.mjs'),
    command,
    SRC,
    config,
  ]);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  const urls = JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as string[];
  return [
    ...new Set(
      urls.map((url) => /^node:.*/.exec(url)?.[0] ?? /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? ''),
    ),
  ];
}

async function configuration(sallyport: object): Promise<object> {
  const portRange = String(await freePort());
  const endpoints = [{ ipAddress: '127.0.0.1', port: 9 }];
  return {
    forwardingRules: [{ name: 'http', IPAddress: '127.0.0.1', portRange, target: 'targetHttpProxies/web' }],
    targetHttpProxies: [{ name: 'web', urlMap: 'web' }],
    urlMaps: [{ name: 'web', defaultService: 'api' }],
    backendServices: [{ name: 'api', backends: [{ group: 'api' }] }],
    networkEndpointGroups: [{ name: 'api', networkEndpointType: 'NON_GCP_PRIVATE_IP_PORT', endpoints }],
    sallyport: { ...sallyport, admin: { port: await freePort() } },
  };
}

const SRC = join(import.meta.dirname, '..', '..', 'src');
