import { open, readFile } from 'node:fs/promises';
import { systemClock } from '../base/clock.ts';
import { formatDiagnostic } from '../config/diagnostic.ts';
import type { LinkedBackendService, LinkedConfiguration, LinkedProxy, LinkedTlsProxy } from '../config/linked.ts';
import { loadConfiguration } from '../config/load.ts';
import { type BackendExplanation, explainBackendChain, explainBackendEndpoint } from '../explain/backend.ts';
import { backendText } from '../explain/backend-text.ts';
import { certificateText, explainCertificate } from '../explain/certificate.ts';
import { DEFAULT_CLIENT, type ExplainedClient, everyPreset, hexClient, presetClient } from '../explain/client.ts';
import { explainImpact, type ImpactExplanation } from '../explain/impact.ts';
import { impactText } from '../explain/impact-text.ts';
import { explainPolicy, policyText, usualName } from '../explain/policy.ts';
import { explainRoute, routeText } from '../explain/route.ts';
import { pemCertificates } from '../pki/pem.ts';

interface CommonOptions {
  readonly config: string;
  readonly json?: boolean;
}

export interface CertificateOptions extends CommonOptions {
  readonly proxy: string;
  readonly sni?: string;
  readonly client?: string;
  readonly hello?: string;
}

/** 0: a certificate is served and the handshake agrees. 1: it fails, or the question cannot be answered. */
export async function certificateAnswer(options: CertificateOptions): Promise<number> {
  const proxy = withTls(await proxyOf(options));
  if (typeof proxy === 'string') return refuse(proxy);
  if (options.hello !== undefined && options.client !== undefined)
    return refuse('Cannot ask for two clients: found --client and --hello, expected one of them');
  const client =
    options.hello === undefined ? presetClient(options.client ?? DEFAULT_CLIENT) : hexClient(options.hello);
  if (typeof client === 'string') return refuse(client);
  const sni = options.sni === undefined ? undefined : hostName(options.sni);
  if (sni === null) return refuse(badName(options.sni));
  const nowMs = systemClock.wallMs();
  const explanation = explainCertificate(proxy, client, sni, nowMs);
  print(options, explanation, () => certificateText(explanation, nowMs));
  return explanation.ok ? 0 : 1;
}

export interface PolicyOptions extends CommonOptions {
  readonly proxy: string;
  readonly sni?: string;
  readonly client?: string;
}

/** 0, or 1 where the one client that was named cannot connect or the question cannot be answered. */
export async function policyAnswer(options: PolicyOptions): Promise<number> {
  const proxy = withTls(await proxyOf(options));
  if (typeof proxy === 'string') return refuse(proxy);
  let clients: readonly ExplainedClient[] = everyPreset();
  if (options.client !== undefined) {
    const client = presetClient(options.client);
    if (typeof client === 'string') return refuse(client);
    clients = [client];
  }
  const sni = options.sni === undefined ? usualName(proxy) : hostName(options.sni);
  if (sni === null && options.sni !== undefined) return refuse(badName(options.sni));
  const explanation = explainPolicy(proxy, clients, sni, systemClock.wallMs());
  print(options, explanation, () => policyText(explanation));
  return options.client === undefined || explanation.clients.every(({ ok }) => ok) ? 0 : 1;
}

export interface RouteOptions extends CommonOptions {
  readonly proxy: string;
  readonly method: string;
  readonly url: string;
  readonly header?: readonly string[];
}

/** 0: a backend service gets the request, or the URL map answers it (a redirect, a preflight). 1: it is refused, or the question cannot be read. */
export async function routeAnswer(options: RouteOptions): Promise<number> {
  const proxy = await proxyOf(options);
  if (typeof proxy === 'string') return refuse(proxy);
  const { method, url, header: headers = [] } = options;
  if (!('urlMap' in proxy))
    return refuse(
      `Cannot explain a route of ${proxy.kind}/${proxy.name}: all that comes goes to backendServices/${proxy.service}`,
    );
  const explanation = explainRoute(
    proxy.urlMap,
    { method, url, headers },
    proxy.kind === 'targetHttpProxies' ? 'http' : 'https',
  );
  if (typeof explanation === 'string') return refuse(explanation);
  print(options, explanation, () => routeText(explanation));
  return explanation.ok ? 0 : 1;
}

export interface BackendOptions extends CommonOptions {
  readonly service: string;
  readonly endpoint?: string;
  readonly chain?: string;
}

/** 0: trusted, for every endpoint that was dialled. 1: not, or the question cannot be answered. */
export async function backendAnswer(options: BackendOptions): Promise<number> {
  const configuration = await loaded(options);
  if (configuration === null) return 1;
  const service = configuration.backendServices.find(({ name }) => name === options.service);
  if (service === undefined) {
    const names = configuration.backendServices.map(({ name }) => name).join(', ');
    return refuse(`Cannot find backendServices/${options.service}, expected one of ${names}`);
  }
  const explanations =
    options.chain === undefined ? await dial(service, configuration, options) : await judgeFile(service, options.chain);
  if (typeof explanations === 'string') return refuse(explanations);
  const nowMs = systemClock.wallMs();
  print(options, explanations, () => explanations.map((explanation) => backendText(explanation, nowMs)).join('\n'));
  return explanations.every(({ ok }) => ok) ? 0 : 1;
}

export interface ImpactOptions extends CommonOptions {
  readonly proxy: string;
  readonly to: string;
  readonly fromLog: string;
}

/** 0: nobody in the log is lost for certain. 1: somebody is, the log has no client at all, or the question cannot be answered. */
export async function impactAnswer(options: ImpactOptions): Promise<number> {
  const configuration = await loaded(options);
  if (configuration === null) return 1;
  const proxy = withTls(findProxy(configuration, options.proxy));
  if (typeof proxy === 'string') return refuse(proxy);
  const to = configuration.sslPolicies.find(({ name }) => name === options.to);
  if (to === undefined) {
    const names = configuration.sslPolicies.map(({ name }) => name).join(', ');
    return refuse(`Cannot find sslPolicies/${options.to}, expected one of ${names === '' ? 'none: add it' : names}`);
  }
  let impact: ImpactExplanation;
  try {
    const log = await open(options.fromLog);
    impact = await explainImpact(proxy, to, log.readLines(), systemClock.wallMs());
  } catch (error) {
    return refuse(
      `Cannot read --from-log ${options.fromLog}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`,
    );
  }
  print(options, impact, () => impactText(impact));
  return impact.counted > 0 && impact.lost === 0 ? 0 : 1;
}

async function judgeFile(service: LinkedBackendService, file: string): Promise<readonly BackendExplanation[] | string> {
  const { tls } = service;
  if (tls === null)
    return `Cannot judge a chain for backendServices/${service.name}: its protocol is ${service.protocol}, expected HTTPS, HTTP2 or SSL`;
  let chain: readonly Buffer[];
  try {
    chain = pemCertificates(await readFile(file, 'utf8'));
  } catch (error) {
    return `Cannot read --chain ${file}: ${(error as NodeJS.ErrnoException).code ?? (error as Error).message}`;
  }
  if (chain.length === 0) return `Cannot judge --chain ${file}: found no CERTIFICATE block, expected PEM, leaf first`;
  return [explainBackendChain({ ...service, tls }, chain, `chain of ${file}`, systemClock)];
}

async function dial(
  service: LinkedBackendService,
  configuration: LinkedConfiguration,
  options: BackendOptions,
): Promise<readonly BackendExplanation[] | string> {
  let endpoints: readonly { readonly host: string; readonly port: number }[] = service.endpoints;
  if (options.endpoint !== undefined) {
    const parts = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/i.exec(options.endpoint);
    const port = Number(parts?.[3]);
    if (parts === null || port < 1 || port > 65_535)
      return `Cannot read --endpoint '${options.endpoint}', expected host:port or [address]:port`;
    endpoints = [{ host: (parts[1] ?? parts[2] ?? '').toLowerCase(), port }];
  }
  if (endpoints.length === 0)
    return `Cannot dial backendServices/${service.name}: it has no endpoints; name one with --endpoint`;
  const isAllowed = options.endpoint !== undefined;
  const explanations: BackendExplanation[] = [];
  for (const endpoint of endpoints)
    explanations.push(...(await explainBackendEndpoint(service, endpoint, configuration, systemClock, isAllowed)));
  return explanations;
}

async function proxyOf(options: CommonOptions & { readonly proxy: string }): Promise<LinkedProxy | string> {
  const configuration = await loaded(options);
  if (configuration === null) return '';
  return findProxy(configuration, options.proxy);
}

function findProxy({ listeners }: LinkedConfiguration, wanted: string): LinkedProxy | string {
  const proxies = listeners.map(({ proxy }) => proxy);
  const proxy = proxies.find(({ kind, name }) => name === wanted || `${kind}/${name}` === wanted);
  if (proxy !== undefined) return proxy;
  const names = [...new Set(proxies.map(({ name }) => name))].join(', ');
  return `Cannot find a target proxy ${wanted} behind a forwarding rule, expected one of ${names}`;
}

/** Only TLS has what the question is about. */
function withTls(proxy: LinkedProxy | string): LinkedTlsProxy | string {
  if (typeof proxy === 'string' || 'certificates' in proxy) return proxy;
  return `Cannot explain ${proxy.kind}/${proxy.name}: it is plaintext, without certificate and policy; name a proxy with TLS`;
}

/** Loads as `run` does; what is wrong goes to standard error. */
async function loaded({ config }: CommonOptions): Promise<LinkedConfiguration | null> {
  const outcome = await loadConfiguration({ path: config, env: process.env, nowMs: systemClock.wallMs() });
  if (outcome.ok) return outcome.configuration;
  for (const diagnostic of outcome.diagnostics) process.stderr.write(`${formatDiagnostic(diagnostic)}\n`);
  return null;
}

function print(options: CommonOptions, explanation: unknown, text: () => string): void {
  process.stdout.write(options.json === true ? `${JSON.stringify(explanation, null, 2)}\n` : text());
}

/** Empty: it has been said already. */
function refuse(message: string): number {
  if (message !== '') process.stderr.write(`${message}\n`);
  return 1;
}

/** What a client would put into SNI: lower case, no trailing dot; null: not a host name. */
function hostName(text: string): string | null {
  const name = text.toLowerCase().replace(/\.$/, '');
  return name.length <= 253 && /^(?=.*[a-z_-])[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(name) ? name : null;
}

function badName(text = ''): string {
  return `Cannot ask for --sni '${text}': expected a host name (RFC 6066 section 3 has no addresses in it)`;
}
