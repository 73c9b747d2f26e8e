import { Command, CommanderError, Option } from 'commander';
import { version } from '../process/version.ts';
import { addExplainCommands } from './explain.ts';
import type { VerifyOptions } from './verify.ts';

/** The command line: each command parses its arguments, loads and calls one thing, and gives the exit code. */
export function buildProgram(): { run(args: readonly string[]): Promise<number> } {
  let exitCode = 0;
  const done = (code: number) => {
    exitCode = code;
  };
  const program = new Command('sallyport')
    .description('A TLS-terminating reverse proxy: SSL policies in, verified backend TLS out')
    .version(version())
    .exitOverride()
    .showHelpAfterError('(sallyport --help lists the commands)');

  program
    .command('run')
    .description('run the proxy until SIGTERM or SIGINT')
    .requiredOption('--config <file|folder>', 'configuration: a YAML or JSON file, or a folder of them')
    .action(async (options: { config: string }) => {
      const { runCommand } = await import('./run.ts');
      done(await runCommand(options));
    });

  program
    .command('check')
    .description('load everything exactly as run would, and report')
    .requiredOption('--config <file|folder>', 'configuration: a YAML or JSON file, or a folder of them')
    .option('--json', 'print JSON')
    .option('--strict', 'warnings count as errors')
    .action(async (options: { config: string; json?: boolean; strict?: boolean }) => {
      const { checkCommand } = await import('./check.ts');
      done(await checkCommand(options));
    });

  program
    .command('demo')
    .description('demo certificates, demo backends and the proxy on https://localhost:8443')
    .option('--port <port>', 'HTTPS port', '8443')
    .option('--admin-port <port>', 'admin port', '9901')
    .option('--dir <folder>', 'where certificates and configuration are written', '.demo')
    .action(async (options: { port: string; adminPort: string; dir: string }) => {
      const { runDemo } = await import('./demo.ts');
      done(await runDemo({ port: Number(options.port), adminPort: Number(options.adminPort), folder: options.dir }));
    });

  program
    .command('pki')
    .description('make certificates from a manifest')
    .requiredOption('--manifest <file>', 'YAML manifest (certs/demo.yaml is one)')
    .requiredOption('--out <folder>', 'where certificates and keys are written')
    .option('--force', 'replace files that exist')
    .action(async (options: { manifest: string; out: string; force?: boolean }) => {
      const { pkiCommand } = await import('./pki.ts');
      done(await pkiCommand(options));
    });

  program
    .command('verify')
    .description('verify a certificate chain with the verifier of the backend door')
    .option('--roots <file>', 'PEM file of trust anchors')
    .option('--intermediates <file>', 'PEM file of intermediates')
    .option('--allowlist <file>', 'PEM file of allowlisted leaves')
    .option('--chain <file>', 'PEM file of what the peer sends, leaf first')
    .option('--dns-name <name...>', 'accepted DNS SANs')
    .option('--uri <uri...>', 'accepted URI SANs')
    .option('--crl <file>', 'CRLs: one in DER, or any number in PEM')
    .addOption(
      new Option('--revocation-mode <mode>', 'what a missing CRL means (default: require)').choices([
        'require',
        'if-available',
      ]),
    )
    .addOption(new Option('--purpose <purpose>').choices(['server', 'client', 'any']).default('server'))
    .option('--at <time>', 'verify at this RFC 3339 time instead of now')
    .option('--json', 'print JSON')
    .option('--batch', 'one JSON request a line on standard input, one JSON answer a line')
    .action(async (options: VerifyOptions) => {
      const { verifyCommand } = await import('./verify.ts');
      done(await verifyCommand(options));
    });

  addExplainCommands(program, done);

  return {
    async run(args) {
      try {
        await program.parseAsync([...args], { from: 'user' });
        return exitCode;
      } catch (error) {
        if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
        throw error;
      }
    },
  };
}
