// How the program is started. Security rule 11: every entry point runs with --disable-sigusr1, so that nobody who may signal the
// process can open its debugger.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const ROOT = join(import.meta.dirname, '..', '..');

test.each([
  ['bin/pinned-node.mjs', /^const NODE_ARGS = \['--disable-sigusr1', '--v8-pool-size=1'\];$/m],
  ['scripts/build.ts', /#!\/usr\/bin\/env -S node --disable-sigusr1 --v8-pool-size=1\\n/],
  ['Dockerfile', /^ENTRYPOINT \["node", "--disable-sigusr1", "--v8-pool-size=1", /m],
])('%s starts the program with --disable-sigusr1 (security rule 11) and one helper thread', (file, expected) => {
  expect(readFileSync(join(ROOT, file), 'utf8')).toMatch(expected);
});

test.each(['src/cli/main.ts', 'src/process/cluster/worker-main.ts'])(
  '%s hardens the runtime before anything else is loaded or read (security rule 11)',
  (file) => {
    const text = readFileSync(join(ROOT, file), 'utf8');
    const at = text.search(/^hardenRuntime\(\);$/m);
    expect(at).toBeGreaterThan(0);
    expect(text.slice(at)).toMatch(/await /);
    expect(text.slice(0, at)).not.toMatch(/await |process\.env/);
  },
);

test('launcher and image tell glibc the same, unless the environment says something else', () => {
  const file = pathToFileURL(join(ROOT, 'bin', 'pinned-node.mjs')).href;
  const script = `import { sallyportEnvironment } from ${JSON.stringify(file)};
    console.log(JSON.stringify([sallyportEnvironment({ A: '1' }), sallyportEnvironment({ GLIBC_TUNABLES: 'x' })]));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' });
  const [, tunables] = /^ENV GLIBC_TUNABLES=(\S+)$/m.exec(readFileSync(join(ROOT, 'Dockerfile'), 'utf8')) ?? [];
  expect(tunables).toBeDefined();
  expect(JSON.parse(output)).toEqual([{ GLIBC_TUNABLES: tunables, A: '1' }, { GLIBC_TUNABLES: 'x' }]);
});

test('package.json starts the program by way of the launcher only', () => {
  const { scripts, bin } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
    bin: Record<string, string>;
  };
  expect(bin).toEqual({ sallyport: 'bin/sallyport.mjs' });
  const direct = Object.entries(scripts).filter(([, command]) => /src\/cli|dist\/cli/.test(command));
  expect(direct).toEqual([]);
  expect(scripts['start']).toBe('node scripts/launch.mjs demo');
  expect(scripts['test']).toBe('node scripts/launch.mjs test');
});
