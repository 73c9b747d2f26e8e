// Reload and drain of a real process: what a client and an operator see.
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { Agent, get } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type PeerCertificate, connect as tlsConnect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { issue } from '#src/pki/issue/issue.ts';
import { chainPem, testPki } from '../harness/pki.ts';
import { type Scenario, type ScenarioService, startScenario } from '../harness/scenario.ts';

describe('a running proxy', () => {
  const servers: Server[] = [];
  let scenario: Scenario;
  let one: ScenarioService;

  beforeEach(async () => {
    one = await service('one');
    scenario = await startScenario({ services: [one] });
  });

  afterEach(async () => {
    await scenario?.stop();
    for (const server of servers.splice(0)) {
      server.close();
      server.closeAllConnections();
    }
  });

  test('keeps the old configuration when the new file is bad, and says what is wrong', async () => {
    await scenario.rewrite('{ "forwardingRules": [ { "name": "https", "prtRange": "1" } ] ');
    scenario.proxy.signal('SIGHUP');
    const refused = await scenario.proxy.waitForLog((line) => line.msg?.startsWith('reload refused') === true);
    expect((refused['diagnostics'] as string[])[0]).toMatch(/sallyport\.json:\d+:\d+: error:/);
    expect(await body('/')).toBe('one');
    expect(await scenario.metric('sallyport_config_last_reload_successful')).toBe(0);
    expect(await scenario.metric('sallyport_config_reloads_total', { result: 'failure' })).toBeGreaterThan(0);
  });

  test('takes a changed file without a signal, on the connections it has as well', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: await readFile(scenario.rootFile) });
    expect(await body('/', agent)).toBe('one');
    const two = await service('two');
    await scenario.rewrite({ services: [two, one] });
    await scenario.proxy.waitForLog((line) => line.msg === 'reloaded');
    const [socket] = Object.values(agent.freeSockets).flat();
    expect(await body('/', agent)).toBe('two');
    expect(Object.values(agent.freeSockets).flat()[0]).toBe(socket);
    agent.destroy();
  });

  test('serves a renewed certificate to the next handshake', async () => {
    const before = (await peerCertificate()).fingerprint256;
    const pki = await testPki();
    const renewed = await issue({ subject: 'CN=front', issuer: pki.issuing, dnsNames: ['localhost', '*.proxy.test'] });
    await writeFile(join(scenario.folder, 'front.crt'), chainPem(renewed, pki.issuing));
    await writeFile(join(scenario.folder, 'front.key'), renewed.privateKeyPem);
    await scenario.proxy.waitForLog((line) => line.msg === 'reloaded');
    expect((await peerCertificate()).fingerprint256).not.toBe(before);
  });

  test('keeps the old certificate when the new pair does not match', async () => {
    const before = (await peerCertificate()).fingerprint256;
    const other = await issue({ subject: 'CN=other' });
    await writeFile(join(scenario.folder, 'front.key'), other.privateKeyPem);
    const refused = await scenario.proxy.waitForLog((line) => line.msg?.startsWith('reload refused') === true);
    expect((refused['diagnostics'] as string[])[0]).toContain('sslCertificates/front');
    expect((await peerCertificate()).fingerprint256).toBe(before);
  });

  test('opens a listener that a reload adds and closes one that it removes, without touching the other', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: await readFile(scenario.rootFile) });
    await body('/', agent);
    const configuration = JSON.parse(await readFile(scenario.configFile, 'utf8')) as { forwardingRules: object[] };
    const [rule] = configuration.forwardingRules;
    await scenario.rewrite(
      JSON.stringify({
        ...configuration,
        forwardingRules: [
          rule,
          { ...rule, name: 'second', portRange: String(scenario.adminPort), IPAddress: '127.0.0.2' },
        ],
      }),
    );
    await scenario.proxy.waitForLog((line) => line.msg === 'reloaded');
    expect(await body('/', agent, `https://127.0.0.2:${scenario.adminPort}`)).toBe('one');
    agent.destroy();
  });

  test('refuses a reload whose new address cannot be bound', async () => {
    const configuration = JSON.parse(await readFile(scenario.configFile, 'utf8')) as { forwardingRules: object[] };
    const [rule] = configuration.forwardingRules;
    // Not an endpoint's port: a rule on that one is refused before anything is bound.
    const other = createServer().listen(0, '127.0.0.1');
    try {
      await once(other, 'listening');
      const taken = { ...rule, name: 'taken', portRange: String((other.address() as AddressInfo).port) };
      await scenario.rewrite(JSON.stringify({ ...configuration, forwardingRules: [rule, taken] }));
      const refused = await scenario.proxy.waitForLog((line) => line.msg?.startsWith('reload refused') === true);
      expect((refused['diagnostics'] as string[])[0]).toContain('the address is in use');
      expect(await body('/')).toBe('one');
    } finally {
      other.close();
    }
  });

  test('drains on SIGTERM: what runs is finished, the next connection is refused, the exit code is 0', async () => {
    const held = new Promise<string>((resolve, reject) => body('/slow').then(resolve, reject));
    await scenario.proxy.waitForLog((line) => line.msg === 'listening');
    await once(servers[0] as Server, 'slow');
    const ended = scenario.proxy.stop('SIGTERM');
    await scenario.proxy.waitForLog((line) => line.msg === 'draining');
    servers[0]?.emit('finish slow');
    expect(await held).toBe('slow');
    expect(await ended).toEqual({ code: 0, signal: null });
    await expect(body('/')).rejects.toThrow('ECONNREFUSED');
    expect(await scenario.requestLine('/slow')).toMatchObject({ statusDetails: 'response_sent_by_backend' });
  });

  test('stops now on a second signal', async () => {
    const held = body('/slow').catch((error: Error) => error.message);
    await once(servers[0] as Server, 'slow');
    scenario.proxy.signal('SIGTERM');
    await scenario.proxy.waitForLog((line) => line.msg === 'draining');
    expect(await scenario.proxy.stop('SIGINT')).toEqual({ code: 0, signal: null });
    expect(await held).toMatch(/socket hang up|ECONNRESET/);
  });

  async function service(name: string): Promise<ScenarioService> {
    const server = createServer((incoming, response) => {
      if (incoming.url !== '/slow') {
        response.end(name);
        return;
      }
      server.once('finish slow', () => response.end('slow'));
      server.emit('slow');
    });
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return { name, protocol: 'HTTP', ports: [(server.address() as AddressInfo).port] };
  }

  async function body(path: string, agent?: Agent, origin = scenario.url): Promise<string> {
    const ca = await readFile(scenario.rootFile);
    const outgoing = get(`${origin}${path}`, { ca, agent: agent ?? false, servername: 'localhost' });
    const [response] = (await once(outgoing, 'response')) as [NodeJS.ReadableStream];
    let text = '';
    for await (const chunk of response) text += chunk;
    return text;
  }

  async function peerCertificate(): Promise<PeerCertificate> {
    const socket = tlsConnect({
      port: scenario.port,
      host: '127.0.0.1',
      servername: 'localhost',
      ca: await readFile(scenario.rootFile),
    });
    await once(socket, 'secureConnect');
    const certificate = socket.getPeerCertificate();
    socket.destroy();
    return certificate;
  }
});
