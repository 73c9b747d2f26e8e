import type { AdminSources } from '../../admin/admin-sources.ts';
import type { LinkedConfiguration } from '../../config/linked.ts';
import { parseMetricSnapshot } from '../../telemetry/metric-snapshot.ts';
import { certificateStatuses } from '../live-sources.ts';
import type { ProcessTelemetry } from '../telemetry.ts';
import type { WorkerPool } from './worker-pool.ts';
import { mergeBackends, mergeHandshakes, parseWorkerStatus, type WorkerStatus } from './worker-status.ts';

/** What the admin server shows where workers carry the traffic: one picture of all of them. */
export function pooledSources(
  telemetry: ProcessTelemetry,
  pool: WorkerPool,
): (running: () => LinkedConfiguration) => Omit<AdminSources, 'readiness'> {
  const { metrics } = telemetry;
  return (running) => ({
    async metrics() {
      await pool.ask('metrics'); // the pool keeps what they say; of one that does not answer, what it said last
      const own = parseMetricSnapshot(await metrics.snapshot()) ?? [];
      return { contentType: metrics.contentType, text: pool.sums.exposition(own) };
    },
    configuration: () => running().redacted,
    certificates: () => certificateStatuses(telemetry, running()),
    backends: async () => mergeBackends(await statusesOf(pool)),
    handshakes: async () => mergeHandshakes(await statusesOf(pool)),
  });
}

async function statusesOf(pool: WorkerPool): Promise<readonly WorkerStatus[]> {
  return (await pool.ask('status')).map(parseWorkerStatus).filter((status) => status !== null);
}
