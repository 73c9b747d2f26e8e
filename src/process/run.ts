import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { systemClock } from '../base/clock.ts';
import type { Diagnostic } from '../config/diagnostic.ts';
import { formatDiagnostic } from '../config/diagnostic.ts';
import { type Loaded, loadConfiguration, type NotLoaded } from '../config/load.ts';
import { SHORTEST_SECRET_BYTES } from '../tls/ticket-keys.ts';
import { buildLocalDataPath } from './build-local-data-path.ts';
import { liveSources } from './live-sources.ts';
import { ProxyProcess, type ProxyProcessParts } from './proxy-process.ts';
import { inheritedSocketsWarning } from './service-manager.ts';
import { buildTelemetry, type ProcessTelemetry } from './telemetry.ts';
import { autoWorkers, usableCores } from './usable-cores.ts';
import { version } from './version.ts';

export interface StartOptions {
  readonly configPath: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Why the proxy could not start: diagnostics, or an address that cannot be bound. The message is for standard error. */
export class StartError extends Error {
  readonly diagnostics: readonly Diagnostic[];

  constructor(message: string, diagnostics: readonly Diagnostic[] = [], cause?: unknown) {
    super(message, { cause });
    this.name = 'StartError';
    this.diagnostics = diagnostics;
  }
}

/** Loads, builds, binds, and runs until a signal ends it. Rejects with StartError, having bound nothing. */
export async function startProxy(options: StartOptions): Promise<ProxyProcess> {
  const env = options.env ?? process.env;
  const configPath = resolve(options.configPath);
  const load = (): Promise<Loaded | NotLoaded> =>
    loadConfiguration({ path: configPath, env, nowMs: systemClock.wallMs() });
  const loaded = await load();
  if (!loaded.ok) throw new StartError(loaded.diagnostics.map(formatDiagnostic).join('\n'), loaded.diagnostics);

  const telemetry = openTelemetry(loaded.configuration.settings, version());
  for (const warning of loaded.warnings)
    telemetry.log.warn('configuration warning', { warning: formatDiagnostic(warning) });
  const inherited = inheritedSocketsWarning(env, [process.pid, process.ppid]); // the launcher's, where that stays
  if (inherited !== null) telemetry.log.warn('configuration warning', { warning: inherited });
  const { workers } = loaded.configuration.settings;
  try {
    const carrier = await carrierFor(
      workers === 'auto' ? autoWorkers(usableCores(), process.constrainedMemory()) : workers,
      configPath,
      telemetry,
    );
    const running = new ProxyProcess({ load, configPath, clock: systemClock, telemetry, ...carrier }, loaded);
    await running.start(loaded);
    return running;
  } catch (error) {
    await telemetry.close();
    throw new StartError((error as Error).message, [], error);
  }
}

/** One worker would be this process with another one beside it. */
async function carrierFor(
  workers: number,
  configPath: string,
  telemetry: ProcessTelemetry,
): Promise<Pick<ProxyProcessParts, 'dataPath' | 'sources'>> {
  if (workers > 1) {
    const { WorkerPool } = await import('./cluster/worker-pool.ts');
    const { pooledSources } = await import('./cluster/pooled-sources.ts');
    const pool = new WorkerPool({ workers, configPath, telemetry });
    return { dataPath: pool, sources: pooledSources(telemetry, pool) };
  }
  const dataPath = buildLocalDataPath(telemetry, randomBytes(SHORTEST_SECRET_BYTES));
  return { dataPath, sources: liveSources(telemetry, () => dataPath.snapshot) };
}

function openTelemetry(...args: Parameters<typeof buildTelemetry>): ReturnType<typeof buildTelemetry> {
  try {
    return buildTelemetry(...args);
  } catch (error) {
    throw new StartError(
      `Cannot open the access log '${args[0].accessLog.destination}': ${(error as Error).message}`,
      [],
      error,
    );
  }
}
