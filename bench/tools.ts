import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The full path of a Debian tool, or null. /usr/sbin is not in everybody's PATH. */
export function toolPath(name: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
}

/** @throws Error that names the packages of everything that is missing. */
export function requireTools(names: readonly (keyof typeof PACKAGES)[]): void {
  const missing = names.filter((name) => toolPath(name) === null);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((name) => PACKAGES[name]))].join(' ');
  throw new Error(`Cannot measure: ${missing.join(', ')} not found; install with: apt-get install ${packages}`);
}

/** The first line that a tool prints about its version. */
export function versionOf(command: string, args: readonly string[]): string {
  const output = execFileSync('sh', ['-c', `"$0" "$@" 2>&1 || true`, command, ...args], { encoding: 'utf8' });
  return output.trim().split('\n')[0] ?? '';
}

const PACKAGES = {
  nginx: 'nginx-light',
  haproxy: 'haproxy',
  wrk: 'wrk',
  h2load: 'nghttp2-client',
  taskset: 'util-linux',
  getconf: 'libc-bin',
} as const;
