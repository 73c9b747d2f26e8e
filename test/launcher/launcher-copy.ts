import { type ChildProcess, execFileSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';

/** The launcher in a folder of its own, before a program that says how it was started and which signals it gets. */
export function copyOfLauncher(): TempFolder {
  const folder = makeTempFolder();
  cpSync(join(ROOT, 'bin'), folder.file('bin'), { recursive: true });
  folder.write('scripts/launch.mjs', readFileSync(join(ROOT, 'scripts', 'launch.mjs')));
  folder.write('package.json', readFileSync(join(ROOT, 'package.json')));
  folder.write('src/cli/main.ts', PRETEND);
  return folder;
}

export function version(node: string): string {
  return execFileSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' }).trim();
}

/** One of each version: the system's, where there is one, and the one that runs this test. */
export function nodesOnPath(): readonly string[] {
  const byVersion = new Map([[process.versions.node, process.execPath]]);
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const node = join(folder, 'node');
    if (folder === '' || !existsSync(node)) continue;
    const found = version(realpathSync(node));
    if (!byVersion.has(found)) byVersion.set(found, realpathSync(node));
  }
  return [...byVersion.values()];
}

/** What a child prints, on both outputs, and a wait for a text in it. */
export function collect(child: ChildProcess): { text(): string; until(text: string, times?: number): Promise<void> } {
  let text = '';
  const look = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      for (const check of look) check();
    });
  }
  return {
    text: () => text,
    until: (wanted, times = 1) =>
      new Promise((resolve, reject) => {
        const check = () => {
          if (text.split(wanted).length <= times) return;
          look.delete(check);
          resolve();
        };
        look.add(check);
        child.once('close', (code) => reject(new Error(`Cannot find '${wanted}': it ended with ${code}: ${text}`)));
        check();
      }),
  };
}

const ROOT = join(import.meta.dirname, '..', '..');
const PRETEND = `
const stay = setInterval(() => {}, 1000);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2']) {
  process.on(signal, () => {
    process.stdout.write('received ' + signal + '\\n');
    if (signal === 'SIGTERM') { clearInterval(stay); process.exitCode = 7; }
  });
}
process.stdout.write('started ' + JSON.stringify({ pid: process.pid, version: process.version, args: process.argv.slice(2), execArgv: process.execArgv }) + '\\n');
if (process.argv[2] === 'exit') process.exit(Number(process.argv[3]));
if (process.argv[2] === 'kill') process.kill(process.pid, 'SIGKILL');
`;
