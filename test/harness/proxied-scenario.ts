import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { freePort } from './free-port.ts';
import { type Scenario, type ScenarioOptions, startScenario } from './scenario.ts';

/** A scenario with two plain rules beside the one with TLS: `plain`, and `proxied`, where loopback speaks the PROXY protocol. */
export interface ProxiedScenario {
  readonly scenario: Scenario;
  readonly plainPort: number;
  readonly proxiedPort: number;
  readonly proxiedTlsPort: number;
  stop(): Promise<void>;
}

/** The backend answers with the request's header fields as JSON, once it has the body, and echoes WebSockets. */
export async function startProxiedScenario(
  sallyport: NonNullable<ScenarioOptions['sallyport']> = {},
): Promise<ProxiedScenario> {
  const backend = createServer((request, response) => {
    request.resume().once('end', () => response.end(JSON.stringify(request.headers)));
  });
  const webSockets = new WebSocketServer({ server: backend });
  webSockets.on('connection', (socket) => socket.on('message', (data) => socket.send(data as Buffer)));
  backend.listen(0, '127.0.0.1');
  await once(backend, 'listening');
  const { port } = backend.address() as AddressInfo;
  const scenario = await startScenario({ services: [{ name: 'site', protocol: 'HTTP', ports: [port] }], sallyport });
  const [plainPort, proxiedPort, proxiedTlsPort] = [await freePort(), await freePort(), await freePort()];
  const configuration = JSON.parse(await readFile(scenario.configFile, 'utf8')) as Written;
  const rule = (name: string, at: number, target: string) => {
    return { name, IPAddress: '127.0.0.1', portRange: String(at), target };
  };
  configuration.forwardingRules.push(
    rule('plain', plainPort, 'targetHttpProxies/plain'),
    rule('proxied', proxiedPort, 'targetHttpProxies/plain'),
    rule('proxied-tls', proxiedTlsPort, 'targetHttpsProxies/web'),
  );
  configuration['targetHttpProxies'] = [{ name: 'plain', urlMap: 'web' }];
  configuration.backendServices[0]!['customRequestHeaders'] = [
    'X-Client:{client_ip_address} {client_port}',
    'X-Tls:{tls_version}',
    'X-Encrypted:{client_encrypted}',
  ];
  configuration.sallyport['proxyProtocol'] = ['proxied', 'proxied-tls'].map((forwardingRule) => {
    return { forwardingRule, trustedSources: ['127.0.0.1'] };
  });
  await scenario.rewrite(JSON.stringify(configuration));
  await scenario.proxy.waitForLog((line) => line.msg === 'reloaded');
  return {
    scenario,
    plainPort,
    proxiedPort,
    proxiedTlsPort,
    async stop() {
      await scenario.stop();
      webSockets.close();
      backend.closeAllConnections();
      backend.close();
      await once(backend, 'close');
    },
  };
}

interface Written extends Record<string, unknown> {
  readonly forwardingRules: object[];
  readonly backendServices: Record<string, unknown>[];
  readonly sallyport: Record<string, unknown>;
}
