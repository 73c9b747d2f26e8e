import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { runtimeRefusals } from '#src/process/runtime-guard.ts';
import { V8_FLAGS } from '#src/process/v8-flags.ts';

describe('runtimeRefusals() (security rule 11)', () => {
  test('lets the pinned runtime go', () => {
    expect(runtimeRefusals({ NODE_OPTIONS: '--max-old-space-size=400' }, ['--disable-sigusr1'], '26.10.0')).toEqual([]);
  });

  test('refuses an older Node and says how to start', () => {
    expect(runtimeRefusals({}, [], '20.20.2')).toEqual([
      'Cannot run on Node 20.20.2: expected 26 or newer; start it with `sallyport` or `npm run sallyport`',
    ]);
  });

  test.each([
    '--inspect',
    '--inspect-brk=0.0.0.0:9229',
    '--tls-keylog=/tmp/keys',
    '--trace-tls',
    '--insecure-http-parser',
    '--report-on-signal',
    '--heapsnapshot-signal=SIGUSR2',
    '--openssl-legacy-provider',
    '--openssl-config=x',
    '--require',
    '-r',
    '--import=./x.mjs',
    '--experimental-loader=x',
    '--force-fips',
  ])('refuses %s from NODE_OPTIONS and from the command line', (option) => {
    const named = option.split('=')[0] as string;
    expect(runtimeRefusals({ NODE_OPTIONS: `--no-warnings ${option}` }, [], '26.10.0')[0]).toContain(`'${named}'`);
    expect(runtimeRefusals({}, [option], '26.10.0')[0]).toContain(`'${named}'`);
  });

  test('does not repeat the value of an option, which may be a secret path', () => {
    expect(runtimeRefusals({ NODE_OPTIONS: '--tls-keylog=/secret/path' }, [], '26.10.0').join()).not.toContain(
      '/secret',
    );
  });

  test('refuses NODE_DEBUG, which prints request heads', () => {
    expect(runtimeRefusals({ NODE_DEBUG: 'tls,http' }, [], '26.10.0')[0]).toContain('NODE_DEBUG');
  });
});

test.each(V8_FLAGS)('%s is a flag that V8 knows: it takes others without a word', (flag) => {
  const known = execFileSync(process.execPath, ['--v8-options'], { encoding: 'utf8' });
  expect(known).toContain(`  ${flag.replace(/^--no-/, '--').replace(/=.*/, '')} `);
});

test('a diagnostic report has no environment variables in it (security rule 11)', () => {
  const guard = join(import.meta.dirname, '..', '..', 'src', 'process', 'runtime-guard.ts');
  const report = (script: string) =>
    execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
      env: { SECRET_OF_SOMEBODY: 'in the environment' },
      encoding: 'utf8',
    });
  const print = 'process.stdout.write(JSON.stringify(process.report.getReport()));';
  expect(report(print)).toContain('in the environment');
  const hardened = report(`import { hardenRuntime } from '${guard}'; hardenRuntime(); ${print}`);
  expect(hardened).toContain('javascriptStack');
  expect(hardened).not.toContain('in the environment');
});
