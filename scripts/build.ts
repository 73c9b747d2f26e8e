// `npm run build`: compiles src/ to dist/ (plain JavaScript, same folders) for the image and the npm package.
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = dirname(import.meta.dirname);
const dist = join(root, 'dist');

rmSync(dist, { recursive: true, force: true }); // a file that src no longer has must not stay
const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
const compiled = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
if (compiled.status !== 0) {
  console.error(`Cannot build: tsc ended with ${compiled.status ?? compiled.signal}`);
  process.exit(1);
}
const main = join(dist, 'cli', 'main.js');
writeFileSync(main, `#!/usr/bin/env -S node --disable-sigusr1 --v8-pool-size=1\n${readFileSync(main, 'utf8')}`);
chmodSync(main, 0o755);
