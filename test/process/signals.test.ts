// What each signal does to a real process (docs/configuration.md), and what an operator's probes see meanwhile.
import { once } from 'node:events';
import { readFile, rename, stat } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { get } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { sallyportOnce } from '../harness/run-sallyport.ts';
import { type Scenario, startScenario } from '../harness/scenario.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';

describe('signals', () => {
  let backend: Server;
  let scenario: Scenario | undefined;

  beforeAll(async () => {
    backend = createServer((_incoming, response) => response.end('ok')).listen(0, '127.0.0.1');
    await once(backend, 'listening');
  });
  afterEach(async () => {
    await scenario?.stop();
    scenario = undefined;
  });
  afterAll(() => {
    backend.close();
    backend.closeAllConnections();
  });

  function start(sallyport: Record<string, unknown>): Promise<Scenario> {
    const { port } = backend.address() as AddressInfo;
    return startScenario({ services: [{ name: 'api', protocol: 'HTTP', ports: [port] }], sallyport });
  }

  test('SIGTERM: not ready at once, still accepting for drain.delaySec, then gone with exit code 0', async () => {
    scenario = await start({ drain: { delaySec: 2, timeoutSec: 5 } });
    expect(await probe(scenario, '/readyz')).toMatchObject({ status: 200 });
    scenario.proxy.signal('SIGTERM');
    await scenario.proxy.waitForLog((line) => line.msg === 'draining');
    expect(await probe(scenario, '/readyz')).toMatchObject({ status: 503, text: expect.stringContaining('draining') });
    expect(await probe(scenario, '/livez')).toMatchObject({ status: 200 });
    expect(await statusOf(scenario)).toBe(200);
    expect(await scenario.metric('sallyport_draining')).toBe(1);
    expect(await scenario.proxy.ended).toEqual({ code: 0, signal: null });
  });

  test('SIGINT drains without the delay', async () => {
    scenario = await start({ drain: { delaySec: 3600, timeoutSec: 5 } });
    scenario.proxy.signal('SIGINT');
    expect(await scenario.proxy.ended).toEqual({ code: 0, signal: null });
  });

  test('SIGUSR2 goes on in a new access log file, and nothing is lost', async () => {
    using folder = makeTempFolder();
    const file = folder.file('access.log');
    scenario = await start({ accessLog: { destination: file } });
    await statusOf(scenario, '/before');
    await rename(file, `${file}.1`);
    scenario.proxy.signal('SIGUSR2');
    await scenario.proxy.waitForLog((line) => line.msg === 'SIGUSR2');
    await statusOf(scenario, '/after');
    expect(await scenario.proxy.stop('SIGINT')).toEqual({ code: 0, signal: null });
    expect(await readFile(`${file}.1`, 'utf8')).toContain('/before');
    expect(await readFile(file, 'utf8')).toContain('/after');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  test('SIGUSR1 opens no debugger (security rule 11)', async () => {
    scenario = await start({});
    scenario.proxy.signal('SIGUSR1');
    expect(await statusOf(scenario)).toBe(200);
    const socket = connect(9229, '127.0.0.1');
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNREFUSED');
    expect(scenario.proxy.text()).not.toContain('Debugger');
  });

  test('a runtime option that would open the program up is refused before anything is read (security rule 11)', async () => {
    const ended = await sallyportOnce(['run', '--config', '/nonexistent'], {
      env: { ...process.env, NODE_OPTIONS: '--insecure-http-parser' },
    });
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toContain("Cannot run with the Node option '--insecure-http-parser'");
  });
});

async function probe(scenario: Scenario, path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${scenario.adminPort}${path}`);
  return { status: response.status, text: await response.text() };
}

async function statusOf(scenario: Scenario, path = '/'): Promise<number | undefined> {
  const outgoing = get(`${scenario.url}${path}`, { ca: await readFile(scenario.rootFile), agent: false });
  const [response] = (await once(outgoing, 'response')) as [{ statusCode?: number; resume(): void }];
  response.resume();
  return response.statusCode;
}
