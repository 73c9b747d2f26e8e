// .ci/run with every tool it calls replaced by one that notes the call.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { makeTempFolder } from '../harness/temp-folder.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const COUNTS =
  '{"numPassedTests":5,"numFailedTests":0,"numRuntimeErrorTestSuites":0,"numPendingTests":0,"numTodoTests":0}';

interface CiRun {
  readonly status: number | null;
  readonly calls: readonly string[];
  readonly last: string | undefined;
  readonly sbom: string;
  readonly leftOver: boolean;
}

/** `okScript`: what the pretended `npm run ok` does, $1 being the file that jest would write. */
function runCi(okScript: string, installed = true): CiRun {
  using folder = makeTempFolder();
  const calls = folder.file('calls');
  folder.write('.ci/run', readFileSync(join(ROOT, '.ci', 'run')), 0o755);
  folder.write('scripts/count-tests.mjs', readFileSync(join(ROOT, 'scripts', 'count-tests.mjs')));
  folder.write('node_modules/stale', '');
  const write = (name: string) => `echo '${COUNTS}' > "$SALLYPORT_JEST_JSON/${name}.json"`;
  folder.write(
    'fake/npm',
    `#!/bin/sh
echo "npm $*" >> '${calls}'
set -- "$*"
case "$1" in
  "run ok") set -- "$SALLYPORT_JEST_JSON/test.json"; ${okScript} ;;
  "test") ${write('test')} ;;
  "run test:interop") ${write('interop')} ;;
  "sbom"*) echo '{"bomFormat":"CycloneDX"}' ;;
esac
`,
    0o755,
  );
  folder.write(
    'fake/dpkg-query',
    installed ? "#!/bin/sh\nprintf 'install ok installed'\n" : '#!/bin/sh\nexit 1\n',
    0o755,
  );
  folder.write('fake/apt-get', `#!/bin/sh\necho "apt-get $*" >> '${calls}'\n`, 0o755);
  folder.write('fake/sudo', '#!/bin/sh\nshift\nexec "$@"\n', 0o755);
  const PATH = [folder.file('fake'), dirname(process.execPath), '/usr/bin', '/bin'].join(delimiter);
  const run = spawnSync('bash', ['.ci/run'], { cwd: folder.path, encoding: 'utf8', env: { PATH } });
  const sbom = folder.file('.sbom/sallyport.cdx.json');
  return {
    status: run.status,
    calls: existsSync(calls) ? readFileSync(calls, 'utf8').trim().split('\n') : [],
    last: run.stdout.trimEnd().split('\n').at(-1),
    sbom: existsSync(sbom) ? readFileSync(sbom, 'utf8').trim() : '',
    leftOver: existsSync(folder.file('node_modules/stale')),
  };
}

const WRITE_COUNTS = `echo '${COUNTS}' > "$1"`;
const INSTALL = 'npm ci --ignore-scripts --no-audit --no-fund';
const SBOM = 'npm sbom --sbom-format cyclonedx --package-lock-only';

describe('.ci/run', () => {
  test('installs cleanly, writes an SBOM, runs everything and ends with the counts (security rule 14)', () => {
    expect(runCi(WRITE_COUNTS)).toEqual({
      status: 0,
      calls: [INSTALL, SBOM, 'npm run ok', 'npm run test:interop'],
      last: '10 passed, 0 failed, 0 skipped',
      sbom: '{"bomFormat":"CycloneDX"}',
      leftOver: false,
    });
  });

  test('installs the Debian packages that are missing', () => {
    const { calls, status } = runCi(WRITE_COUNTS, false);
    expect(status).toBe(0);
    expect(calls[0]).toMatch(/^apt-get .*update$/);
    expect(calls[1]).toMatch(/^apt-get .*install -y --no-install-recommends /);
    expect(calls[1]?.split(' ')).toEqual(
      expect.arrayContaining(['nginx', 'haproxy', 'curl', 'openssl', 'nghttp2-client', 'gnutls-bin', 'chromium']),
    );
  });

  test('runs the tests still where a linter stopped npm run ok, and fails', () => {
    const result = runCi('exit 1');
    expect(result.calls).toEqual([INSTALL, SBOM, 'npm run ok', 'npm test', 'npm run test:interop']);
    expect([result.status, result.last]).toEqual([1, '10 passed, 0 failed, 0 skipped']);
  });

  test('fails where a test failed, and does not run it twice', () => {
    const result = runCi(`echo '${COUNTS.replace('"numFailedTests":0', '"numFailedTests":2')}' > "$1"; exit 1`);
    expect(result.calls).toEqual([INSTALL, SBOM, 'npm run ok', 'npm run test:interop']);
    expect([result.status, result.last]).toEqual([1, '10 passed, 2 failed, 0 skipped']);
  });
});
