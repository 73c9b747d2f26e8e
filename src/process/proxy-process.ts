import { AdminServer } from '../admin/admin-server.ts';
import { type Deadline, startDeadline } from '../base/deadline.ts';
import { type Diagnostic, formatDiagnostic } from '../config/diagnostic.ts';
import type { Loaded, NotLoaded } from '../config/load.ts';
import { crlRollback } from '../snapshot/crl-rollback.ts';
import { retireReplaced } from '../snapshot/retire-replaced.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import { activate, provision } from '../snapshot/snapshot.ts';
import type { SnapshotParts } from '../snapshot/snapshot-parts.ts';
import { watchClock } from './clock-watch.ts';
import { ListenerSet } from './listener-set.ts';
import { liveSources } from './live-sources.ts';
import { watchSecretAge } from './stale-secrets.ts';
import type { ProcessTelemetry } from './telemetry.ts';
import { type FileWatch, fileSignatures, watchFiles } from './watch-files.ts';

export interface ProxyProcessParts {
  readonly load: () => Promise<Loaded | NotLoaded>;
  /** Absolute. */
  readonly configPath: string;
  readonly parts: SnapshotParts;
  readonly telemetry: ProcessTelemetry;
}

export type ReloadOutcome = { readonly ok: true } | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

/**
 * One proxy process from bound to drained:
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
  #snapshot: Snapshot;
  readonly #listeners: ListenerSet;
  readonly #admin: AdminServer;
  #watch: FileWatch | null = null;
  #phase: 'starting' | 'running' | 'draining' | 'ended' = 'starting';
  /** Reloads run one after the other; a request that comes meanwhile is not lost. */
  #reloading: Promise<unknown> = Promise.resolve();
  #drainDeadline: Deadline | null = null;
  #stopClockWatch: () => void = () => {};
  #stopSecretWatch: () => void = () => {};

  constructor(deps: ProxyProcessParts, snapshot: Snapshot) {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.ended = promise;
    this.#end = resolve;
    this.#deps = deps;
    this.#snapshot = snapshot;
    this.#listeners = new ListenerSet(deps.telemetry.frontendEvents);
    this.#admin = new AdminServer(
      snapshot.configuration.settings.admin,
      liveSources(
        deps.telemetry,
        () => this.#snapshot,
        () => this.#notReadyReasons(),
      ),
    );
  }

  /** Binds everything and installs the signals. Rejects, everything closed, when an address cannot be bound. */
  async start(): Promise<void> {
    const { telemetry, parts } = this.#deps;
    const files = this.#watchedFiles();
    const baseline = await fileSignatures(files);
    try {
      await this.#listeners.bindNew(this.#snapshot);
      await this.#admin.listen();
    } catch (error) {
      await this.#listeners.closeNow();
      await this.#admin.close();
      throw error;
    }
    this.#listeners.swap(this.#snapshot);
    this.#phase = 'running';
    telemetry.metrics.process.configurationLoaded(parts.clock.wallMs());
    telemetry.metrics.certificates.loaded(this.#snapshot.configuration.certificates, parts.clock.wallMs());
    telemetry.metrics.crls.loaded(this.#snapshot.configuration.trustConfigs);
    this.#watch = watchFiles(baseline, (changed) => {
      telemetry.log.info('files changed', { files: changed });
      void this.reload();
    });
    this.#stopClockWatch = watchClock(parts.clock, (byMs) => {
      telemetry.log.warn('the clock stepped back: kept verdicts on certificates are forgotten', { byMs });
    });
    this.#stopSecretWatch = watchSecretAge(
      parts.clock,
      () => this.#snapshot.configuration.ticketSecrets.fileModifiedMs,
      (warning) => telemetry.log.warn('configuration warning', { warning }),
    );
    this.#installSignals();
    telemetry.log.info('listening', {
      addresses: [...this.#snapshot.listeners.keys()],
      admin: this.#admin.address,
      targetProxies: [...this.#snapshot.listeners.values()].map((listener) => listener.proxy.name),
    });
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
    const { telemetry } = this.#deps;
    const { drain } = this.#snapshot.configuration.settings;
    telemetry.metrics.process.drainStarted();
    telemetry.log.info('draining', { delayMs, timeoutMs: drain.timeoutSec * 1000 });
    await new Promise<void>((resolve) => {
      startDeadline(delayMs, resolve);
    });
    if (this.#phase !== 'draining') return;
    this.#drainDeadline = startDeadline(drain.timeoutSec * 1000, () => {
      telemetry.log.warn('drain timed out: what still runs is cut', { connections: this.#listeners.connections });
      void this.#listeners.closeNow();
    });
    await this.#listeners.drain();
    await this.#finish(0);
  }

  async #reloadNow(): Promise<ReloadOutcome> {
    if (this.#phase !== 'running') return { ok: true };
    const { load, parts, telemetry } = this.#deps;
    const baseline = await fileSignatures(this.#watchedFiles());
    let loaded: Loaded | NotLoaded;
    try {
      loaded = await load();
    } catch (error) {
      return this.#reloadFailed([provisionFailure(error)], [], baseline); // a defect of ours must not cost what runs
    }
    if (this.#phase !== 'running') return { ok: true };
    if (!loaded.ok) return this.#reloadFailed(loaded.diagnostics, loaded.files, baseline);
    const previous = this.#snapshot;
    const refused =
      restartOnly(previous, loaded.configuration.settings) ?? crlRollback(previous.configuration, loaded.configuration);
    if (refused !== null) return this.#reloadFailed([refused], loaded.configuration.files, baseline);
    let next: Snapshot;
    try {
      next = provision(loaded.configuration, previous, parts);
      await this.#listeners.bindNew(next);
    } catch (error) {
      return this.#reloadFailed([provisionFailure(error)], loaded.configuration.files, baseline);
    }
    if (this.#phase !== 'running') {
      this.#listeners.swap(previous); // a signal came while addresses were bound: the new ones go again, the rest drains
      return { ok: true };
    }
    activate(next, parts);
    this.#snapshot = next;
    this.#listeners.swap(next);
    void retireReplaced(previous, next, parts.backendSessions);
    this.#watch?.expect(await withNewFiles(baseline, this.#watchedFiles()));
    for (const warning of loaded.warnings)
      telemetry.log.warn('configuration warning', { warning: formatDiagnostic(warning) });
    telemetry.metrics.process.reloaded('success', parts.clock.wallMs());
    telemetry.metrics.certificates.loaded(next.configuration.certificates, parts.clock.wallMs());
    telemetry.metrics.crls.loaded(next.configuration.trustConfigs);
    telemetry.log.info('reloaded', { digest: next.configuration.digest, addresses: [...next.listeners.keys()] });
    return { ok: true };
  }

  async #reloadFailed(
    diagnostics: readonly Diagnostic[],
    files: readonly string[],
    baseline: ReadonlyMap<string, string>,
  ): Promise<ReloadOutcome> {
    const { telemetry, parts } = this.#deps;
    this.#watch?.expect(await withNewFiles(baseline, [...this.#watchedFiles(), ...files]));
    telemetry.metrics.process.reloaded('failure', parts.clock.wallMs());
    telemetry.log.error('reload refused: the running configuration stays', {
      diagnostics: diagnostics.map(formatDiagnostic),
    });
    return { ok: false, diagnostics };
  }

  /** The folder or file itself, so that a new file in a folder counts, and everything that was read. */
  #watchedFiles(): readonly string[] {
    return [this.#deps.configPath, ...this.#snapshot.configuration.files];
  }

  #notReadyReasons(): readonly string[] {
    if (this.#phase === 'running') return [];
    return [this.#phase === 'starting' ? 'not every listener is bound yet' : 'draining'];
  }

  #installSignals(): void {
    const { telemetry } = this.#deps;
    const stop = (signal: NodeJS.Signals) => {
      if (this.#phase === 'draining') {
        telemetry.log.warn('stopping now', { signal });
        void this.#stopNow();
        return;
      }
      void this.drain(signal === 'SIGTERM' ? this.#snapshot.configuration.settings.drain.delaySec * 1000 : 0);
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    process.on('SIGHUP', () => void this.reload());
    process.on('SIGUSR2', () => {
      telemetry.log.info('SIGUSR2', { reopened: telemetry.reopenAccessLog() });
    });
    process.on('exit', () => telemetry.flushSync());
    // A defect of ours: say it, then end. What goes on after an unknown state is worse than a restart.
    const crash = (error: unknown) => {
      telemetry.log.error('internal error: the process ends', {
        error: error instanceof Error ? error : new Error(String(error)),
      });
      telemetry.flushSync();
      process.exit(1);
    };
    process.on('uncaughtException', crash);
    process.on('unhandledRejection', crash);
  }

  async #stopNow(): Promise<void> {
    await this.#listeners.closeNow();
    await this.#finish(0);
  }

  async #finish(code: number): Promise<void> {
    if (this.#phase === 'ended') return;
    this.#phase = 'ended';
    this.#drainDeadline?.cancel();
    this.#stopClockWatch();
    this.#stopSecretWatch();
    await Promise.race([
      retireReplaced(this.#snapshot, null, this.#deps.parts.backendSessions),
      afterMs(RETIRE_TIMEOUT_MS),
    ]);
    await this.#admin.close();
    this.#deps.telemetry.log.info('stopped', { code });
    await this.#deps.telemetry.close();
    this.#end(code);
  }
}

/** What a reload cannot change, because it was used before the first connection: refused, never ignored. */
function restartOnly(previous: Snapshot, next: Snapshot['configuration']['settings']): Diagnostic | null {
  const now = previous.configuration.settings;
  for (const key of ['admin', 'accessLog', 'workers'] as const) {
    if (JSON.stringify(now[key]) === JSON.stringify(next[key])) continue;
    return {
      severity: 'error',
      file: '',
      line: 0,
      column: 0,
      resource: `sallyport.${key}`,
      message: `Cannot change '${key}' by a reload: it is in use since the start; restart the process`,
    };
  }
  return null;
}

/** What only running objects can find out: an address in use, a certificate that OpenSSL does not take. */
function provisionFailure(error: unknown): Diagnostic {
  return { severity: 'error', file: '', line: 0, column: 0, resource: '', message: (error as Error).message };
}

async function withNewFiles(
  baseline: ReadonlyMap<string, string>,
  files: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const merged = new Map(await fileSignatures(files.filter((file) => !baseline.has(file))));
  for (const file of files) {
    const signature = baseline.get(file);
    if (signature !== undefined) merged.set(file, signature);
  }
  return merged;
}

function afterMs(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs).unref();
  });
}

const RETIRE_TIMEOUT_MS = 1000; // every exchange is over by now: idle connections need a FIN, not a second
