import { randomBytes } from 'node:crypto';
import { utimesSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'node:tls';
import { type Scenario, type ScenarioOptions, startScenario } from '../harness/scenario.ts';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';

/* Whole processes that share nothing but a file of secrets. Nobody answers behind them: handshakes are enough. */
const ROTATION_MS = 10_000;
const running: Scenario[] = [];
let folder: TempFolder;
let keyFile: string;
beforeEach(() => {
  folder = makeTempFolder();
  keyFile = folder.write('ticket.keys', `${newSecret()}\n`);
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((scenario) => scenario.stop()));
  folder.remove();
});

test('two processes that share only the master key file resume each other’s sessions, through a rotation', async () => {
  const [one, other] = await Promise.all([start(), start()]);
  const fresh = await visit(one);
  expect(fresh.reused).toBe(false);
  expect((await visit(other, { session: fresh.session })).reused).toBe(true);
  expect((await visit(one, { session: fresh.session })).reused).toBe(true);

  await untilEpochHas(2500);
  const epoch = Math.floor(Date.now() / ROTATION_MS);
  const last = await visit(one); // under a key that issues for another two seconds
  expect(Math.floor(Date.now() / ROTATION_MS)).toBe(epoch);
  await untilNextEpoch();
  expect((await visit(other, { session: last.session })).reused).toBe(true);
  expect((await visit(one, { session: last.session })).reused).toBe(true);
}, 60_000);

test('a process without the file, or with another secret, resumes nothing of theirs', async () => {
  const own = folder.write('own.keys', `${newSecret()}\n`);
  const [one, stranger, alone] = await Promise.all([
    start({ masterKeyFile: keyFile }),
    start({ masterKeyFile: own }),
    start(null),
  ]);
  const { session } = await visit(one);
  expect((await visit(stranger, { session })).reused).toBe(false);
  expect((await visit(alone, { session })).reused).toBe(false);
  expect((await visit(one, { session })).reused).toBe(true);
}, 60_000);

test('a new first secret is taken up by a reload, and the old one goes on until it is removed', async () => {
  const one = await start({ masterKeyFile: keyFile, rotationSec: 3600 });
  const oldSecret = newSecret();
  folder.write('ticket.keys', `${oldSecret}\n`);
  await reloaded(one);
  const before = await visit(one);
  const newest = newSecret();
  folder.write('ticket.keys', `${newest}\n${oldSecret}\n`);
  await reloaded(one);
  expect((await visit(one, { session: before.session })).reused).toBe(true);
  const after = await visit(one);
  folder.write('ticket.keys', `${newest}\n`);
  await reloaded(one);
  expect((await visit(one, { session: before.session })).reused).toBe(false);
  expect((await visit(one, { session: after.session })).reused).toBe(true);
  expect(JSON.stringify(one.proxy.log)).not.toContain(newest);
}, 60_000);

test('TLS 1.2 gets no ticket under a shared master, unless switched on; under the own secret it does', async () => {
  const [shared, switchedOn, own] = await Promise.all([
    start(),
    start({ masterKeyFile: keyFile, rotationSec: 3600, dangerTls12Tickets: true }),
    start(null),
  ]);
  const tls12 = { version: 'TLSv1.2' } as const;
  const refused = await visit(shared, tls12);
  expect(refused.hasTicket).toBe(false);
  expect((await visit(shared, { ...tls12, session: refused.session })).reused).toBe(false);
  for (const scenario of [switchedOn, own]) {
    const given = await visit(scenario, tls12);
    expect(given.hasTicket).toBe(true);
    expect((await visit(scenario, { ...tls12, session: given.session })).reused).toBe(true);
  }
}, 60_000);

test('under a tightened policy an old ticket gets a full handshake, with what the new policy allows', async () => {
  const scenario = await start({ masterKeyFile: keyFile, rotationSec: 3600 }, { profile: 'MODERN' });
  const cbc = { version: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES128-GCM-SHA256' } as const;
  const modern = await visit(scenario);
  expect((await visit(scenario, { session: modern.session })).reused).toBe(true);
  await scenario.rewrite(options({ masterKeyFile: keyFile, rotationSec: 3600 }, { profile: 'RESTRICTED' }));
  await reloaded(scenario);
  expect((await visit(scenario, { session: modern.session })).reused).toBe(false);
  expect((await visit(scenario, cbc)).cipher).toBe('ECDHE-ECDSA-AES128-GCM-SHA256');
}, 60_000);

test('secrets over a week old are said to be', async () => {
  const weekAgo = new Date(Date.now() - 8 * 86_400_000);
  utimesSync(keyFile, weekAgo, weekAgo);
  const scenario = await start();
  const line = await scenario.proxy.waitForLog(({ msg, ...rest }) => {
    return msg === 'configuration warning' && String(rest['warning']).includes('ticket secrets are 8 days old');
  });
  expect(line['warning']).toContain('sallyport');
}, 60_000);

type Tickets = Readonly<Record<string, unknown>> | null;

async function start(
  tickets: Tickets = { masterKeyFile: keyFile, rotationSec: ROTATION_MS / 1000 },
  policy: Record<string, unknown> = {},
): Promise<Scenario> {
  const scenario = await startScenario(options(tickets, policy));
  running.push(scenario);
  return scenario;
}

function options(tickets: Tickets, sslPolicy: Record<string, unknown>): ScenarioOptions {
  return {
    services: [{ name: 'nobody', protocol: 'HTTP', ports: [9] }],
    sslPolicy,
    sallyport: tickets === null ? {} : { sessionTickets: tickets },
  };
}

/** SIGHUP, and the line that says it is done: the watch may have been first. */
async function reloaded({ proxy }: Scenario): Promise<void> {
  const count = () => proxy.log.filter(({ msg }) => msg === 'reloaded').length;
  const before = count();
  proxy.signal('SIGHUP');
  await proxy.waitForLog(({ msg }) => msg === 'reloaded' && count() > before);
}

interface Visit {
  readonly reused: boolean;
  readonly session: Buffer | undefined;
  readonly hasTicket: boolean;
  readonly cipher: string;
}

function visit(
  { port }: Scenario,
  wish: { readonly session?: Buffer | undefined; readonly version?: 'TLSv1.2'; readonly ciphers?: string } = {},
): Promise<Visit> {
  return new Promise((resolve, reject) => {
    const client = connect({
      port,
      host: '127.0.0.1',
      servername: 'localhost',
      rejectUnauthorized: false,
      ...(wish.session === undefined ? {} : { session: wish.session }),
      ...(wish.version === undefined ? {} : { minVersion: wish.version, maxVersion: wish.version }),
      ...(wish.ciphers === undefined ? {} : { ciphers: wish.ciphers }),
    });
    let session: Buffer | undefined;
    client.on('session', (ticket: Buffer) => {
      session = ticket;
    });
    client.on('error', reject);
    // an answer comes after the tickets: when it is here, so are they
    client.on('secureConnect', () => client.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n'));
    client.once('data', () => {
      resolve({
        reused: client.isSessionReused(),
        session,
        hasTicket: client.getTLSTicket() !== undefined,
        cipher: client.getCipher().name,
      });
      client.destroy();
    });
  });
}

/** Resolves when less than `ms` of the current epoch, but enough for a handshake, is left. */
async function untilEpochHas(ms: number): Promise<void> {
  const left = ROTATION_MS - (Date.now() % ROTATION_MS);
  await delay(left > ms ? left - ms : left + ROTATION_MS - ms);
}

async function untilNextEpoch(): Promise<void> {
  await delay(ROTATION_MS - (Date.now() % ROTATION_MS) + 50);
}

function newSecret(): string {
  return randomBytes(32).toString('base64');
}
