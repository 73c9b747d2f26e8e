// Worker processes, as their clients and their operator see them (docs/operations.md).
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { Agent, get } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { type Scenario, type ScenarioOptions, startScenario } from '../harness/scenario.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { until } from '../harness/until.ts';

let backend: Server;
let scenario: Scenario;

beforeAll(async () => {
  backend = createServer((incoming, response) => {
    if (incoming.url === '/slow') backend.once('finish slow', () => response.end('slow')).emit('slow');
    else response.end('fast');
  }).listen(0, '127.0.0.1');
  await once(backend, 'listening');
});
afterEach(() => scenario?.stop());
afterAll(() => {
  backend.close();
  backend.closeAllConnections();
});

test('workers serve, one scrape has what all counted, and SIGTERM ends all of them with 0', async () => {
  scenario = await startScenario(options());
  for (let i = 0; i < 10; i++) expect(await fetched('/')).toBe('fast');
  expect(await scenario.metric('sallyport_requests_total')).toBe(10);
  expect(await scenario.metric('sallyport_handshakes_total', { result: 'success' })).toBe(10);
  expect(await scenario.metric('sallyport_workers', { state: 'running' })).toBe(2);
  expect(await admin('/readyz')).toEqual({ ready: true, reasons: [] });
  expect(await admin('/backends')).toHaveLength(1);
  expect(await admin('/handshakes')).toEqual({ failures: [], shadow: [] });
  const pids = workerPids();
  expect(pids).toHaveLength(2);
  expect(await scenario.proxy.stop('SIGTERM')).toEqual({ code: 0, signal: null });
  expect(pids.filter(isAlive)).toEqual([]);
  expect(scenario.proxy.log.filter(({ msg }) => msg === 'request')).toHaveLength(10);
  expect(scenario.proxy.log.filter(({ msg }) => msg === 'listening')).toHaveLength(1);
}, 60_000);

test('secrets reach workers neither by environment nor by arguments (security rule 20)', async () => {
  scenario = await startScenario(options());
  for (const pid of workerPids()) {
    const words = [...procText(pid, 'cmdline').split('\0'), ...procText(pid, 'environ').split('\0')];
    const known = new Set(Object.entries(process.env).map(([name, value]) => `${name}=${value}`));
    const own = words.filter((word) => word !== '' && !known.has(word));
    expect(own.join('\n')).not.toMatch(/[0-9a-f]{64}|[A-Za-z0-9+/]{43}=|PRIVATE KEY/);
    expect(own).toContain(scenario.configFile);
  }
}, 60_000);

test('workers have one helper thread of V8 each, as their primary (docs/decisions/0014)', async () => {
  scenario = await startScenario(options());
  for (const pid of [scenario.proxy.pid, ...workerPids()]) {
    const threads = readdirSync(`/proc/${pid}/task`).map((id) => procText(pid, `task/${id}/comm`).trim());
    expect(threads.filter((name) => name === 'node-V8Worker')).toHaveLength(1);
  }
}, 60_000);

test('a session of one worker resumes at every other', async () => {
  scenario = await startScenario(options());
  const session = await sessionOf(scenario);
  const reused = await Promise.all(Array.from({ length: 20 }, () => resumes(session)));
  expect(reused).toEqual(reused.map(() => true));
}, 60_000);

test('a session outlives the worker that issued it: replacements get the same secret', async () => {
  scenario = await startScenario(options());
  const session = await sessionOf(scenario);
  for (const victim of workerPids()) {
    const ended = scenario.proxy.log.filter(({ msg }) => msg === 'worker ended').length;
    process.kill(victim, 'SIGKILL');
    await until(() => scenario.proxy.log.filter(({ msg }) => msg === 'worker ended').length > ended);
    await until(isReady);
  }
  expect(await resumedOf(10, session)).toBe(10);
}, 60_000);

test('a new secret in masterKeyFile counts at every worker, beside the old one until that is removed', async () => {
  using folder = makeTempFolder();
  const [oldSecret, newSecret] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')];
  const masterKeyFile = folder.write('ticket.keys', `${oldSecret}\n`);
  const rotate = async (...secrets: readonly string[]) => {
    const count = () => scenario.proxy.log.filter(({ msg }) => msg === 'reloaded').length;
    const before = count();
    folder.write('ticket.keys', secrets.map((secret) => `${secret}\n`).join(''));
    scenario.proxy.signal('SIGHUP');
    await until(() => count() > before);
  };
  scenario = await startScenario(options({ sessionTickets: { masterKeyFile, rotationSec: 3600 } }));
  const before = await sessionOf(scenario);
  expect(await resumedOf(10, before)).toBe(10);
  await rotate(newSecret, oldSecret);
  expect(await resumedOf(10, before)).toBe(10);
  const after = await sessionOf(scenario);
  await rotate(newSecret);
  expect(await resumedOf(10, before)).toBe(0);
  expect(await resumedOf(10, after)).toBe(10);
  expect(JSON.stringify(scenario.proxy.log)).not.toContain(newSecret);
}, 60_000);

test('a worker that is killed takes its own connections along, and nothing else; its counts stay', async () => {
  scenario = await startScenario(options());
  const agents = Array.from(
    { length: 8 },
    () => new Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false }),
  );
  for (const agent of agents) expect(await fetched('/', agent)).toBe('fast');
  expect(await scenario.metric('sallyport_requests_total')).toBe(8);
  const [victim] = workerPids();
  const sockets = agents.map((agent) => Object.values(agent.freeSockets).flat()[0] as Socket);
  const closed = new Set<Socket>();
  for (const socket of sockets) socket.once('close', () => closed.add(socket));
  process.kill(victim!, 'SIGKILL');
  const line = await scenario.proxy.waitForLog(({ msg }) => msg === 'worker ended');
  expect(line).toMatchObject({ pid: victim, cause: 'crashed', signal: 'SIGKILL' });
  for (let i = 0; i < 10; i++) expect(await fetched('/')).toBe('fast'); // while one is missing
  await scenario.proxy.waitForLog(({ msg }) => msg === 'worker started');
  await until(isReady);
  expect(closed.size).toBeGreaterThan(0);
  expect(closed.size).toBeLessThan(8);
  for (const [i, agent] of agents.entries()) {
    if (closed.has(sockets[i]!)) continue;
    expect(await fetched('/', agent)).toBe('fast'); // on the connection that it had
    expect(Object.values(agent.freeSockets).flat()[0]).toBe(sockets[i]);
  }
  expect(await scenario.metric('sallyport_requests_total')).toBeGreaterThanOrEqual(18);
  expect(await scenario.metric('sallyport_workers_ended_total', { cause: 'crashed' })).toBe(1);
  expect(workerPids()).toHaveLength(2);
  for (const agent of agents) agent.destroy();
}, 60_000);

test('a worker whose event loop stands is noticed and replaced, and costs the others nothing', async () => {
  scenario = await startScenario(options());
  const [victim] = workerPids();
  process.kill(victim!, 'SIGSTOP');
  // Its connection stays unanswered; one at a time is handed to it, so that every other request is served.
  const stuck = connect({ port: scenario.port, host: '127.0.0.1', rejectUnauthorized: false });
  const stuckToo = connect({ port: scenario.port, host: '127.0.0.1', rejectUnauthorized: false });
  const ends = [stuck, stuckToo].map((socket) => {
    socket.on('error', () => {});
    return new Promise((resolve) => socket.once('close', resolve));
  });
  expect(await fetched('/')).toBe('fast');
  const line = await scenario.proxy.waitForLog(({ msg }) => msg === 'worker ended', 40_000);
  expect(line).toMatchObject({ pid: victim, cause: 'hung', signal: 'SIGKILL' });
  await scenario.proxy.waitForLog(({ msg }) => msg === 'worker started');
  expect(await scenario.metric('sallyport_workers_ended_total', { cause: 'hung' })).toBe(1);
  // What was on its way to the dead worker is closed rather than left to wait for ever (unaccepted-handles.ts).
  if (!stuck.authorized && stuck.getProtocol() === null) await ends[0];
  stuck.destroy();
  stuckToo.destroy();
  await Promise.all(ends);
}, 90_000);

test('workers that end again and again are started with growing pauses, and readyz says that they are missing', async () => {
  scenario = await startScenario(options());
  for (let round = 0; round < 4; round++) {
    const { length } = scenario.proxy.log.filter(({ msg }) => msg === 'worker started');
    const [victim] = workerPids();
    process.kill(victim!, 'SIGKILL');
    if (round === 3) break;
    await until(() => scenario.proxy.log.filter(({ msg }) => msg === 'worker started').length > length);
  }
  await until(() => scenario.proxy.log.filter(({ msg }) => msg === 'worker ended').length === 4);
  const delays = scenario.proxy.log.filter(({ msg }) => msg === 'worker ended');
  for (const worker of [0, 1]) {
    const own = delays.filter((line) => line['worker'] === worker).map((line) => Number(line['restartInMs']));
    expect(own).toEqual(own.map((_delay, i) => 200 * 2 ** i));
  }
  await until(isReady);
}, 60_000);

test('is not ready while a worker is missing', async () => {
  scenario = await startScenario(options());
  for (let round = 0; round < 3; round++) {
    for (const pid of workerPids()) process.kill(pid, 'SIGKILL');
    await until(() => scenario.proxy.log.filter(({ msg }) => msg === 'worker ended').length === 2 * (round + 1));
    const answer = await admin('/readyz');
    expect(answer).toMatchObject({ ready: false, reasons: [expect.stringContaining('of 2 workers')] });
    await until(() => workerPids().length === 2);
  }
  await until(isReady);
  expect(await fetched('/')).toBe('fast');
}, 60_000);

test('a configuration that no worker can bind is taken by none', async () => {
  scenario = await startScenario(options());
  const configuration = JSON.parse(readFileSync(scenario.configFile, 'utf8')) as { forwardingRules: object[] };
  const [rule] = configuration.forwardingRules;
  const occupant = createServer().listen(0, '127.0.0.1');
  await once(occupant, 'listening');
  const taken = { ...rule, name: 'taken', portRange: String((occupant.address() as AddressInfo).port) };
  const free = { ...rule, name: 'free', IPAddress: '127.0.0.2' };
  await scenario.rewrite(JSON.stringify({ ...configuration, forwardingRules: [rule, free, taken] }));
  const refused = await scenario.proxy.waitForLog((line) => line.msg?.startsWith('reload refused') === true);
  expect((refused['diagnostics'] as string[])[0]).toContain('the address is in use');
  expect(await scenario.metric('sallyport_config_last_reload_successful')).toBe(0);
  expect(await admin('/readyz')).toMatchObject({ ready: true });
  await expect(fetched('/', undefined, `https://127.0.0.2:${scenario.port}`)).rejects.toThrow(
    /ECONNREFUSED|ECONNRESET/,
  );
  occupant.close();
  for (let i = 0; i < 4; i++) expect(await fetched('/')).toBe('fast');
}, 60_000);

test('a worker that dies while it prepares a configuration does not hold it up, and its replacement has it', async () => {
  scenario = await startScenario(options());
  const [victim] = workerPids();
  process.kill(victim!, 'SIGSTOP'); // it cannot answer
  await scenario.rewrite(options({ drain: { delaySec: 0, timeoutSec: 6 } }));
  scenario.proxy.signal('SIGHUP');
  await scenario.proxy.waitForLog(({ msg }) => msg === 'files changed');
  process.kill(victim!, 'SIGKILL');
  await scenario.proxy.waitForLog(({ msg }) => msg === 'reloaded');
  await until(isReady);
  expect(await scenario.metric('sallyport_config_last_reload_successful')).toBe(1);
  expect(workerPids()).toHaveLength(2);
}, 60_000);

test('a replacement starts with the configuration that runs, not with what the file says by then', async () => {
  scenario = await startScenario(options());
  await scenario.rewrite('{ "forwardingRules": [ ');
  await scenario.proxy.waitForLog((line) => line.msg?.startsWith('reload refused') === true);
  for (const pid of workerPids()) process.kill(pid, 'SIGKILL');
  // A killed process is alive for a while, and its parent hears of its end later still: until then all looks well.
  await until(() => scenario.proxy.log.filter(({ msg }) => msg === 'worker ended').length === 2);
  await until(async () => (await isReady()) && workerPids().length === 2);
  for (let i = 0; i < 4; i++) expect(await fetched('/')).toBe('fast');
}, 60_000);

test('a signal to the whole process group counts once: what runs is finished', async () => {
  scenario = await startScenario(options());
  const held = Promise.all([fetched('/slow'), fetched('/slow')]);
  for (let open = 0; open < 2; open++) await once(backend, 'slow');
  const pids = [scenario.proxy.pid, ...workerPids()];
  for (const pid of pids) process.kill(pid, 'SIGINT'); // what a terminal does
  await scenario.proxy.waitForLog(({ msg }) => msg === 'draining');
  expect(await admin('/readyz')).toMatchObject({ ready: false, reasons: ['draining'] });
  backend.emit('finish slow');
  expect(await held).toEqual(['slow', 'slow']);
  expect(await scenario.proxy.ended).toEqual({ code: 0, signal: null });
  expect(pids.filter(isAlive)).toEqual([]);
  expect(scenario.proxy.log.filter(({ msg }) => msg === 'stopping now')).toEqual([]);
}, 60_000);

test('a second signal stops all of them now', async () => {
  scenario = await startScenario(options());
  const held = fetched('/slow').catch((error: Error) => error.message);
  await once(backend, 'slow');
  const pids = workerPids();
  scenario.proxy.signal('SIGTERM');
  await scenario.proxy.waitForLog(({ msg }) => msg === 'draining');
  expect(await scenario.proxy.stop('SIGINT')).toEqual({ code: 0, signal: null });
  expect(await held).toMatch(/socket hang up|ECONNRESET/);
  expect(pids.filter(isAlive)).toEqual([]);
  backend.removeAllListeners('finish slow');
}, 60_000);

test('workers whose primary is gone finish what runs and end', async () => {
  scenario = await startScenario(options());
  const held = fetched('/slow');
  await once(backend, 'slow');
  const pids = workerPids();
  scenario.proxy.signal('SIGKILL');
  await until(() => !isAlive(scenario.proxy.pid));
  await expect(fetched('/')).rejects.toThrow(/ECONNREFUSED|ECONNRESET/);
  backend.emit('finish slow');
  expect(await held).toBe('slow');
  await until(() => pids.filter(isAlive).length === 0);
}, 60_000);

test('limits are for all workers together', async () => {
  scenario = await startScenario(
    options({ limits: { connections: 4, connectionsPerAddress: 4, unfinishedHandshakes: 4 } }),
  );
  const open: TLSSocket[] = [];
  let refused = 0;
  for (let i = 0; i < 12; i++) {
    const socket = connect({ port: scenario.port, host: '127.0.0.1', rejectUnauthorized: false });
    socket.on('error', () => {});
    const secured = await Promise.race([
      once(socket, 'secureConnect').then(
        () => true,
        () => false,
      ),
      new Promise<boolean>((resolve) => socket.once('close', () => resolve(false))),
    ]);
    if (secured) open.push(socket);
    else refused++;
  }
  expect(open.length).toBeLessThanOrEqual(4);
  expect(open.length).toBeGreaterThanOrEqual(2);
  expect(refused).toBe(12 - open.length);
  for (const socket of open) socket.destroy();
}, 60_000);

test('the lines of all workers arrive whole on one pipe, and none is lost in a drain', async () => {
  scenario = await startScenario(options());
  const agents = Array.from(
    { length: 8 },
    () => new Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false }),
  );
  const wanted = new Set<string>();
  await Promise.all(
    agents.map(async (agent, client) => {
      for (let i = 0; i < 40; i++) {
        wanted.add(`/${client}-${i}`);
        // up to the longest that the access log writes
        expect(await fetched(`/${client}-${i}?${'x'.repeat(i * 50)}`, agent, scenario.url, '"'.repeat(i * 100))).toBe(
          'fast',
        );
      }
      agent.destroy();
    }),
  );
  expect(await scenario.proxy.stop('SIGTERM')).toEqual({ code: 0, signal: null });
  const logged = scenario.proxy.log.filter(({ msg }) => msg === 'request');
  for (const line of logged)
    wanted.delete(new URL((line['httpRequest'] as { requestUrl: string }).requestUrl).pathname);
  expect([...wanted]).toEqual([]);
  expect(logged).toHaveLength(320);
  expect(scenario.proxy.text()).toBe(''); // a torn line would be no JSON
}, 60_000);

test('SIGUSR2 reopens the access log in every worker: rotated under load, each line is there once', async () => {
  using folder = makeTempFolder();
  const file = folder.file('access.log');
  scenario = await startScenario(options({ accessLog: { destination: file } }));
  const agents = Array.from(
    { length: 8 }, // the primary hands connections out in turn
    () => new Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false }),
  );
  const rotations = 3;
  let rotation = 0;
  const wanted: string[] = [];
  const load = agents.map(async (agent, client) => {
    for (let i = 0; rotation < rotations; i++) {
      wanted.push(`/${client}-${i}`);
      expect(await fetched(`/${client}-${i}`, agent)).toBe('fast');
    }
  });
  for (; rotation < rotations; rotation++) {
    const { length } = wanted;
    await until(() => wanted.length > length + 50);
    const rotated = `${file}.${rotation + 1}`;
    await rename(file, rotated);
    scenario.proxy.signal('SIGUSR2');
    await until(() => [scenario.proxy.pid, ...workerPids()].every((pid) => !openFiles(pid).includes(rotated)));
  }
  await Promise.all(load);
  const after = agents.map((_agent, client) => `/after-${client}`);
  for (const [client, agent] of agents.entries()) expect(await fetched(after[client]!, agent)).toBe('fast');
  for (const agent of agents) agent.destroy();
  expect(await scenario.proxy.stop('SIGTERM')).toEqual({ code: 0, signal: null });

  const files = [...Array.from({ length: rotations }, (_, i) => `${file}.${i + 1}`), file].map(loggedPaths);
  expect(files.flat().sort()).toEqual([...wanted, ...after].sort());
  expect(files.every((paths) => paths.length > 0)).toBe(true);
  expect(loggedPaths(file)).toEqual(expect.arrayContaining(after));
}, 60_000);

function options(sallyport: Record<string, unknown> = {}): ScenarioOptions {
  const { port } = backend.address() as AddressInfo;
  return { services: [{ name: 'api', protocol: 'HTTP', ports: [port] }], sallyport: { workers: 2, ...sallyport } };
}

async function fetched(path: string, agent?: Agent, origin = scenario.url, userAgent = 'test'): Promise<string> {
  const headers = { 'user-agent': userAgent, referer: userAgent };
  const outgoing = get(`${origin}${path}`, { rejectUnauthorized: false, agent: agent ?? false, headers });
  const [response] = (await once(outgoing, 'response')) as [NodeJS.ReadableStream];
  let text = '';
  for await (const chunk of response) text += chunk;
  return text;
}

async function admin(path: string): Promise<Record<string, unknown>> {
  return (await fetch(`http://127.0.0.1:${scenario.adminPort}${path}`)).json() as Promise<Record<string, unknown>>;
}

async function isReady(): Promise<boolean> {
  return (await admin('/readyz'))['ready'] === true;
}

function workerPids(): readonly number[] {
  const { pid } = scenario.proxy;
  return procText(pid, `task/${pid}/children`)
    .split(' ')
    .map(Number)
    .filter((found) => found > 0 && isAlive(found));
}

/** Not a zombie either, whose parent has not asked for it yet. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(procText(pid, 'status'));
  } catch {
    return false;
  }
}

function procText(pid: number, file: string): string {
  return readFileSync(`/proc/${pid}/${file}`, 'utf8');
}

function openFiles(pid: number): readonly string[] {
  return readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return ''; // closed meanwhile
    }
  });
}

function loggedPaths(file: string): readonly string[] {
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => {
    const { httpRequest } = JSON.parse(line) as { httpRequest: { requestUrl: string } };
    return new URL(httpRequest.requestUrl).pathname;
  });
}

async function sessionOf({ port }: Scenario): Promise<Buffer> {
  const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false });
  const [session] = (await once(socket, 'session')) as [Buffer];
  socket.destroy();
  return session;
}

async function resumes(session: Buffer): Promise<boolean> {
  const { port } = scenario;
  const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false, session });
  await once(socket, 'secureConnect');
  const isReused = socket.isSessionReused();
  socket.destroy();
  return isReused;
}

/** How many of so many connections, which go to the workers in turn, resume the session. */
async function resumedOf(count: number, session: Buffer): Promise<number> {
  let resumed = 0;
  for (let i = 0; i < count; i++) if (await resumes(session)) resumed++;
  return resumed;
}
