// `node scripts/count-tests.mjs FOLDER VERB…`: sums jest's own counts in FOLDER/VERB.json and prints `N passed, N failed, N skipped`.
// A test file that could not run, and a run that left no counts, is one failure each: jest counts no test there. Exit code 1 where
// anything failed. Runs on Node 18 and newer.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder = '.', ...verbs] = process.argv.slice(2);
let passed = 0;
let failed = 0;
let skipped = 0;
for (const verb of verbs) {
  const file = join(folder, `${verb}.json`);
  if (!existsSync(file)) {
    console.error(`Cannot count the tests of '${verb}': it left no ${file}`);
    failed++;
    continue;
  }
  const counts = JSON.parse(readFileSync(file, 'utf8'));
  passed += counts.numPassedTests;
  failed += counts.numFailedTests + counts.numRuntimeErrorTestSuites;
  skipped += counts.numPendingTests + counts.numTodoTests;
}
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed > 0 ? 1 : 0;
