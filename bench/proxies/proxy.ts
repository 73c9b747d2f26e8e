import type { Child } from '../child.ts';
import type { ProxyName, RowName } from '../options.ts';
import type { Workbench } from '../workbench.ts';

/** One thing to measure. All of them do the same work: verify the backend, show a client certificate, keep connections alive. */
export interface MeasuredProxy {
  readonly name: ProxyName;
  /** What it logs and counts while measured: stated in the result. */
  readonly observes: string;
  version(): string;
  serves(row: RowName): boolean;
  start(bench: Workbench, backendPort: number): Promise<RunningProxy>;
}

export interface RunningProxy extends Child {
  port(row: RowName): number;
}
