import { AdminServer } from '../admin/admin-server.ts';
import type { AdminSources } from '../admin/admin-sources.ts';
import type { Clock } from '../base/clock.ts';
import { type Deadline, startDeadline } from '../base/deadline.ts';
import { hostPort } from '../base/host-port.ts';
import { type Diagnostic, formatDiagnostic } from '../config/diagnostic.ts';
import type { LinkedConfiguration } from '../config/linked.ts';
import type { Loaded, NotLoaded } from '../config/load.ts';
import { certificateWrittenMs } from './certificate-files.ts';
import { watchClock } from './clock-watch.ts';
import type { DataPath, Prepared } from './data-path.ts';
import { failureDiagnostic, reloadRefusal } from './reload-rules.ts';
import { notifyServiceManager } from './service-manager.ts';
import { installSignals } from './signals.ts';
import { watchSecretAge } from './stale-secrets.ts';
import type { ProcessTelemetry } from './telemetry.ts';
import { type FileSignatures, type FileWatch, fileSignatures, watchFiles } from './watch-files.ts';

export interface ProxyProcessParts {
  readonly load: () => Promise<Loaded | NotLoaded>;
  /** Absolute. */
  readonly configPath: string;
  readonly clock: Clock;
  readonly telemetry: ProcessTelemetry;
  readonly dataPath: DataPath;
  /** What the admin server shows; the process says itself whether it is ready. */
  readonly sources: (running: () => LinkedConfiguration) => Omit<AdminSources, 'readiness'>;
}

export type ReloadOutcome = { readonly ok: true } | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

/**
 * A proxy from bound to drained, whether this process carries the traffic or its workers do:
 *
 *   start ─▶ running ⟲ reload (SIGHUP, changed files; all or nothing)
 *               │ SIGTERM, SIGINT
 *               ▼
 *           draining: not ready, still accepting for delaySec (SIGINT: 0)
 *               ▼ stop accepting, Connection: close / GOAWAY
 *           finishing until the last exchange or timeoutSec ─▶ ended (0)      a second signal: ended now
 */
export class ProxyProcess {
  /** Resolves to the exit code. */
  readonly ended: Promise<number>;
  readonly #end: (code: number) => void;
  readonly #deps: ProxyProcessParts;
  readonly #admin: AdminServer;
  #configuration: LinkedConfiguration;
  #watch: FileWatch | null = null;
  #phase: 'starting' | 'running' | 'draining' | 'ended' = 'starting';
  /** A signal that came before it ran. */
  #stopAsked = false;
  /** Reloads run one after the other; a request that comes meanwhile is not lost. */
  #reloading: Promise<unknown> = Promise.resolve();
  #drainDeadline: Deadline | null = null;
  #stopClockWatch: () => void = () => {};
  #stopSecretWatch: () => void = () => {};

  constructor(deps: ProxyProcessParts, { configuration }: Loaded) {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.ended = promise;
    this.#end = resolve;
    this.#deps = deps;
    this.#configuration = configuration;
    this.#admin = new AdminServer(
      configuration.settings.admin,
      { readiness: () => this.#notReadyReasons(), ...deps.sources(() => this.#configuration) },
      () => this.#configuration.adminToken.text,
    );
  }

  /** Binds everything and installs the signals. Rejects, everything closed, when an address cannot be bound. */
  async start(loaded: Loaded): Promise<void> {
    const { telemetry, dataPath, clock } = this.#deps;
    installSignals(telemetry, {
      stop: (signal) => this.#onStopSignal(signal),
      reload: () => void this.reload(),
      reopenAccessLog: () => {
        dataPath.reopenAccessLog();
        telemetry.log.info('SIGUSR2', { reopened: telemetry.reopenAccessLog() });
      },
    });
    const baseline = await fileSignatures(this.#watchedFiles());
    const prepared = await dataPath.prepare(loaded);
    try {
      await this.#admin.listen();
    } catch (error) {
      prepared.abort();
      await dataPath.closeNow();
      throw error;
    }
    await prepared.commit();
    this.#phase = 'running';
    telemetry.metrics.process.configurationLoaded(clock.wallMs());
    this.#showCertificates();
    this.#watch = watchFiles(baseline, (changed) => {
      telemetry.log.info('files changed', { files: changed });
      void this.reload();
    });
    this.#stopClockWatch = watchClock(clock, (byMs) => {
      telemetry.log.warn('the clock stepped back: kept verdicts on certificates are forgotten', { byMs });
    });
    this.#stopSecretWatch = watchSecretAge(
      clock,
      () => this.#configuration.ticketSecrets.fileModifiedMs,
      (warning) => telemetry.log.warn('configuration warning', { warning }),
    );
    telemetry.log.info('listening', {
      addresses: addressesOf(this.#configuration),
      admin: this.#admin.address,
      targetProxies: this.#configuration.listeners.map(({ proxy }) => proxy.name),
    });
    if (this.#stopAsked) void this.drain(0);
    else this.#announceReady();
  }

  /** All or nothing: any diagnostic, or an address that cannot be bound, and the running configuration stays. */
  reload(): Promise<ReloadOutcome> {
    const outcome = this.#reloading.then(() => this.#reloadNow());
    this.#reloading = outcome.catch(() => {});
    return outcome;
  }

  /** Stops taking new work, finishes what runs, and ends with 0. `delayMs`: how long to go on accepting first. */
  async drain(delayMs: number): Promise<void> {
    if (this.#phase !== 'running') return;
    this.#phase = 'draining';
    this.#watch?.stop();
    const { telemetry, dataPath } = this.#deps;
    const { drain } = this.#configuration.settings;
    telemetry.metrics.process.drainStarted();
    this.#tellServiceManager('STOPPING=1', 'draining');
    telemetry.log.info('draining', { delayMs, timeoutMs: drain.timeoutSec * 1000 });
    await new Promise<void>((resolve) => {
      startDeadline(delayMs, resolve);
    });
    if (this.#phase !== 'draining') return;
    this.#drainDeadline = startDeadline(drain.timeoutSec * 1000, () => {
      telemetry.log.warn('drain timed out: what still runs is cut', { connections: dataPath.connections });
      void dataPath.goAway();
    });
    await dataPath.drain();
    await this.#finish(0);
  }

  async #reloadNow(): Promise<ReloadOutcome> {
    if (this.#phase !== 'running') return { ok: true };
    const { load, dataPath, telemetry, clock } = this.#deps;
    const baseline = await fileSignatures(this.#watchedFiles());
    let loaded: Loaded | NotLoaded;
    try {
      loaded = await load();
    } catch (error) {
      return this.#reloadFailed([failureDiagnostic(error)], [], baseline); // a defect of ours must not cost what runs
    }
    if (this.#phase !== 'running') return { ok: true };
    if (!loaded.ok) return this.#reloadFailed(loaded.diagnostics, loaded.files, baseline);
    const next = loaded.configuration;
    const refused = reloadRefusal(this.#configuration, next);
    if (refused !== null) return this.#reloadFailed([refused], next.files, baseline);
    let prepared: Prepared;
    try {
      prepared = await dataPath.prepare(loaded);
    } catch (error) {
      return this.#reloadFailed([failureDiagnostic(error)], next.files, baseline);
    }
    if (this.#phase !== 'running') {
      prepared.abort(); // a signal came while addresses were bound: the new ones go again, the rest drains
      return { ok: true };
    }
    this.#configuration = next;
    await prepared.commit();
    this.#watch?.expect(await withNewFiles(baseline, this.#watchedFiles()));
    for (const warning of loaded.warnings)
      telemetry.log.warn('configuration warning', { warning: formatDiagnostic(warning) });
    telemetry.metrics.process.reloaded('success', clock.wallMs());
    this.#showCertificates();
    telemetry.log.info('reloaded', { digest: next.digest, addresses: addressesOf(next) });
    return { ok: true };
  }

  async #reloadFailed(
    diagnostics: readonly Diagnostic[],
    files: readonly string[],
    baseline: FileSignatures,
  ): Promise<ReloadOutcome> {
    const { telemetry, clock } = this.#deps;
    this.#watch?.expect(await withNewFiles(baseline, [...this.#watchedFiles(), ...files]));
    await this.#showCertificateFiles();
    telemetry.metrics.process.reloaded('failure', clock.wallMs());
    telemetry.log.error('reload refused: the running configuration stays', {
      diagnostics: diagnostics.map(formatDiagnostic),
    });
    return { ok: false, diagnostics };
  }

  /** The folder or file itself, so that a new file in a folder counts, and everything that was read. */
  #watchedFiles(): readonly string[] {
    return [this.#deps.configPath, ...this.#configuration.files];
  }

  #showCertificates(): void {
    const { metrics } = this.#deps.telemetry;
    metrics.certificates.loaded(this.#configuration.certificates, this.#deps.clock.wallMs());
    metrics.crls.loaded(this.#configuration.trustConfigs);
  }

  /** What was refused may be a newer certificate: then its file is newer than what is loaded, and an alert says so. */
  async #showCertificateFiles(): Promise<void> {
    const { certificates } = this.#deps.telemetry.metrics;
    await Promise.all(
      this.#configuration.certificates.map(async (certificate) => {
        const writtenMs = await certificateWrittenMs(certificate);
        if (writtenMs !== null) certificates.fileModified(certificate, writtenMs);
      }),
    );
  }

  /** When `/readyz` turns 200: a worker may have ended just now. */
  #announceReady(): void {
    if (this.#phase !== 'running') return;
    const [reason] = this.#notReadyReasons();
    if (reason === undefined) this.#tellServiceManager('READY=1', addressesOf(this.#configuration).join(', '));
    else setTimeout(() => this.#announceReady(), READY_POLL_MS).unref();
  }

  #tellServiceManager(state: 'READY=1' | 'STOPPING=1', status: string): void {
    notifyServiceManager(state, status, (why) =>
      this.#deps.telemetry.log.warn('cannot tell the service manager', { state, why }),
    );
  }

  #notReadyReasons(): readonly string[] {
    if (this.#phase === 'running') return this.#deps.dataPath.notReadyReasons();
    return [this.#phase === 'starting' ? 'not every listener is bound yet' : 'draining'];
  }

  #onStopSignal(signal: NodeJS.Signals): void {
    if (this.#phase === 'starting') {
      this.#stopAsked = true;
      return;
    }
    if (this.#phase === 'draining') {
      this.#deps.telemetry.log.warn('stopping now', { signal });
      void this.#stopNow();
      return;
    }
    void this.drain(signal === 'SIGTERM' ? this.#configuration.settings.drain.delaySec * 1000 : 0);
  }

  async #stopNow(): Promise<void> {
    await this.#deps.dataPath.closeNow();
    await this.#finish(0);
  }

  async #finish(code: number): Promise<void> {
    if (this.#phase === 'ended') return;
    this.#phase = 'ended';
    this.#drainDeadline?.cancel();
    this.#stopClockWatch();
    this.#stopSecretWatch();
    await this.#deps.dataPath.close();
    await this.#admin.close();
    this.#deps.telemetry.log.info('stopped', { code });
    await this.#deps.telemetry.close();
    this.#end(code);
  }
}

function addressesOf({ listeners }: LinkedConfiguration): readonly string[] {
  return listeners.map(({ address, port }) => hostPort(address, port));
}

async function withNewFiles(baseline: FileSignatures, files: readonly string[]): Promise<FileSignatures> {
  const merged = new Map(await fileSignatures(files.filter((file) => !baseline.has(file))));
  for (const file of files) {
    const signature = baseline.get(file);
    if (signature !== undefined) merged.set(file, signature);
  }
  return merged;
}

const READY_POLL_MS = 100; // a replacement starts after 200 ms at the earliest
