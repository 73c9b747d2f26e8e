/** One metric of one process as it was at one moment. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  /** `name{label="value",…}` as it is exposed → value. A histogram has its buckets, sum and count. */
  readonly samples: ReadonlyMap<string, number>;
}

export type MetricType = 'counter' | 'gauge' | 'histogram';

/**
 * Reads what Metrics.snapshot() of another process made. null: anything else; nothing of it is used then. Names and labels become text
 * of the exposition, so they are held to its grammar here.
 */
export function parseMetricSnapshot(text: string): readonly MetricFamily[] | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!Array.isArray(value) || value.length > MAX_FAMILIES) return null;
  const families: MetricFamily[] = [];
  let samples = 0;
  for (const item of value) {
    const family = familyOf(item);
    if (family === null) return null;
    samples += family.samples.size;
    if (samples > MAX_SAMPLES) return null;
    families.push(family);
  }
  return families;
}

function familyOf(value: unknown): MetricFamily | null {
  if (!isRecord(value)) return null;
  const { name, help, type, values } = value;
  if (typeof name !== 'string' || name.length > MAX_NAME || !METRIC_NAME.test(name)) return null;
  if (typeof help !== 'string' || help.length > MAX_TEXT || !isMetricType(type)) return null;
  if (!Array.isArray(values) || values.length > MAX_SAMPLES) return null;
  const samples = new Map<string, number>();
  for (const sample of values) {
    if (!isRecord(sample)) return null;
    const metricName: unknown = sample['metricName'] ?? name;
    // `name`, or `name_bucket` and the like
    if (typeof metricName !== 'string' || !metricName.startsWith(name) || !SUFFIX.test(metricName.slice(name.length)))
      return null;
    const labels = labelText(sample['labels'] ?? {});
    if (labels === null) return null;
    if (sample['value'] === null) continue; // JSON's NaN: a mean of nothing
    if (typeof sample['value'] !== 'number') return null;
    samples.set(`${metricName}${labels}`, sample['value']);
  }
  return { name, help, type, samples };
}

function labelText(labels: unknown): string | null {
  if (!isRecord(labels)) return null;
  const entries = Object.entries(labels);
  if (entries.length > MAX_LABELS) return null;
  const parts: string[] = [];
  for (const [name, value] of entries) {
    if (name.length > MAX_NAME || !LABEL_NAME.test(name)) return null;
    if ((typeof value !== 'string' && typeof value !== 'number') || String(value).length > MAX_TEXT) return null;
    parts.push(`${name}="${escapeLabel(String(value))}"`);
  }
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}

/** Prometheus text format 0.0.4. */
function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}

function isMetricType(value: unknown): value is MetricType {
  return value === 'counter' || value === 'gauge' || value === 'histogram';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const SUFFIX = /^(?:_bucket|_sum|_count)?$/;
const MAX_FAMILIES = 1000; // there are about 80
const MAX_SAMPLES = 500_000; // a scrape of more is useless to Prometheus too
const MAX_LABELS = 32;
const MAX_NAME = 128;
const MAX_TEXT = 4096; // a subject is cut at 256
