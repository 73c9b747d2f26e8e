// 1,000 connections held and used for 10 s: no error, no socket left behind, no unhandled rejection.
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { Agent, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Scenario, startScenario } from '../harness/scenario.ts';

const CONNECTIONS = 1000;
const DURATION_MS = 10_000;
const WAVE = 50;

describe('1,000 concurrent connections for 10 s', () => {
  let scenario: Scenario;
  const backend = createServer((_incoming, response) => response.end('ok'));

  beforeAll(async () => {
    backend.listen(0, '127.0.0.1');
    await once(backend, 'listening');
    const { port } = backend.address() as AddressInfo;
    scenario = await startScenario({
      services: [{ name: 'small', protocol: 'HTTP', ports: [port] }],
      sallyport: { limits: { connectionsPerAddress: 2000 } },
    });
  });

  afterAll(async () => {
    await scenario?.stop();
    backend.close();
    backend.closeAllConnections();
  });

  test('every request is answered, and everything is closed afterwards', async () => {
    const outcomes = new Map<string, number>();
    const ca = await readFile(scenario.rootFile);
    const agents: Agent[] = [];
    const clients: Promise<void>[] = [];
    let endsAt = performance.now() + 60_000; // until all are connected; never for ever, whatever fails
    const client = async (connected: () => void) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1, ca });
      agents.push(agent);
      do {
        const outcome = await exchange(`${scenario.url}/held`, agent);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        connected();
        await sleep(1000);
      } while (performance.now() < endsAt);
    };
    // All clients share this one process: they come in waves, so that none spends its handshake waiting for the others'.
    for (let wave = 0; wave < CONNECTIONS / WAVE; wave++) {
      const connected = Array.from({ length: WAVE }, () => Promise.withResolvers<void>());
      clients.push(...connected.map(({ resolve }) => client(resolve)));
      await Promise.all(connected.map(({ promise }) => promise));
    }
    expect(await establishedConnections(scenario)).toBe(CONNECTIONS);
    endsAt = performance.now() + DURATION_MS;
    await Promise.all(clients);
    expect([...outcomes.keys()]).toEqual(['200']);
    expect(await scenario.metric('sallyport_handshakes_total', { result: 'success' })).toBeGreaterThanOrEqual(
      CONNECTIONS,
    );
    for (const agent of agents) agent.destroy();
    await untilClientSocketsAreGone(scenario);
    expect(await scenario.metric('sallyport_requests_in_flight')).toBe(0);
    expect(scenario.proxy.log.filter((line) => line['level'] === 'error')).toEqual([]);
    expect(scenario.proxy.text()).toBe('');
    expect(await scenario.proxy.stop('SIGTERM')).toEqual({ code: 0, signal: null });
  }, 120_000);
});

function exchange(url: string, agent: Agent): Promise<string> {
  return new Promise((resolve) => {
    const outgoing = request(url, { agent }, (response) => {
      response.resume().on('end', () => resolve(String(response.statusCode)));
    });
    outgoing.on('error', (error) => resolve(error.message));
    outgoing.end();
  });
}

/** The proxy keeps its listeners and its idle backend connections; what its clients left must be gone. */
async function untilClientSocketsAreGone(scenario: Scenario): Promise<void> {
  for (let attempt = 0; attempt < 100 && (await establishedConnections(scenario)) > 0; attempt++) await sleep(100);
  expect(await establishedConnections(scenario)).toBe(0);
  expect((await readdir(`/proc/${scenario.proxy.pid}/fd`)).length).toBeLessThan(CONNECTIONS + 200);
}

async function establishedConnections(scenario: Scenario): Promise<number> {
  const table = await readFile('/proc/net/tcp', 'utf8');
  const local = `:${scenario.port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = table.split('\n').map((row) => row.trim().split(/\s+/));
  return rows.filter((row) => row[1]?.endsWith(local) && row[3] === ESTABLISHED).length;
}

const ESTABLISHED = '01'; // proc(5), include/net/tcp_states.h
