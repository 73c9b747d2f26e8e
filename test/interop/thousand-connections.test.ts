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
    const agent = new Agent({
      keepAlive: true,
      maxSockets: CONNECTIONS,
      maxFreeSockets: CONNECTIONS,
      ca: await readFile(scenario.rootFile),
    });
    const outcomes = new Map<string, number>();
    const endsAt = performance.now() + DURATION_MS;
    const client = async () => {
      do {
        const outcome = await exchange(`${scenario.url}/held`, agent);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        await sleep(500);
      } while (performance.now() < endsAt);
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, client));
    expect([...outcomes.keys()]).toEqual(['200']);
    expect(await scenario.metric('sallyport_handshakes_total', { result: 'success' })).toBeGreaterThanOrEqual(
      CONNECTIONS,
    );
    agent.destroy();
    await untilClientSocketsAreGone(scenario);
    expect(await scenario.metric('sallyport_requests_in_flight')).toBe(0);
    expect(scenario.proxy.log.filter((line) => line['level'] === 'error')).toEqual([]);
    expect(scenario.proxy.text()).toBe('');
    expect(await scenario.proxy.stop('SIGTERM')).toEqual({ code: 0, signal: null });
  }, 60_000);
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
  const established = async () => {
    const table = await readFile('/proc/net/tcp', 'utf8');
    const local = `:${scenario.port.toString(16).toUpperCase().padStart(4, '0')}`;
    const rows = table.split('\n').map((row) => row.trim().split(/\s+/));
    return rows.filter((row) => row[1]?.endsWith(local) && row[3] === ESTABLISHED).length;
  };
  for (let attempt = 0; attempt < 100 && (await established()) > 0; attempt++) await sleep(100);
  expect(await established()).toBe(0);
  expect((await readdir(`/proc/${scenario.proxy.pid}/fd`)).length).toBeLessThan(CONNECTIONS + 200);
}

const ESTABLISHED = '01'; // proc(5), include/net/tcp_states.h
