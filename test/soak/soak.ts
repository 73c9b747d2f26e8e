import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { cpuSeconds } from '../../bench/cpu-time.ts';
import { freePort } from '../harness/free-port.ts';
import { testPki } from '../harness/pki.ts';
import { type Scenario, startScenario, sumOfSamples } from '../harness/scenario.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { readLog, settle } from './accounts.ts';
import { type BackendProtocol, type SoakBackend, startSoakBackend } from './backends.ts';
import { Client } from './client.ts';
import { badText, type Configuration, type Doors, variant, withDoors, writeCertificate } from './configuration.ts';
import { Ledger } from './ledger.ts';
import { OPERATIONS, type Operation } from './operations.ts';
import type { SoakOptions } from './options.ts';
import type { SoakReport } from './report.ts';
import { growthOf, type Vitals, vitalsOf } from './vitals.ts';

/** A whole run: traffic and faults for the time asked for, quiet, drain, and the account of it. */
export async function soak(options: SoakOptions, progress: (text: string) => void = () => {}): Promise<SoakReport> {
  using folder = makeTempFolder();
  const accessLog = join(folder.path, 'access.log');
  const ledger = new Ledger();
  const startedAt = new Date().toISOString();
  const backends = await startBackends(ledger);
  const scenario = await startProxy(backends, accessLog, options);
  const { proxy } = scenario;
  try {
    const doors: Doors = {
      https: scenario.port,
      plain: await freePort(),
      proxied: await freePort(),
      ssl: await freePort(),
      tcp: await freePort(),
      extra: await freePort(),
    };
    const base = withDoors(configurationOf(scenario), doors, backends.get('TCP')!.port);
    await scenario.rewrite(JSON.stringify(base));
    await proxy.waitForLog((line) => line.msg === 'reloaded');
    const before = await vitalsOf(proxy.pid, scenario.adminPort, 0);

    const run = new Run(options, scenario, doors, ledger, backends);
    const cpuBefore = cpuSeconds(proxy.pid);
    const vitals = await run.traffic(base, progress);
    const cpu = cpuSeconds(proxy.pid) - cpuBefore;
    const after = await run.quiet(before);
    const metrics = await (await fetch(`http://127.0.0.1:${scenario.adminPort}/metrics`)).text();
    const requestsBeforeEnd = sumOfSamples(metrics, 'sallyport_requests_total', {});
    const lastCounted = ledger.entries.length;
    await run.drain();

    const logged = await readLog(accessLog, proxy.log);
    const accounts = settle(ledger, logged);
    const growth = options.minutes >= JUDGED_FROM_MINUTES ? growthOf(vitals) : null;
    const mistakes = [...accounts.mistakes, ...ledger.defects, ...run.mistakes];
    const afterwards = [...logged.lines.keys()].filter((id) => id >= lastCounted).length;
    if (requestsBeforeEnd !== logged.requests - afterwards)
      mistakes.push(`metrics counted ${requestsBeforeEnd} requests, the log ${logged.requests - afterwards}`);
    for (const mistake of countsThatDiffer(metrics, logged.words, afterwards)) mistakes.push(mistake);
    const failures = sumOfSamples(metrics, 'sallyport_handshake_failures_total', {});
    if (failures !== logged.handshakeFailures)
      mistakes.push(`metrics counted ${failures} failed handshakes, the log ${logged.handshakeFailures}`);
    if (sumOfSamples(metrics, 'sallyport_log_lines_dropped_total', {}) > 0) mistakes.push('log lines were dropped');
    for (const { what, first, last, holds } of growth ?? [])
      if (!holds) mistakes.push(`${what} grew from ${first.toFixed(1)} to ${last.toFixed(1)}`);
    for (const line of proxy.log)
      if (line['level'] === 'error' && !line.msg?.startsWith('reload refused'))
        mistakes.push(`the proxy logged ${JSON.stringify(line).slice(0, 400)}`);
    if (proxy.text().trim() !== '') mistakes.push(`the proxy printed ${proxy.text().slice(0, 400)}`);
    const { seconds, reloads, restarts } = run;
    const idle = { before, after };
    const counts = { seconds, reloads, restarts, cpuSeconds: cpu };
    return { options, startedAt, ...counts, ledger, logged, accounts, vitals, idle, growth, mistakes };
  } finally {
    await scenario.stop();
    for (const backend of backends.values()) await backend.stop();
  }
}

class Run {
  readonly mistakes: string[] = [];
  readonly reloads = { taken: 0, refused: 0 };
  restarts = 0;
  seconds = 0;
  readonly #options: SoakOptions;
  readonly #scenario: Scenario;
  readonly #client: Client;
  readonly #ledger: Ledger;
  readonly #backends: ReadonlyMap<BackendProtocol, SoakBackend>;
  #isOver = false;

  constructor(
    options: SoakOptions,
    scenario: Scenario,
    doors: Doors,
    ledger: Ledger,
    backends: ReadonlyMap<BackendProtocol, SoakBackend>,
  ) {
    this.#options = options;
    this.#scenario = scenario;
    this.#ledger = ledger;
    this.#backends = backends;
    this.#client = new Client(doors, readFileSync(scenario.rootFile, 'utf8'), ledger, options.seed);
  }

  async traffic(base: Configuration, progress: (text: string) => void): Promise<readonly Vitals[]> {
    const startedAtMs = performance.now();
    const endsAtMs = startedAtMs + this.#options.minutes * 60_000;
    const isOver = () => this.#isOver || performance.now() >= endsAtMs;
    const vitals: Vitals[] = [];
    const all = [
      this.#reloads(base, isOver),
      this.#restarts(isOver),
      ...Array.from({ length: this.#options.users }, () => this.#user(isOver)),
    ];
    void this.#scenario.proxy.ended.then(() => {
      if (!isOver()) this.mistakes.push('the proxy ended while it had traffic');
      this.#isOver = true;
    });
    while (!isOver()) {
      const seconds = (performance.now() - startedAtMs) / 1000;
      const now = await vitalsOf(this.#scenario.proxy.pid, this.#scenario.adminPort, seconds);
      vitals.push(now);
      progress(
        `${seconds.toFixed(0)} s: ${this.#ledger.entries.length} requests, ${now.rssMiB.toFixed(0)} MiB (heap ${now.heapMiB.toFixed(0)}), ${now.descriptors} descriptors, ${now.handles} handles, ${this.#ledger.defects.length + this.mistakes.length} mistakes ${this.#ledger.defects.at(-1) ?? this.mistakes.at(-1) ?? ''}`.trimEnd(),
      );
      await delay(Math.min(SAMPLE_EVERY_MS, this.#options.minutes * 3000));
    }
    await Promise.all(all);
    this.seconds = (performance.now() - startedAtMs) / 1000;
    return vitals;
  }

  /** Nobody asks any more: nothing is under way, and what was held for clients has been let go. */
  async quiet(before: Vitals): Promise<Vitals> {
    this.#client.close();
    const { adminPort, proxy } = this.#scenario;
    const deadline = performance.now() + QUIET_WITHIN_MS;
    for (;;) {
      const now = await vitalsOf(proxy.pid, adminPort, this.seconds);
      const inFlight = await this.#scenario.metric('sallyport_requests_in_flight');
      const open = await this.#scenario.metric('sallyport_tcp_ssl_proxy_open_connections');
      if (inFlight === 0 && open === 0 && now.descriptors <= before.descriptors + POOLED) return now;
      if (performance.now() > deadline) {
        this.mistakes.push(
          `after the traffic ${inFlight} requests and ${open} streams are under way, ${now.descriptors} descriptors are held (${before.descriptors} before)`,
        );
        return now;
      }
      await delay(200);
    }
  }

  /** SIGTERM with two long exchanges open: they come to their ends, and the process to its own. */
  async drain(): Promise<void> {
    const client = new Client(
      this.#client.doors,
      readFileSync(this.#scenario.rootFile, 'utf8'),
      this.#ledger,
      this.#options.seed,
    );
    const answers = (['h1', 'h2'] as const).map((door) => client.ask({ door, service: 'http', behaviour: 'events' }));
    while ((await this.#scenario.metric('sallyport_requests_in_flight')) < answers.length) await delay(20);
    const { code, signal } = await this.#scenario.proxy.stop('SIGTERM', DRAIN_WITHIN_MS);
    if (code !== 0) this.mistakes.push(`the proxy ended with ${code ?? signal}, expected 0 after its drain`);
    for (const { status, whole } of await Promise.all(answers))
      if (status !== 200 || !whole) this.mistakes.push(`the drain cut a response (${status}) that had begun`);
    client.close();
  }

  async #user(isOver: () => boolean): Promise<void> {
    const { random } = this.#client;
    await delay(random.between(0, PAUSE_MS));
    while (!isOver()) {
      const operation = chosen(random.next());
      let timer: NodeJS.Timeout | undefined;
      const hung = new Promise<'hung'>((resolve) => {
        timer = setTimeout(() => resolve('hung'), HUNG_AFTER_MS);
      });
      try {
        if ((await Promise.race([operation.run(this.#client), hung])) === 'hung')
          this.mistakes.push(`'${operation.name}' did not end within ${HUNG_AFTER_MS / 1000} s`);
      } catch (error) {
        this.mistakes.push(`'${operation.name}' failed in the driver: ${(error as Error).stack}`);
      }
      clearTimeout(timer);
      this.#ledger.done(operation.name);
      await delay(random.between(PAUSE_MS / 2, PAUSE_MS * 1.5));
    }
  }

  async #reloads(base: Configuration, isOver: () => boolean): Promise<void> {
    const { proxy, folder } = this.#scenario;
    for (let round = 1; !isOver(); round++) {
      await delay(RELOAD_EVERY_MS);
      const isBad = round % 5 === 4;
      const certificate = round % 3 === 1 || round < 3 ? await writeCertificate(folder, round) : null;
      this.#certificate = certificate ?? this.#certificate;
      const seen = proxy.log.length;
      await this.#scenario.rewrite(
        isBad ? badText(round) : JSON.stringify(variant(base, round, this.#client.doors, this.#certificate)),
      );
      proxy.signal('SIGHUP');
      const wanted = isBad ? 'reload refused' : 'reloaded';
      const deadline = performance.now() + RELOADED_WITHIN_MS;
      while (!proxy.log.slice(seen).some(({ msg }) => msg?.startsWith(wanted) === true)) {
        if (performance.now() > deadline || this.#isOver) {
          this.mistakes.push(`reload ${round} was not '${wanted}' within ${RELOADED_WITHIN_MS / 1000} s`);
          break;
        }
        await delay(20);
      }
      if (isBad) this.reloads.refused++;
      else this.reloads.taken++;
    }
  }

  async #restarts(isOver: () => boolean): Promise<void> {
    const { random } = this.#client;
    while (!isOver()) {
      await delay(random.between(RESTART_EVERY_MS / 2, RESTART_EVERY_MS * 1.5));
      if (isOver()) return;
      await random.pick([...this.#backends.values()]).restart(random.between(100, 800));
      this.restarts++;
    }
  }

  #certificate = 'front';
}

async function startBackends(ledger: Ledger): Promise<ReadonlyMap<BackendProtocol, SoakBackend>> {
  const backends = new Map<BackendProtocol, SoakBackend>();
  for (const protocol of ['HTTP', 'HTTPS', 'HTTP2', 'H2C', 'TCP'] as const)
    backends.set(protocol, await startSoakBackend(protocol, ledger));
  return backends;
}

async function startProxy(
  backends: ReadonlyMap<BackendProtocol, SoakBackend>,
  accessLog: string,
  options: SoakOptions,
): Promise<Scenario> {
  const pki = await testPki();
  const port = (protocol: BackendProtocol) => [backends.get(protocol)!.port];
  const trust = { anchors: [pki.root] };
  const verified = { trust, sni: 'backend.example', timeoutSec: BACKEND_TIMEOUT_SEC };
  return startScenario({
    services: [
      { name: 'http', protocol: 'HTTP', ports: port('HTTP'), timeoutSec: BACKEND_TIMEOUT_SEC },
      {
        name: 'https',
        protocol: 'HTTPS',
        ports: port('HTTPS'),
        clientCertificate: [pki.client, pki.issuing],
        ...verified,
      },
      { name: 'h2', protocol: 'HTTP2', ports: port('HTTP2'), ...verified },
      { name: 'h2c', protocol: 'H2C', ports: port('H2C'), timeoutSec: BACKEND_TIMEOUT_SEC },
    ],
    sallyport: {
      workers: options.workers,
      accessLog: { destination: accessLog },
      drain: { delaySec: 0, timeoutSec: 20 },
    },
  });
}

function configurationOf(scenario: Scenario): Configuration {
  if (!existsSync(scenario.configFile)) throw new Error(`Cannot find ${scenario.configFile}`);
  return JSON.parse(readFileSync(scenario.configFile, 'utf8')) as Configuration;
}

/** status_details_total against the log, word by word; lines of the drain came after the scrape, and are all 'response_sent_by_backend'. */
function countsThatDiffer(metrics: string, words: ReadonlyMap<string, number>, afterwards: number): readonly string[] {
  const mistakes: string[] = [];
  for (const [word, count] of words) {
    const [proxy = '', statusDetails = ''] = word.split(' ');
    const counted = sumOfSamples(metrics, 'sallyport_status_details_total', { proxy, status_details: statusDetails });
    const late = word === 'web response_sent_by_backend' ? afterwards : 0;
    if (counted !== count - late) mistakes.push(`metrics counted ${counted} of '${word}', the log ${count - late}`);
  }
  return mistakes;
}

function chosen(random: number): Operation {
  let left = random * TOTAL_WEIGHT;
  for (const operation of OPERATIONS) {
    left -= operation.weight;
    if (left < 0) return operation;
  }
  return OPERATIONS[0]!;
}

const TOTAL_WEIGHT = OPERATIONS.reduce((sum, { weight }) => sum + weight, 0);
const PAUSE_MS = 250;
const HUNG_AFTER_MS = 60_000; // the slowest, a slow reader behind a busy machine, takes some seconds
const RELOAD_EVERY_MS = 3000;
const RELOADED_WITHIN_MS = 60_000;
const RESTART_EVERY_MS = 5000;
const SAMPLE_EVERY_MS = 5000;
const QUIET_WITHIN_MS = 30_000;
const DRAIN_WITHIN_MS = 40_000;
const BACKEND_TIMEOUT_SEC = 4; // for what never answers
const POOLED = 100; // idle connections to backends stay open
const JUDGED_FROM_MINUTES = 10; // before, what grows is caches and what V8 has not collected
