import cluster from 'node:cluster';
import { systemClock } from '../../base/clock.ts';
import { startDeadline } from '../../base/deadline.ts';
import { formatDiagnostic } from '../../config/diagnostic.ts';
import { type Loaded, loadConfiguration } from '../../config/load.ts';
import { buildLocalDataPath } from '../build-local-data-path.ts';
import type { Prepared } from '../data-path.ts';
import { backendStatuses, handshakeStatus } from '../live-sources.ts';
import type { LocalDataPath } from '../local-data-path.ts';
import { endOnDefects } from '../signals.ts';
import { buildTelemetry, type ProcessTelemetry } from '../telemetry.ts';
import { version as programVersion } from '../version.ts';
import { MAX_REASON, type PrepareMessage, type PrimaryMessage, type WorkerMessage } from './messages.ts';
import { shareLimits } from './share-limits.ts';
import type { WorkerStatus } from './worker-status.ts';

/** Carries traffic as the primary says, until that says to drain or is gone. `configPath`: what relative paths are relative to. */
export function runWorker(configPath: string): void {
  const worker = new WorkerProcess(configPath);
  process.on('message', (message: PrimaryMessage) => worker.onMessage(message));
  cluster.worker?.on('disconnect', () => worker.onOrphaned());
}

class WorkerProcess {
  readonly #configPath: string;
  /** Null until the first configuration is there. */
  #running: Running | null = null;
  #prepared: { readonly version: number; readonly prepared: Prepared; readonly loaded: Loaded } | null = null;
  #drainTimeoutMs = 0;
  /** What changes the configuration happens in the order in which it was said. */
  #queue: Promise<void> = Promise.resolve();
  #isLeaving = false;
  #isPushing = false;

  constructor(configPath: string) {
    this.#configPath = configPath;
  }

  onMessage(message: PrimaryMessage): void {
    switch (message.type) {
      case 'prepare':
        this.#queue = this.#queue.then(() => this.#prepare(message));
        return;
      case 'commit':
        this.#queue = this.#queue.then(() => this.#commit(message.version));
        return;
      case 'abort':
        this.#queue = this.#queue.then(() => this.#abort(message.version));
        return;
      case 'ask':
        void (message.what === 'metrics' ? this.#sendMetrics(message.id) : this.#sendStatus(message.id));
        return;
      case 'drain':
        this.#queue = this.#queue.then(() => this.#startDrain());
        return;
      case 'go-away':
        void (this.#running?.dataPath.goAway() ?? process.exit(0));
        return;
      case 'close-now':
        void (this.#running?.dataPath.closeNow() ?? process.exit(0));
        return;
      case 'reopen-access-log':
        this.#running?.telemetry.reopenAccessLog();
    }
  }

  /** The primary is gone, and the listening sockets with it: what runs is finished, and nobody is there to be told. */
  onOrphaned(): void {
    if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true; // else node:cluster ends the process now
    if (this.#running === null) process.exit(0);
    if (this.#isLeaving) return;
    this.#running.telemetry.log.error('the primary process is gone: this worker drains', { pid: process.pid });
    const { dataPath } = this.#running;
    startDeadline(this.#drainTimeoutMs, () => void dataPath.goAway());
    this.#startDrain();
  }

  async #prepare(message: PrepareMessage): Promise<void> {
    const { version } = message;
    try {
      if (this.#isLeaving) throw new Error('Cannot load a configuration: this worker is draining');
      const loaded = await this.#load(message);
      const prepared = await this.#dataPathFor(loaded, message.ticketSecret).prepare(loaded);
      this.#prepared = { version, prepared, loaded };
      void tell({ type: 'prepared', version });
    } catch (error) {
      void tell({ type: 'refused', version, message: (error as Error).message.slice(0, MAX_REASON) });
    }
  }

  async #load({ readings, nowMs, digest, workers }: PrepareMessage): Promise<Loaded> {
    const loaded = await loadConfiguration({ path: this.#configPath, env: process.env, nowMs, readings });
    if (!loaded.ok) throw new Error(loaded.diagnostics.map(formatDiagnostic).join('\n'));
    if (loaded.configuration.digest !== digest)
      throw new Error('Cannot load what the primary process has loaded: found another digest, expected the same');
    return { ...loaded, configuration: shareLimits(loaded.configuration, workers) };
  }

  #dataPathFor({ configuration }: Loaded, ticketSecret: Uint8Array): LocalDataPath {
    if (this.#running !== null) return this.#running.dataPath;
    const telemetry = buildTelemetry(configuration.settings, programVersion());
    endOnDefects(telemetry);
    const dataPath = buildLocalDataPath(telemetry, ticketSecret);
    this.#running = { telemetry, dataPath };
    this.#adopt(configuration); // the first connections may come before commit
    setInterval(() => this.#push(), PUSH_INTERVAL_MS).unref();
    return dataPath;
  }

  async #commit(version: number): Promise<void> {
    const { prepared, loaded } = this.#take(version);
    await prepared.commit();
    this.#adopt(loaded.configuration);
    void tell({ type: 'committed', version });
  }

  #abort(version: number): void {
    if (this.#prepared?.version === version) this.#take(version).prepared.abort();
  }

  #take(version: number) {
    const taken = this.#prepared;
    if (taken?.version !== version) throw new Error(`Cannot switch to configuration ${version}: it is not prepared`);
    this.#prepared = null;
    return taken;
  }

  #adopt({ certificates, trustConfigs, settings }: Loaded['configuration']): void {
    const { metrics } = this.#running!.telemetry;
    metrics.certificates.loaded(certificates, systemClock.wallMs());
    metrics.crls.loaded(trustConfigs);
    this.#drainTimeoutMs = settings.drain.timeoutSec * 1000;
  }

  /** Ends the process when the last exchange is over. The queue does not wait for it: close-now comes meanwhile. */
  #startDrain(): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    if (this.#running === null) process.exit(0);
    this.#prepared?.prepared.abort();
    this.#prepared = null;
    void this.#drain(this.#running);
  }

  async #drain({ telemetry, dataPath }: Running): Promise<void> {
    await dataPath.drain();
    await dataPath.close();
    await telemetry.close();
    if (process.connected) await this.#sendMetrics(0);
    process.exit(0);
  }

  #push(): void {
    if (this.#isPushing || !process.connected) return; // a primary that does not read must not fill our memory
    this.#isPushing = true;
    void this.#sendMetrics(0).then(() => {
      this.#isPushing = false;
    });
  }

  async #sendMetrics(id: number): Promise<void> {
    if (this.#running === null) return;
    const { telemetry, dataPath } = this.#running;
    const text = await telemetry.metrics.snapshot();
    await tell({ type: 'metrics', id, connections: dataPath.connections, text });
  }

  #sendStatus(id: number): Promise<void> {
    if (this.#running === null) return Promise.resolve();
    const { telemetry, dataPath } = this.#running;
    const status: WorkerStatus = {
      backends: backendStatuses(telemetry, dataPath.snapshot),
      handshakes: handshakeStatus(telemetry),
    };
    return tell({ type: 'status', id, text: JSON.stringify(status) });
  }
}

interface Running {
  readonly telemetry: ProcessTelemetry;
  readonly dataPath: LocalDataPath;
}

/** Resolves when it is written, or never will be: the primary may be gone. */
function tell(message: WorkerMessage): Promise<void> {
  return new Promise((resolve) => {
    if (!process.connected) resolve();
    else process.send?.(message, undefined, undefined, () => resolve());
  });
}

const PUSH_INTERVAL_MS = 1000; // what a killed worker counted since is lost
