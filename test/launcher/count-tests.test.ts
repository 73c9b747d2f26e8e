import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { makeTempFolder } from '../harness/temp-folder.ts';

const SCRIPT = join(import.meta.dirname, '..', '..', 'scripts', 'count-tests.mjs');
const GOOD = {
  numPassedTests: 10,
  numFailedTests: 0,
  numRuntimeErrorTestSuites: 0,
  numPendingTests: 1,
  numTodoTests: 2,
};

function count(files: Readonly<Record<string, object>>): { status: number | null; last: string | undefined } {
  using folder = makeTempFolder();
  for (const [name, counts] of Object.entries(files)) folder.write(`${name}.json`, JSON.stringify(counts));
  const run = spawnSync(process.execPath, [SCRIPT, folder.path, 'test', 'interop'], { encoding: 'utf8' });
  return { status: run.status, last: run.stdout.trimEnd().split('\n').at(-1) };
}

describe('count-tests.mjs', () => {
  test('sums the counts of both runs', () => {
    expect(count({ test: GOOD, interop: GOOD })).toEqual({ status: 0, last: '20 passed, 0 failed, 6 skipped' });
  });

  test('fails where a test failed', () => {
    const result = count({ test: { ...GOOD, numFailedTests: 3 }, interop: GOOD });
    expect(result).toEqual({ status: 1, last: '20 passed, 3 failed, 6 skipped' });
  });

  test('counts a file that could not run, and a run that left no counts, as one failure each', () => {
    const result = count({ test: { ...GOOD, numRuntimeErrorTestSuites: 1 } });
    expect(result).toEqual({ status: 1, last: '10 passed, 2 failed, 3 skipped' });
  });
});
