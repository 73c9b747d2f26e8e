import type { ProcessTelemetry } from './telemetry.ts';

export interface SignalActions {
  stop(signal: NodeJS.Signals): void;
  reload(): void;
  reopenAccessLog(): void;
}

/**
 * What signals do to the process that has been told to run (docs/configuration.md), and how it ends on a defect of ours: it says so.
 * What goes on after an unknown state is worse than a restart.
 */
export function installSignals(telemetry: ProcessTelemetry, actions: SignalActions): void {
  process.on('SIGTERM', (signal) => actions.stop(signal));
  process.on('SIGINT', (signal) => actions.stop(signal));
  process.on('SIGHUP', () => actions.reload());
  process.on('SIGUSR2', () => actions.reopenAccessLog());
  endOnDefects(telemetry);
}

export function endOnDefects(telemetry: ProcessTelemetry): void {
  process.on('exit', () => telemetry.flushSync());
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
