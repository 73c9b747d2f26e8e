// What the npm scripts call: `node scripts/launch.mjs install|demo|test|interop|bench|sallyport [args]`. It installs what the lock
// file names and is missing (npm ci, no install scripts, nothing else is fetched), then goes on with the pinned Node.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pinnedNode, root, runOnPinnedNode, runSallyport } from '../bin/pinned-node.mjs';

const [verb, ...rest] = process.argv.slice(2);
const jest = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'];
const verbs = {
  install: async () => 0,
  demo: () => runSallyport(['demo', ...rest]),
  sallyport: () => runSallyport(rest),
  test: () => runOnPinnedNode([...jest, ...rest], { cwd: root }),
  interop: () => runOnPinnedNode([...jest, '-c', 'jest.interop.config.js', ...rest], { cwd: root }),
  bench: () => {
    ensureInstalled(join(root, 'bench'));
    return runOnPinnedNode(['bench/main.ts', ...rest], { cwd: root });
  },
};

if (!Object.hasOwn(verbs, verb ?? '')) {
  console.error(`Cannot launch '${verb ?? ''}': expected one of ${Object.keys(verbs).join(', ')}`);
  process.exit(2);
}
ensureInstalled(root);
process.exitCode = await verbs[verb]();

function ensureInstalled(folder) {
  if (isInstalled(folder) && (folder !== root || pinnedNode() !== null)) return;
  console.error('Installing what package-lock.json names (npm ci --ignore-scripts) …');
  const npm = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: folder,
    stdio: ['ignore', 2, 2], // standard output stays the program's own: `sallyport check --json` is piped
    // npm itself may run on an older node: its engine warnings are about itself, not about what runs here.
    env: { ...process.env, npm_config_engine_strict: 'false' },
  });
  if (npm.status !== 0) {
    console.error(`Cannot install: npm ci ended with ${npm.status ?? npm.signal}`);
    process.exit(1);
  }
  if (folder === root && pinnedNode() === null) {
    console.error(`Cannot install: no Node package for ${process.platform} ${process.arch} (see optionalDependencies)`);
    process.exit(1);
  }
}

/** npm leaves a lock file of what it installed; it must hold every package ours names for this platform, at the same integrity. */
function isInstalled(folder) {
  const installed = readLock(join(folder, 'node_modules', '.package-lock.json'));
  const wanted = readLock(join(folder, 'package-lock.json'));
  if (installed === null || wanted === null) return false;
  return Object.entries(wanted.packages).every(([path, spec]) => {
    if (path === '' || spec.optional) return true;
    return installed.packages[path]?.integrity === spec.integrity;
  });
}

function readLock(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : null;
}
