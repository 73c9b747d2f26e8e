// `npm run bench [-- --help]`: CPU time of each proxy per request, same work, interleaved: in each round every proxy has its turn,
// so that a busy moment of the machine hits all of them alike.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { cpus, loadavg, release } from 'node:os';
import { join } from 'node:path';
import { startBackend } from './backend.ts';
import { cpuSeconds } from './cpu-time.ts';
import { load, PATHS, ROW_TITLES, type Target } from './load.ts';
import { type Options, type ProxyName, parseOptions, type RowName, USAGE } from './options.ts';
import { haproxy } from './proxies/haproxy.ts';
import { nginx } from './proxies/nginx.ts';
import { nodeServer } from './proxies/node-server.ts';
import type { MeasuredProxy, RunningProxy } from './proxies/proxy.ts';
import { sallyport } from './proxies/sallyport.ts';
import { type Cell, formatAim, formatDoubts, formatTable, type Results } from './report.ts';
import { requireTools, toolPath, versionOf } from './tools.ts';
import { HOST, makeWorkbench, type Workbench } from './workbench.ts';

const HTTP1_ROWS: readonly RowName[] = ['small', '100k', 'handshake'];
const PROXIES: Readonly<Record<ProxyName, MeasuredProxy>> = {
  nginx,
  haproxy,
  prototype: nodeServer('prototype', ['undici'], [...HTTP1_ROWS, 'h2-small']),
  'http-proxy-3': nodeServer('http-proxy-3', ['http-proxy-3'], HTTP1_ROWS),
  fastify: nodeServer('fastify', ['fastify', '@fastify/http-proxy'], HTTP1_ROWS),
  sallyport,
};

try {
  const args = process.argv.slice(2);
  if (args.includes('--help')) console.log(USAGE);
  else process.exitCode = await main(parseOptions(args));
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}

async function main(options: Options): Promise<number> {
  const chosen = options.proxies.map((name) => PROXIES[name]);
  requireTools([
    'nginx',
    'taskset',
    'getconf',
    ...loadTools(options),
    ...(options.proxies.includes('haproxy') ? (['haproxy'] as const) : []),
  ]);
  if (cpus().length < 2) throw new Error('Cannot measure: found one core, expected two (the proxy has one to itself)');
  const startedAt = new Date().toISOString();
  const before = loadavg();
  if (before[0]! > 0.5)
    console.error(`The load average is ${before[0]!.toFixed(2)}: other work disturbs what is measured here`);

  const bench = await makeWorkbench();
  const stops: (() => Promise<void>)[] = [];
  const stopAll = async () => {
    await Promise.all(stops.map((stop) => stop()));
    bench.remove();
  };
  process.once('SIGINT', () => void stopAll().then(() => process.exit(130)));
  try {
    const backend = await startBackend(bench);
    stops.push(backend.stop);
    const running = new Map<MeasuredProxy, RunningProxy | Error>();
    for (const proxy of chosen) running.set(proxy, await startChecked(proxy, bench, backend.port, stops));
    const cells: Cell[] = [];
    for (const row of options.rows) cells.push(...(await measureRow(row, running, bench, options)));
    const results: Results = {
      startedAt,
      machine: { cpu: cpus()[0]!.model, cores: cpus().length, kernel: release() },
      loadAverage: { before, after: loadavg() },
      versions: versions(chosen),
      observes: Object.fromEntries(chosen.map((proxy) => [proxy.name, proxy.observes])),
      rounds: options.rounds,
      secondsPerRound: options.seconds,
      cells,
    };
    report(results);
    return cells.some((cell) => cell.failure !== null) ? 1 : 0;
  } finally {
    await stopAll();
  }
}

/** Starts a proxy and sees that it serves; one that does not is reported, and the others go on. */
async function startChecked(
  proxy: MeasuredProxy,
  bench: Workbench,
  backendPort: number,
  stops: (() => Promise<void>)[],
): Promise<RunningProxy | Error> {
  try {
    const running = await proxy.start(bench, backendPort);
    stops.push(running.stop);
    const status = await statusOf({ host: HOST, port: running.port('small'), rootFile: bench.rootFile });
    if (status === 200) return running;
    return new Error(`${proxy.name} answers ${status}, expected 200; its files are in ${bench.folder}`);
  } catch (error) {
    return error as Error;
  }
}

async function measureRow(
  row: RowName,
  proxies: ReadonlyMap<MeasuredProxy, RunningProxy | Error>,
  bench: Workbench,
  options: Options,
): Promise<readonly Cell[]> {
  const cells = new Map<MeasuredProxy, { cpu: number[]; rate: number[]; failure: string | null }>();
  for (const [proxy, running] of proxies) {
    if (!proxy.serves(row)) continue;
    cells.set(proxy, { cpu: [], rate: [], failure: running instanceof Error ? running.message : null });
  }
  for (let round = -1; round < options.rounds; round++) {
    // There and back, so that none always comes after the same other.
    for (const [proxy, cell] of round % 2 === 0 ? cells : [...cells].reverse()) {
      const running = proxies.get(proxy)!;
      if (cell.failure !== null || running instanceof Error) continue;
      const target = { host: HOST, port: running.port(row), rootFile: bench.rootFile };
      process.stderr.write(
        `\r\x1b[K${ROW_TITLES[row]}: ${round < 0 ? 'warm-up' : `round ${round + 1}`}, ${proxy.name}`,
      );
      try {
        if (round < 0) {
          await load(row, target, options.warmUpSeconds[row]); // JIT, connections to the backend, caches
          continue;
        }
        const cpuBefore = cpuSeconds(running.pid);
        const { requests, perSecond } = await load(row, target, options.seconds);
        cell.cpu.push(((cpuSeconds(running.pid) - cpuBefore) / requests) * 1e6);
        cell.rate.push(perSecond);
      } catch (error) {
        cell.failure = (error as Error).message;
      }
    }
  }
  process.stderr.write('\r\x1b[K');
  return [...cells].map(([proxy, cell]) => ({
    row,
    proxy: proxy.name,
    cpuMicroseconds: cell.failure === null ? cell.cpu : [],
    requestsPerSecond: cell.failure === null ? cell.rate : [],
    failure: cell.failure,
  }));
}

function statusOf(target: Target): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const options = { port: target.port, host: '127.0.0.1', servername: HOST, ca: readFileSync(target.rootFile) };
  const sent = request({ ...options, path: PATHS.small, headers: { host: HOST }, agent: false }, (response) => {
    response.resume();
    response.on('end', () => resolve(response.statusCode ?? 0));
  });
  sent.setTimeout(5000, () => sent.destroy(new Error('no answer within 5 s')));
  sent.on('error', reject);
  sent.end();
  return promise;
}

function report(results: Results): void {
  const folder = join(import.meta.dirname, 'results');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${results.startedAt.replaceAll(':', '-')}.json`);
  writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);
  console.log(
    `${formatTable(results)}\n\nIn parentheses: ratio to nginx; less is better. Medians of ${results.rounds} rounds.`,
  );
  for (const line of formatAim(results)) console.log(`  ${line}`);
  for (const [name, observes] of Object.entries(results.observes))
    console.log(`  ${name}: ${results.versions[name]}; ${observes}`);
  for (const doubt of formatDoubts(results)) console.log(`  doubtful: ${doubt}`);
  for (const cell of results.cells) {
    if (cell.failure !== null) console.log(`  failed: ${ROW_TITLES[cell.row]}, ${cell.proxy}: ${cell.failure.trim()}`);
  }
  console.log(`Load average ${results.loadAverage.before[0]!.toFixed(2)} before; results in ${file}`);
}

function versions(proxies: readonly MeasuredProxy[]): Record<string, string> {
  return {
    ...Object.fromEntries(proxies.map((proxy) => [proxy.name, proxy.version()])),
    backend: versionOf(toolPath('nginx')!, ['-v']),
  };
}

function loadTools(options: Options): ('wrk' | 'h2load')[] {
  const tools = new Set(
    options.rows.map((row) => (row === 'h2-small' || row === 'handshake' ? ('h2load' as const) : ('wrk' as const))),
  );
  return [...tools];
}
