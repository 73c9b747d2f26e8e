import type { BackendStatus, BalanceStatus, EndpointStatus, HandshakeStatus } from '../../admin/admin-sources.ts';

/** What one worker shows at /backends and /handshakes. */
export interface WorkerStatus {
  readonly backends: readonly BackendStatus[];
  readonly handshakes: HandshakeStatus;
}

/** null: not the JSON of one. The texts in it go to the admin page as they are; it shows them as text (security rule 17). */
export function parseWorkerStatus(text: string): WorkerStatus | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(value) || !isRecord(value['handshakes']) || !Array.isArray(value['backends'])) return null;
  const { failures, shadow } = value['handshakes'];
  if (!Array.isArray(failures) || !Array.isArray(shadow)) return null;
  const isWhole =
    value['backends'].every(isBackend) &&
    failures.every((item) => isRecord(item) && typeof item['time'] === 'string') &&
    shadow.every(
      (item) =>
        isRecord(item) &&
        [...SHADOW_KEY, 'firstSeen', 'lastSeen'].every((key) => typeof item[key] === 'string') &&
        typeof item['count'] === 'number',
    );
  return isWhole ? (value as unknown as WorkerStatus) : null;
}

/**
 * Each service once. An endpoint is healthy where all workers find it so, and ejected where one has ejected it; what is in flight is added
 * up; the newest refusal of an endpoint stands.
 */
export function mergeBackends(statuses: readonly WorkerStatus[]): readonly BackendStatus[] {
  const merged = new Map<string, BackendStatus>();
  for (const status of statuses.flatMap(({ backends }) => backends)) {
    const known = merged.get(status.service);
    merged.set(status.service, known === undefined ? status : mergeBackend(known, status));
  }
  return [...merged.values()];
}

/** The newest of all, as many as one process shows. A client that several workers met counts once, with the sum. */
export function mergeHandshakes(statuses: readonly WorkerStatus[]): HandshakeStatus {
  const failures = statuses.flatMap(({ handshakes }) => handshakes.failures);
  const shadow = new Map<string, HandshakeStatus['shadow'][number]>();
  for (const client of statuses.flatMap(({ handshakes }) => handshakes.shadow)) {
    const key = SHADOW_KEY.map((name) => client[name]).join('\n');
    const known = shadow.get(key);
    const newest = known === undefined || client.lastSeen > known.lastSeen ? client : known;
    const firstSeen = known !== undefined && known.firstSeen < client.firstSeen ? known.firstSeen : client.firstSeen;
    shadow.set(key, { ...newest, firstSeen, count: client.count + (known?.count ?? 0) });
  }
  return {
    failures: failures.sort((a, b) => (a.time < b.time ? 1 : -1)).slice(0, MOST_FAILURES),
    shadow: [...shadow.values()].sort((a, b) => (a.lastSeen < b.lastSeen ? 1 : -1)).slice(0, MOST_SHADOW),
  };
}

function mergeBackend(a: BackendStatus, b: BackendStatus): BackendStatus {
  const health = new Map<string, EndpointStatus>(a.health.map((status) => [status.endpoint, status]));
  for (const status of b.health) {
    const known = health.get(status.endpoint);
    health.set(status.endpoint, known === undefined ? status : worse(known, status));
  }
  const refusals = new Map(a.refusals.map((refusal) => [refusal.endpoint, refusal]));
  for (const refusal of b.refusals) {
    const known = refusals.get(refusal.endpoint);
    if (known === undefined || known.time < refusal.time) refusals.set(refusal.endpoint, refusal);
  }
  return {
    ...a,
    endpoints: [...new Set([...a.endpoints, ...b.endpoints])],
    health: [...health.values()],
    balance: mergeBalance(a.balance, b.balance),
    refusals: [...refusals.values()],
  };
}

function mergeBalance(a: BalanceStatus, b: BalanceStatus): BalanceStatus {
  const endpoints = new Map(a.endpoints.map((status) => [status.endpoint, status]));
  for (const status of b.endpoints) {
    const known = endpoints.get(status.endpoint);
    const inFlight = status.inFlight + (known?.inFlight ?? 0);
    endpoints.set(status.endpoint, { ...status, inFlight, isEjected: status.isEjected || known?.isEjected === true });
  }
  return { ...a, isInPanic: a.isInPanic || b.isInPanic, endpoints: [...endpoints.values()] };
}

function worse(a: EndpointStatus, b: EndpointStatus): EndpointStatus {
  const isWorse = Number(b.isProbed) + Number(b.isHealthy) < Number(a.isProbed) + Number(a.isHealthy);
  return isWorse ? b : a;
}

function isBackend(value: unknown): boolean {
  if (!isRecord(value) || typeof value['service'] !== 'string') return false;
  const { endpoints, health, refusals, balance } = value;
  if (!isRecord(balance) || !Array.isArray(balance['endpoints'])) return false;
  if (!Array.isArray(endpoints) || !Array.isArray(health) || !Array.isArray(refusals)) return false;
  return (
    endpoints.every((name) => typeof name === 'string') &&
    health.every((item) => isRecord(item) && typeof item['endpoint'] === 'string') &&
    balance['endpoints'].every(
      (item) => isRecord(item) && typeof item['endpoint'] === 'string' && typeof item['inFlight'] === 'number',
    ) &&
    refusals.every((item) => isRecord(item) && typeof item['endpoint'] === 'string' && typeof item['time'] === 'string')
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const SHADOW_KEY = ['targetProxy', 'sslPolicy', 'network', 'ja4'] as const; // telemetry/shadow-clients.ts
const MOST_FAILURES = 500; // telemetry/recent-failures.ts
const MOST_SHADOW = 100; // telemetry/shadow-clients.ts
