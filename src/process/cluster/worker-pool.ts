import cluster from 'node:cluster';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { type Deadline, startDeadline } from '../../base/deadline.ts';
import type { Loaded } from '../../config/load.ts';
import { parseMetricSnapshot } from '../../telemetry/metric-snapshot.ts';
import { MetricSums } from '../../telemetry/metric-sums.ts';
import type { WorkerEndCause } from '../../telemetry/process-metrics.ts';
import { SHORTEST_SECRET_BYTES } from '../../tls/ticket-keys.ts';
import type { DataPath, Prepared } from '../data-path.ts';
import type { ProcessTelemetry } from '../telemetry.ts';
import { BackOff } from './back-off.ts';
import { relayLines } from './line-relay.ts';
import type { PrepareMessage, Question } from './messages.ts';
import { objectionOf, prepareAll } from './votes.ts';
import { type WorkerEnd, WorkerLink } from './worker-link.ts';

export interface WorkerPoolOptions {
  readonly workers: number;
  /** Absolute. */
  readonly configPath: string;
  readonly telemetry: ProcessTelemetry;
}

/**
 * Worker processes that carry the traffic, all under the same configuration. The primary binds for them (node:cluster, SCHED_RR:
 * docs/decisions/0009-workers.md) and has no part in the data path.
 *
 * A configuration: every running worker prepares it, from the bytes that the primary read; one refusal, and none switches. Once it is
 * committed, whoever starts later starts with it. A worker that ends, or says nothing for too long, is replaced.
 */
export class WorkerPool implements DataPath {
  readonly sums = new MetricSums();
  readonly #options: WorkerPoolOptions;
  readonly #slots: readonly Slot[];
  readonly #links = new Set<WorkerLink>();
  /** Standard outputs that still have lines to give. */
  readonly #outputs = new Set<Promise<unknown>>();
  /** Workers that are being given a configuration that others run already. */
  readonly #led = new WeakSet<WorkerLink>();
  readonly #dismissed = new WeakMap<WorkerLink, WorkerEndCause>();
  readonly #ticketSecret = randomBytes(SHORTEST_SECRET_BYTES);
  /** What a new worker starts with. */
  #current: PrepareMessage | null = null;
  #lastVersion = 0;
  #isLeaving = false;
  readonly #ticker: NodeJS.Timeout;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
    this.#slots = Array.from({ length: options.workers }, () => ({ backOff: new BackOff(), restart: null }));
    this.#ticker = setInterval(() => this.#tick(), TICK_MS).unref();
    cluster.schedulingPolicy = cluster.SCHED_RR;
    cluster.setupPrimary({
      exec: fileURLToPath(new URL(ENTRY, import.meta.url)),
      args: [options.configPath],
      serialization: 'advanced', // bytes stay bytes
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
  }

  get connections(): number {
    let sum = 0;
    for (const link of this.#links) sum += link.connections;
    return sum;
  }

  notReadyReasons(): readonly string[] {
    const ready = this.#ready().length;
    const { workers } = this.#options;
    return ready === workers ? [] : [`${ready} of ${workers} workers run the current configuration`];
  }

  async prepare(loaded: Loaded): Promise<Prepared> {
    const message = this.#messageFor(loaded);
    if (this.#current === null) return this.#prepareFirst(message);
    let voters = this.#ready();
    let objection = objectionOf(await prepareAll(voters, message));
    if (objection?.kind === 'gone') {
      // A worker may end for a reason of its own just now. If the configuration is what ends them, it does so again.
      for (const link of voters) link.abort(message.version);
      voters = this.#ready();
      objection = voters.length === 0 ? objection : objectionOf(await prepareAll(voters, message));
    }
    const abort = () => {
      for (const link of voters) link.abort(message.version);
    };
    if (objection !== null) {
      abort();
      throw new Error(objection.message);
    }
    return { commit: () => this.#commit(voters, message), abort };
  }

  async drain(): Promise<void> {
    this.#leave();
    for (const link of this.#links) link.tell('drain');
    await this.#allEnded();
  }

  goAway(): Promise<void> {
    return this.#end('go-away');
  }

  closeNow(): Promise<void> {
    return this.#end('close-now');
  }

  async #end(how: 'go-away' | 'close-now'): Promise<void> {
    this.#leave();
    for (const link of this.#links) link.tell(how);
    const deadline = startDeadline(CLOSE_TIMEOUT_MS, () => {
      for (const link of this.#links) link.kill();
    });
    for (const link of this.#links) if (link.version === 0) link.kill();
    await this.#allEnded();
    deadline.cancel();
  }

  async close(): Promise<void> {
    clearInterval(this.#ticker);
    await this.#allEnded();
    await Promise.all(this.#outputs);
  }

  reopenAccessLog(): void {
    for (const link of this.#links) link.tell('reopen-access-log');
  }

  /** The answers of the workers that answer in time. */
  async ask(what: Question): Promise<readonly string[]> {
    const answers = await Promise.all([...this.#links].map((link) => link.ask(what, ASK_TIMEOUT_MS)));
    return answers.filter((answer) => answer !== null);
  }

  async #prepareFirst(message: PrepareMessage): Promise<Prepared> {
    const links = this.#slots.flatMap((_slot, slot) => this.#fork(slot) ?? []);
    const objection = objectionOf(await prepareAll(links, message));
    if (objection !== null) {
      await this.closeNow();
      throw new Error(objection.message);
    }
    return { commit: () => this.#commit(links, message), abort: () => void this.closeNow() };
  }

  async #commit(voters: readonly WorkerLink[], message: PrepareMessage): Promise<void> {
    this.#current = message;
    this.#count();
    await Promise.all(voters.map((link) => link.commit(message.version)));
    // Who has no worker, or waits for one because the old configuration made it end, tries at once under this one.
    const slots = new Set([...this.#links].map(({ slot }) => slot));
    for (const [slot, { restart, backOff }] of this.#slots.entries()) {
      if (slots.has(slot)) continue;
      restart?.cancel();
      backOff.reset();
      this.#start(slot);
    }
    for (const link of this.#links) void this.#lead(link);
    this.#count();
  }

  #messageFor({ configuration, readings, nowMs }: Loaded): PrepareMessage {
    return {
      type: 'prepare',
      version: ++this.#lastVersion,
      readings,
      nowMs,
      digest: configuration.digest,
      ticketSecret: this.#ticketSecret,
      workers: this.#options.workers,
    };
  }

  /** null: the system has no process for us. */
  #fork(slot: number): WorkerLink | null {
    let link: WorkerLink;
    try {
      link = new WorkerLink(cluster.fork(), slot, {
        onMetrics: (from, text) => this.#onMetrics(from, text),
        onMisbehaviour: (from) => this.#dismiss(from, 'misbehaved'),
      });
    } catch (error) {
      this.#options.telemetry.log.error('cannot start a worker', { worker: slot, error: error as Error });
      return null;
    }
    this.#links.add(link);
    this.#count();
    const startedMs = performance.now();
    void link.ended.then((end) => this.#onEnded(link, end, performance.now() - startedMs));
    if (link.stdout !== null) {
      const output: Promise<unknown> = relayLines(link.stdout, this.#options.telemetry.stdout);
      this.#outputs.add(output);
      void output.then(() => this.#outputs.delete(output));
    }
    return link;
  }

  #start(slot: number): void {
    this.#slots[slot]!.restart = null;
    if (this.#isLeaving) return;
    const link = this.#fork(slot);
    if (link === null) this.#restartLater(slot, 0);
    else void this.#lead(link);
  }

  /** A replacement has no vote: it begins with what the others run, and follows what they were given while it started. */
  async #lead(link: WorkerLink): Promise<void> {
    if (this.#led.has(link)) return;
    this.#led.add(link);
    for (
      let next = this.#current;
      next !== null && link.version !== next.version && !this.#isLeaving;
      next = this.#current
    ) {
      const isNew = link.version === 0;
      const vote = await link.prepare(next);
      if (vote.kind === 'refused') {
        this.#options.telemetry.log.error('a worker cannot start', { worker: link.slot, reason: vote.message });
        this.#dismiss(link, 'refused');
      }
      if (vote.kind !== 'prepared' || this.#isLeaving || !(await link.commit(next.version))) return;
      this.#count();
      if (isNew) this.#options.telemetry.log.info('worker started', { worker: link.slot, pid: link.pid });
    }
    this.#led.delete(link);
  }

  #onEnded(link: WorkerLink, end: WorkerEnd, ranMs: number): void {
    const { telemetry } = this.#options;
    this.#links.delete(link);
    this.sums.depart(link.id);
    this.#count();
    if (this.#isLeaving || this.#current === null) return;
    const cause = this.#dismissed.get(link) ?? 'crashed';
    telemetry.metrics.process.workerEnded(cause);
    const restartInMs = this.#restartLater(link.slot, ranMs);
    telemetry.log.error('worker ended', {
      worker: link.slot,
      pid: link.pid,
      cause,
      code: end.code,
      signal: end.signal,
      ranMs: Math.round(ranMs),
      restartInMs,
    });
  }

  #restartLater(slot: number, ranMs: number): number {
    const entry = this.#slots[slot]!;
    const delayMs = entry.backOff.nextDelayMs(ranMs);
    entry.restart = startDeadline(delayMs, () => this.#start(slot));
    return delayMs;
  }

  #dismiss(link: WorkerLink, cause: WorkerEndCause): void {
    if (this.#dismissed.has(link)) return;
    this.#dismissed.set(link, cause);
    link.kill(); // what does not turn does not hear
  }

  #onMetrics(link: WorkerLink, text: string): void {
    const families = parseMetricSnapshot(text);
    if (families === null) this.#dismiss(link, 'misbehaved');
    else this.sums.update(link.id, families);
  }

  #tick(): void {
    for (const link of this.#links) if (link.tick()) this.#dismiss(link, 'hung');
  }

  #ready(): readonly WorkerLink[] {
    return [...this.#links].filter(({ state, version }) => state === 'running' && version === this.#current?.version);
  }

  #count(): void {
    const running = this.#ready().length;
    this.#options.telemetry.metrics.process.workers(running, this.#links.size - running);
  }

  #leave(): void {
    this.#isLeaving = true;
    for (const { restart } of this.#slots) restart?.cancel();
  }

  async #allEnded(): Promise<void> {
    await Promise.all([...this.#links].map((link) => link.ended));
  }
}

interface Slot {
  readonly backOff: BackOff;
  /** When the next worker starts, if none is there. */
  restart: Deadline | null;
}

const ENTRY = import.meta.url.endsWith('.ts') ? './worker-main.ts' : './worker-main.js'; // the sources run as they are
const TICK_MS = 1000;
const ASK_TIMEOUT_MS = 1000; // a worker whose loop stands is left out; Prometheus waits 10 s by default
const CLOSE_TIMEOUT_MS = 3000; // cutting connections takes a turn of the loop, and the log up to 2 s
