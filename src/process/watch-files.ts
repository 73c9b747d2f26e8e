import { stat } from 'node:fs/promises';

/** What a set of files looked like at one moment: path → identity, or 'missing'. */
export type FileSignatures = ReadonlyMap<string, string>;

/**
 * The identity of each file as seen through symlinks, so that a Kubernetes `..data` swap changes it. Polled rather than
 * watched: inotify sees neither network file systems nor a swap two links away, and a watch on a file dies with its first
 * replacement. A few dozen stat calls a second cost less than the bugs (docs/decisions/0005).
 */
export async function fileSignatures(files: Iterable<string>): Promise<FileSignatures> {
  const signatures = new Map<string, string>();
  await Promise.all(
    [...files].map(async (file) => {
      signatures.set(file, await signatureOf(file));
    }),
  );
  return signatures;
}

export interface FileWatch {
  /** From now on compare with these signatures (taken before the files were read). */
  expect(baseline: FileSignatures): void;
  stop(): void;
}

/**
 * Calls `onChange` with the changed paths once the files differ from the baseline and have looked the same for one whole poll, so that a
 * half-written pair is not read. A pair written more slowly than that fails to load and is tried again at the next change. Files that
 * never come to rest are reported all the same, so that nobody can keep the old ones in use by touching them.
 */
export function watchFiles(baseline: FileSignatures, onChange: (changed: readonly string[]) => void): FileWatch {
  let expected = baseline;
  let previous = baseline;
  let polling = false;
  let restless = 0;
  const poll = async () => {
    if (polling) return; // a stalled file system must not pile up polls
    polling = true;
    const now = await fileSignatures(expected.keys());
    polling = false;
    const changed = differences(expected, now);
    const settled = differences(previous, now).length === 0;
    previous = now;
    if (changed.length === 0) return;
    if (!settled && ++restless <= RESTLESS_POLLS) return;
    restless = 0;
    expected = now;
    onChange(changed);
  };
  const timer = setInterval(() => void poll(), POLL_INTERVAL_MS);
  timer.unref();
  return {
    expect(next) {
      expected = next;
      previous = next;
    },
    stop: () => clearInterval(timer),
  };
}

function differences(before: FileSignatures, now: FileSignatures): readonly string[] {
  const changed: string[] = [];
  for (const [file, signature] of now) if (before.get(file) !== signature) changed.push(file);
  return changed;
}

async function signatureOf(file: string): Promise<string> {
  try {
    const facts = await stat(file, { bigint: true });
    return `${facts.dev}:${facts.ino}:${facts.size}:${facts.mtimeNs}:${facts.ctimeNs}`;
  } catch (error) {
    return `missing:${(error as NodeJS.ErrnoException).code ?? 'unknown'}`;
  }
}

const POLL_INTERVAL_MS = 500; // a change is seen and settled within 1 s: new handshakes get a new certificate within 2 s
const RESTLESS_POLLS = 2; // 1.5 s after the first change at the latest
