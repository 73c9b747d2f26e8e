// What the npm scripts call: `node scripts/launch.mjs install|demo|test|interop|bench|soak|sallyport [args]`. It installs what the lock
// file names and is missing (npm ci, no install scripts, nothing else is fetched), then goes on with the pinned Node.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pinnedNode, root, runOnPinnedNode, runSallyport } from '../bin/pinned-node.mjs';

const [verb, ...rest] = process.argv.slice(2);
const jest = [
  '--experimental-vm-modules',
  '--disable-warning=ExperimentalWarning',
  'node_modules/jest/bin/jest.js',
  ...countsFor(verb),
];
const verbs = {
  install: async () => 0,
  demo: () => runSallyport(['demo', ...rest]),
  sallyport: () => runSallyport(rest),
  test: () => runOnPinnedNode([...jest, ...rest], { cwd: root }),
  interop: () => {
    ensureInstalled(join(root, 'test', 'interop', 'kubernetes-tools'));
    return runOnPinnedNode([...jest, '-c', 'jest.interop.config.js', ...rest], { cwd: root });
  },
  bench: () => {
    ensureInstalled(join(root, 'bench'));
    return runOnPinnedNode(['bench/main.ts', ...rest], { cwd: root });
  },
  soak: () => runOnPinnedNode(['test/soak/main.ts', ...rest], { cwd: root }),
};

if (!Object.hasOwn(verbs, verb ?? '')) {
  console.error(`Cannot launch '${verb ?? ''}': expected one of ${Object.keys(verbs).join(', ')}`);
  process.exit(2);
}
ensureInstalled(root);
process.exitCode = await verbs[verb]();

function ensureInstalled(folder) {
  refuseUnpinned(folder);
  if (isInstalled(folder) && (folder !== root || pinnedNode() !== null)) return;
  console.error('Installing what package-lock.json names (npm ci --ignore-scripts) …');
  const npm = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: folder,
    stdio: ['ignore', 2, 2], // standard output stays the program's own: `sallyport check --json` is piped
    // npm itself may run on an older node: its engine warnings are about itself, not about what runs here.
    env: { ...process.env, npm_config_engine_strict: 'false' },
  });
  if (npm.status !== 0) stop(`npm ci ended with ${npm.status ?? npm.signal ?? npm.error?.message}`);
  if (folder === root && pinnedNode() === null) {
    stop(
      `no Node package for ${process.platform} ${process.arch} was installed (see optionalDependencies in package.json)`,
    );
  }
}

/** npm checks only what the lock file gives a hash for, and fetches from wherever it says: both must be in order before it starts. */
function refuseUnpinned(folder) {
  const lock = readLock(join(folder, 'package-lock.json'));
  if (lock === null) stop(`found no package-lock.json in ${folder}`);
  for (const [path, { integrity, resolved, link }] of Object.entries(lock.packages)) {
    if (path === '') continue;
    if (link) stop(`package-lock.json has a link at ${path}, expected packages of the registry only`);
    if (!integrity?.startsWith('sha512-')) stop(`package-lock.json has no SHA-512 integrity for ${path}`);
    if (resolved !== undefined)
      stop(
        `package-lock.json fetches ${path} from ${resolved}, expected no 'resolved': the registry is npm's own setting`,
      );
  }
}

function stop(why) {
  console.error(`Cannot install: ${why}`);
  process.exit(1);
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

/** For .ci/run: with SALLYPORT_JEST_JSON=FOLDER, jest also writes its counts to FOLDER/VERB.json. */
function countsFor(name) {
  const folder = process.env.SALLYPORT_JEST_JSON;
  if (!folder) return [];
  mkdirSync(folder, { recursive: true });
  return ['--json', `--outputFile=${join(folder, `${name}.json`)}`];
}
