// What a reload promises to those who are connected (docs/operations.md). RELOADS=1000 for the long run, a few dozen in CI.
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { Agent, get } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { issue } from '#src/pki/issue/issue.ts';
import { freePort } from '../harness/free-port.ts';
import { chainPem, testPki } from '../harness/pki.ts';
import { type Scenario, startScenario } from '../harness/scenario.ts';

const RELOADS = Number(process.env['RELOADS'] ?? 24);
const CLIENTS = RELOADS >= 200 ? 200 : 40;

const backends: Server[] = [];
let scenario: Scenario | undefined;
afterEach(async () => {
  await scenario?.stop();
  scenario = undefined;
  for (const server of backends.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

test.each([1, 2])(
  'reloads under load with %i process(es): no request fails, no connection ends, listeners stay',
  async (workers) => {
    const ports = [await startBackend(), await startBackend()];
    scenario = await startScenario({
      services: [{ name: 'api', protocol: 'HTTP', ports: [ports[0]!] }],
      sallyport: { workers, accessLog: { sampleRate: 0 } },
    });
    const { proxy, configFile, folder } = scenario;
    const base = JSON.parse(readFileSync(configFile, 'utf8')) as Configuration;
    const extraPort = await freePort('127.0.0.2');
    const pairs = await certificatePairs();

    const old = connect({ port: scenario.port, host: '127.0.0.1', rejectUnauthorized: false, maxVersion: 'TLSv1.2' });
    await once(old, 'secureConnect'); // made under MODERN with TLS 1.2, which some of the configurations refuse
    expect(await overOld(old)).toContain('HTTP/1.1 200'); // from now on it is idle, which is allowed for ten minutes
    const load = new Load(scenario.url);
    await load.begun();

    const memory: number[] = [];
    for (let round = 0; round < RELOADS; round++) {
      const isBad = round % 5 === 4;
      const seen = proxy.log.length;
      if (round % 3 === 0) {
        const pair = pairs[round % pairs.length]!;
        writeFileSync(join(folder, 'front.crt'), pair.certificate);
        writeFileSync(join(folder, 'front.key'), pair.key);
      }
      await scenario.rewrite(isBad ? badText(round) : JSON.stringify(variant(base, round, ports, extraPort)));
      proxy.signal('SIGHUP');
      const wanted = isBad ? 'reload refused' : 'reloaded';
      const deadline = performance.now() + 60_000;
      while (!proxy.log.slice(seen).some(({ msg }) => msg?.startsWith(wanted) === true)) {
        if (performance.now() > deadline)
          throw new Error(`${wanted} did not come: ${JSON.stringify(proxy.log.slice(seen))}`);
        await delay(10);
      }
      if (round % Math.ceil(RELOADS / 10) === 0) memory.push(await scenario.metric('process_resident_memory_bytes'));
    }
    const { requests, failures, ended } = await load.stop();
    expect(failures).toEqual([]);
    expect(ended).toBe(0);
    expect(requests).toBeGreaterThan(CLIENTS);
    expect(old.destroyed).toBe(false);
    expect(await overOld(old)).toContain('HTTP/1.1 200');
    old.destroy();
    expect(proxy.log.filter(({ msg }) => msg === 'worker ended')).toEqual([]);
    const [half, last] = [memory[Math.floor(memory.length / 2)]!, memory.at(-1)!];
    if (RELOADS >= 200) {
      expect(last).toBeLessThan(half * 1.25);
      console.log(`${workers} process(es), ${RELOADS} reloads: ${requests} requests, MiB ${memory.map(mib).join(' ')}`);
    }
  },
  RELOADS * 2000 + 120_000,
);

interface Configuration {
  readonly forwardingRules: readonly Record<string, unknown>[];
  readonly sslPolicies: readonly Record<string, unknown>[];
  readonly urlMaps: readonly Record<string, unknown>[];
  readonly backendServices: readonly Record<string, unknown>[];
  readonly networkEndpointGroups: readonly Record<string, unknown>[];
}

/** Policies, routes, backends and listeners come and go; the address that the clients use stays. */
function variant(base: Configuration, round: number, ports: readonly number[], extraPort: number): unknown {
  const [rule] = base.forwardingRules;
  const [group] = base.networkEndpointGroups;
  const [service] = base.backendServices;
  const [map] = base.urlMaps;
  const port = ports[round % ports.length]!;
  return {
    ...base,
    forwardingRules:
      round % 2 === 0
        ? base.forwardingRules
        : [...base.forwardingRules, { ...rule, name: 'extra', IPAddress: '127.0.0.2', portRange: String(extraPort) }],
    sslPolicies: [
      {
        name: 'policy',
        profile: round % 4 < 2 ? 'MODERN' : 'RESTRICTED',
        minTlsVersion: round % 4 < 2 ? 'TLS_1_2' : 'TLS_1_3',
      },
    ],
    networkEndpointGroups: [{ ...group, defaultPort: port, endpoints: [{ ipAddress: '127.0.0.1', port }] }],
    backendServices: [
      { ...service, timeoutSec: 30 + (round % 7) },
      { name: `unused-${round % 3}`, protocol: 'HTTP', backends: service?.['backends'] },
    ],
    urlMaps: [
      {
        ...map,
        hostRules: [{ hosts: [`host-${round % 11}.proxy.test`], pathMatcher: 'some' }],
        pathMatchers: [{ name: 'some', defaultService: `unused-${round % 3}` }],
      },
    ],
  };
}

function badText(round: number): string {
  return round % 2 === 0 ? '{ "forwardingRules": [' : '{ "forwardingRules": [ { "name": "x", "prtRange": "1" } ] }';
}

/** Clients that ask again as soon as they are answered, each on one connection that it keeps. */
class Load {
  readonly #url: string;
  readonly #failures: string[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #agents: Agent[] = [];
  readonly #running: Promise<void>[] = [];
  #requests = 0;
  #isOver = false;

  constructor(url: string) {
    this.#url = url;
    for (let i = 0; i < CLIENTS; i++) this.#running.push(this.#client());
  }

  async begun(): Promise<void> {
    while (this.#sockets.size < CLIENTS && this.#failures.length === 0) await delay(20);
  }

  async stop(): Promise<{ requests: number; failures: readonly string[]; ended: number }> {
    this.#isOver = true;
    await Promise.all(this.#running);
    const ended = this.#sockets.size - CLIENTS;
    for (const agent of this.#agents) agent.destroy();
    return { requests: this.#requests, failures: this.#failures.slice(0, 5), ended };
  }

  async #client(): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
    this.#agents.push(agent);
    while (!this.#isOver) {
      try {
        const outgoing = get(`${this.#url}/${this.#requests++}`, { agent });
        outgoing.once('socket', (socket: Socket) => this.#sockets.add(socket));
        const [response] = await once(outgoing, 'response');
        response.resume();
        await once(response, 'end');
        if (response.statusCode !== 200) this.#failures.push(`status ${response.statusCode}`);
      } catch (error) {
        this.#failures.push((error as Error).message);
        return;
      }
      await delay(CLIENTS / 2); // some 2,000 a second would leave the reloads no processor
    }
  }
}

async function overOld(socket: TLSSocket): Promise<string> {
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const [data] = (await once(socket, 'data')) as [Buffer];
  return data.toString('latin1');
}

async function startBackend(): Promise<number> {
  const server = createServer((_incoming, response) => response.end('ok')).listen(0, '127.0.0.1');
  server.keepAliveTimeout = 0;
  backends.push(server);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function certificatePairs(): Promise<readonly { certificate: string; key: string }[]> {
  const { issuing } = await testPki();
  const made = [1, 2, 3].map(() =>
    issue({ subject: 'CN=front', issuer: issuing, dnsNames: ['localhost'], extendedKeyUsage: ['serverAuth'] }),
  );
  return (await Promise.all(made)).map((leaf) => ({
    certificate: chainPem(leaf, issuing),
    key: leaf.privateKeyPem,
  }));
}

function mib(bytes: number): number {
  return Math.round(bytes / 1_048_576);
}
