import { tuneV8 } from './v8-flags.ts';
/**
 * What must be true of the runtime before any key is read (security: runtime switches). Returns the reasons to refuse; empty
 * means go. NODE_OPTIONS reaches a process from places that nobody reviews: a debugger, a TLS key log or a preloaded module
 * there would undo what this program promises.
 */
export function runtimeRefusals(
  env: NodeJS.ProcessEnv,
  execArgv: readonly string[],
  version: string,
): readonly string[] {
  const refusals: string[] = [];
  if (Number(version.split('.')[0]) < REQUIRED_MAJOR) {
    refusals.push(
      `Cannot run on Node ${version}: expected ${REQUIRED_MAJOR} or newer; start it with \`sallyport\` or \`npm run sallyport\``,
    );
  }
  const given = (env['NODE_OPTIONS'] ?? '').split(/\s+/).concat(execArgv);
  for (const option of given) {
    const word = REFUSED_WORDS.find((refused) => refused.test(option));
    if (word !== undefined)
      refusals.push(
        `Cannot run with the Node option '${option.split('=')[0]}': remove it from NODE_OPTIONS or the command line`,
      );
  }
  for (const name of REFUSED_VARIABLES) {
    if (env[name])
      refusals.push(`Cannot run with ${name} set: it makes the runtime print what must stay secret; unset it`);
  }
  return refusals;
}

/** Sets what the program wants of the runtime whatever the command line said. */
export function hardenRuntime(): void {
  tuneV8();
  if (process.report) process.report.excludeEnv = true;
  process.on('SIGUSR1', ignoreSignal); // without --disable-sigusr1 the runtime would open a debugger
}

function ignoreSignal(): void {}

const REQUIRED_MAJOR = 26;

const REFUSED_WORDS = [
  /^--inspect/,
  /^--debug/,
  /^--tls-keylog/,
  /^--trace-tls/,
  /^--insecure-http-parser/,
  /^--(experimental-)?report/,
  /^--heapsnapshot/,
  /^--heap-prof/,
  /^--openssl-/,
  /^--(enable|force)-fips/,
  /^--require/,
  /^-r/,
  /^--import/,
  /^--(experimental-)?loader/,
];

/** NODE_DEBUG prints heads and handshakes to standard error. */
const REFUSED_VARIABLES = ['NODE_DEBUG', 'NODE_DEBUG_NATIVE'];
