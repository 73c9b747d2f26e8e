import type { Command } from 'commander';
import type {
  BackendOptions,
  CertificateOptions,
  ImpactOptions,
  PolicyOptions,
  RouteOptions,
} from './explain-answers.ts';

/** `sallyport explain …`: what the proxy would do and why. The answers are loaded when somebody asks: they hold the known clients. */
export function addExplainCommands(program: Command, done: (exitCode: number) => void): void {
  const explain = program.command('explain').description('what the proxy would do, and why, without running it');
  const configured = (command: Command) =>
    command
      .requiredOption('--config <file|folder>', 'configuration: a YAML or JSON file, or a folder of them')
      .option('--json', 'print JSON');
  const ofProxy = (command: Command) => configured(command).requiredOption('--proxy <name>', 'target proxy');

  ofProxy(explain.command('certificate'))
    .description('which certificate a client gets, step by step')
    .option('--sni <host>', 'the name that the client asks for; absent: the hello as it is, for a preset no SNI')
    .option('--client <preset>', "who asks; 'explain policy' lists the presets")
    .option('--hello <hex>', 'who asks: the bytes of a ClientHello record')
    .action(async (options: CertificateOptions) => {
      const { certificateAnswer } = await import('./explain-answers.ts');
      done(await certificateAnswer(options));
    });

  ofProxy(explain.command('policy'))
    .description('what the SSL policy comes down to, and what known clients would negotiate')
    .option('--sni <host>', 'the name that the clients ask for; absent: the first name of the first certificate')
    .option('--client <preset>', 'only this client')
    .action(async (options: PolicyOptions) => {
      const { policyAnswer } = await import('./explain-answers.ts');
      done(await policyAnswer(options));
    });

  ofProxy(explain.command('route'))
    .description('which host rule, path rule and backend service get a request')
    .option('--method <method>', 'request method', 'GET')
    .requiredOption('--url <url>', 'https://host[:port][/path][?query], taken as it is')
    .option('--header <field...>', "'name: value'; Host replaces the URL's authority")
    .action(async (options: RouteOptions) => {
      const { routeAnswer } = await import('./explain-answers.ts');
      done(await routeAnswer(options));
    });

  configured(explain.command('backend'))
    .description("whether a backend's certificate chain is trusted, rule by rule")
    .requiredOption('--service <name>', 'backend service')
    .option('--endpoint <host:port>', 'dial this one; absent: every endpoint of the service')
    .option('--chain <file>', 'judge this PEM file (what the backend sends, leaf first) and dial nobody')
    .action(async (options: BackendOptions) => {
      const { backendAnswer } = await import('./explain-answers.ts');
      done(await backendAnswer(options));
    });

  ofProxy(explain.command('impact'))
    .description('which real clients would no longer connect under another SSL policy')
    .requiredOption('--to <policy>', 'an SSL policy of the configuration')
    .requiredOption('--from-log <file>', "the proxy's log, with request and handshake lines")
    .action(async (options: ImpactOptions) => {
      const { impactAnswer } = await import('./explain-answers.ts');
      done(await impactAnswer(options));
    });
}
