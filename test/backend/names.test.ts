// Endpoints by DNS name, over a DNS server of our own: what becomes an endpoint, what an answer changes, what a failure leaves.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { DEFAULT_TERMS, type NameEvents, NameResolver, type NameTerms } from '#src/backend/name-resolver.ts';
import { type DnsAnswer, DnsServer } from '../harness/dns-server.ts';
import { chainPem, testPki } from '../harness/pki.ts';
import { until } from '../harness/until.ts';
import { EventLog, exchange, listen, makeService, makeTls, REQUESTER, type ServiceOptions } from './support.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const NAME = 'shop.example';

class Lookups implements NameEvents {
  /** `addresses | error` of each look-up. */
  readonly ended: string[] = [];
  readonly forgotten: string[] = [];

  onLookup(_name: string, addresses: readonly string[], error: string): void {
    this.ended.push(`${addresses.join()} | ${error}`);
  }

  onForgotten(name: string): void {
    this.forgotten.push(name);
  }
}

interface World {
  readonly dns: DnsServer;
  readonly names: NameResolver;
  readonly lookups: Lookups;
  readonly terms: NameTerms;
}

async function world(zone: Readonly<Record<string, DnsAnswer>>, more: Partial<NameTerms> = {}): Promise<World> {
  const dns = await DnsServer.start(zone);
  cleanups.push(() => dns.stop());
  const terms: NameTerms = {
    ...DEFAULT_TERMS,
    servers: [dns.address],
    timeoutMs: 2000, // a second question would be one too many for some tests
    minTtlMs: 20,
    allowedNames: [NAME],
    hostsFile: '/nowhere',
    ...more,
  };
  const lookups = new Lookups();
  return { dns, names: new NameResolver(lookups, terms), lookups, terms };
}

function serviceOf({ names }: World, options: Partial<ServiceOptions> = {}) {
  const events = new EventLog();
  const service = makeService({ host: NAME, ports: [80], names, events, ...options });
  cleanups.push(() => service.retire());
  service.start();
  return { service, events };
}

/** Servers on one port of several loopback addresses; each answers with its address, and holds `/hold`. */
async function backends(...addresses: readonly string[]) {
  const held: ServerResponse[] = [];
  const sockets = new Set<Socket>();
  const servers: Server[] = [];
  let port = 0;
  for (const address of addresses) {
    const server = createServer((request, response) => {
      if (request.url === '/hold') held.push(response);
      else response.end(address);
    });
    server.on('connection', (socket: Socket) => sockets.add(socket));
    if (port === 0) port = await listen(server, address);
    else await new Promise<void>((resolve) => server.listen(port, address, resolve));
    servers.push(server);
  }
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    for (const server of servers) server.close();
  });
  return { port, held };
}

const namesOf = (service: { readonly endpoints: readonly { readonly name: string }[] }) =>
  service.endpoints.map(({ name }) => name);

test('every address of a name is an endpoint, asked for once by all services', async () => {
  const here = await world({ [NAME]: { addresses: ['127.0.0.2', '127.0.0.1', '::1'], ttlSec: 60 } });
  const { port } = await backends('127.0.0.1', '127.0.0.2');
  const { service } = serviceOf(here, { ports: [port] });
  const { service: other } = serviceOf(here, { ports: [port] });
  expect(namesOf(service)).toEqual([`${NAME}:${port}`]);
  await until(() => service.endpoints.length === 2 && other.endpoints.length === 2);
  expect(service.endpoints).toMatchObject([
    { name: `127.0.0.1:${port}`, address: '127.0.0.1', port, host: NAME },
    { name: `127.0.0.2:${port}`, address: '127.0.0.2', port, host: NAME },
  ]);
  expect(here.dns.asked).toEqual([`${NAME} A`]);
  const answers = [await exchange(service), await exchange(service), await exchange(service)];
  expect(answers.map(({ body }) => body).sort()).toEqual(['127.0.0.1', '127.0.0.1', '127.0.0.2']);
  expect(answers[0]!.connection?.endpoint).toBe(`127.0.0.1:${port}`);
});

test('a request that comes before the first answer waits for it', async () => {
  const here = await world({ [NAME]: { addresses: ['127.0.0.1'] } });
  const { port } = await backends('127.0.0.1');
  const { service } = serviceOf(here, { ports: [port] });
  const standIn = service.pick([], REQUESTER)!;
  expect(standIn.name).toBe(`${NAME}:${port}`);
  const outcome = await exchange(service, { endpoint: standIn, body: 'upload' });
  expect(outcome).toMatchObject({ status: 200, body: '127.0.0.1', error: null });
});

test('an answer with other addresses: new ones are used, gone ones finish what runs, those that stay keep their connections', async () => {
  const here = await world({ [NAME]: { addresses: ['127.0.0.1', '127.0.0.2'] } });
  const { port, held } = await backends('127.0.0.1', '127.0.0.2', '127.0.0.3');
  const { service, events } = serviceOf(here, { ports: [port] });
  await until(() => service.endpoints.length === 2);
  const [stays, goes] = service.endpoints;
  const first = await exchange(service, { endpoint: stays! });
  const running = exchange(service, { endpoint: goes!, target: '/hold' });
  await until(() => held.length === 1);
  here.dns.zone.set(NAME, { addresses: ['127.0.0.1', '127.0.0.3'] });
  await until(() => service.endpoints[1]?.address === '127.0.0.3');
  expect(service.endpoints[0]).toBe(stays);
  expect(Array.from({ length: 4 }, () => service.pick([], REQUESTER)!.address)).not.toContain('127.0.0.2');
  const second = await exchange(service, { endpoint: stays! });
  expect([first.connection?.reused, second.connection?.reused]).toEqual([false, true]);
  expect((await exchange(service, { endpoint: service.endpoints[1]! })).body).toBe('127.0.0.3');
  held[0]!.end('finished');
  expect((await running).body).toBe('finished');
  await until(() => events.closes.length === 1);
  expect(events.closes).toEqual(['retired']);
});

test.each([['SERVFAIL'], ['silence']] as const)('%s: the last addresses stay in use', async (failure) => {
  const here = await world({ [NAME]: { addresses: ['127.0.0.1'] } }, { timeoutMs: 300 });
  const { port } = await backends('127.0.0.1');
  const { service } = serviceOf(here, { ports: [port] });
  await until(() => namesOf(service)[0] === `127.0.0.1:${port}`);
  here.dns.zone.set(NAME, failure);
  await until(() => here.lookups.ended.at(-1)!.startsWith('127.0.0.1 | E'));
  expect((await exchange(service)).body).toBe('127.0.0.1');
});

test('NXDOMAIN is an answer: nothing of the name is used any more, and requests fail with dns_error', async () => {
  const here = await world({ [NAME]: { addresses: ['127.0.0.1'] } });
  const { port } = await backends('127.0.0.1');
  const { service } = serviceOf(here, { ports: [port] });
  await until(() => namesOf(service)[0] === `127.0.0.1:${port}`);
  here.dns.zone.set(NAME, 'NXDOMAIN');
  await until(() => namesOf(service)[0] === `${NAME}:${port}`);
  const { error } = await exchange(service);
  expect(error).toMatchObject({ code: 'backend_dns_failed', retry: 'yes', detail: `${NAME}:${port}: ENOTFOUND` });
  expect(error?.spec).toMatchObject({ proxyStatus: 'dns_error', status: 502 });
  here.dns.zone.set(NAME, { addresses: ['127.0.0.1'] });
  await until(() => namesOf(service)[0] === `127.0.0.1:${port}`);
  expect((await exchange(service)).body).toBe('127.0.0.1');
});

test('a name without an address is picked last', async () => {
  const here = await world({ [NAME]: 'NXDOMAIN' });
  const events = new EventLog();
  const service = makeService({ hosts: [NAME, '10.0.0.1'], ports: [80], names: here.names, events });
  cleanups.push(() => service.retire());
  service.start();
  await until(() => here.lookups.ended.length > 0);
  const picks = Array.from({ length: 3 }, () => service.pick([], REQUESTER)!);
  expect(picks.map(({ name }) => name)).toEqual(['10.0.0.1:80', '10.0.0.1:80', '10.0.0.1:80']);
  expect(service.pick([picks[0]!], REQUESTER)?.name).toBe(`${NAME}:80`);
});

test('nobody answers: the wait for the name ends with the time for connecting', async () => {
  const here = await world({ [NAME]: 'silence' });
  const { service } = serviceOf(here, { connectTimeoutMs: 50 });
  const { error } = await exchange(service);
  expect(error).toMatchObject({ code: 'backend_connect_timeout' });
  expect(error?.detail).toContain('looking up its name');
});

test('SNI and the name to verify stay those of the name', async () => {
  const pki = await testPki();
  const here = await world({ [NAME]: { addresses: ['127.0.0.1'] } });
  const servernames: unknown[] = [];
  const server = createHttpsServer(
    { cert: chainPem(pki.server, pki.issuing), key: pki.server.privateKeyPem },
    (_request, response) => response.end('ok'),
  );
  server.on('secureConnection', (socket: TLSSocket & { servername: string }) => servernames.push(socket.servername));
  const port = await listen(server);
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const tls = makeTls({ anchors: [pki.root], sni: 'backend.example' });
  const { service } = serviceOf(here, { protocol: 'HTTPS', tls, ports: [port] });
  const outcome = await exchange(service);
  expect(outcome).toMatchObject({ status: 200, connection: { endpoint: `127.0.0.1:${port}` } });
  expect(servernames).toEqual(['backend.example']);
});

describe('which addresses (`ipAddressSelectionPolicy`)', () => {
  const both = { [NAME]: { addresses: ['10.0.0.2', '10.0.0.1', '2001:db8:0:0:0:0:0:1'], ttlSec: 60 } };

  test.each([
    ['IPV4_ONLY', ['10.0.0.1:80', '10.0.0.2:80'], ['A']],
    ['IPV6_ONLY', ['[2001:db8::1]:80'], ['AAAA']],
    ['PREFER_IPV6', ['10.0.0.1:80', '10.0.0.2:80', '[2001:db8::1]:80'], ['A', 'AAAA']],
  ] as const)('%s', async (ipAddressSelectionPolicy, expected, asked) => {
    const here = await world(both);
    const { service } = serviceOf(here, { ipAddressSelectionPolicy });
    await until(() => service.endpoints.length === expected.length && service.endpoints[0]!.name !== `${NAME}:80`);
    expect(namesOf(service)).toEqual(expected);
    expect([...here.dns.asked].sort()).toEqual(asked.map((type) => `${NAME} ${type}`));
  });

  test('PREFER_IPV6: IPv4 only where no IPv6 address is left to try', async () => {
    const here = await world(both);
    const { service } = serviceOf(here, { ipAddressSelectionPolicy: 'PREFER_IPV6' });
    await until(() => service.endpoints.length === 3);
    const first = Array.from({ length: 3 }, () => service.pick([], REQUESTER)!);
    expect(first.map(({ address }) => address)).toEqual(Array(3).fill('2001:db8::1'));
    expect(service.pick([first[0]!], REQUESTER)?.address).toMatch(/^10\.0\.0\./);
  });
});

describe('where a name must not lead (security rule 36)', () => {
  test('loopback without permission: nothing is dialled, and the request says so', async () => {
    const here = await world({ [NAME]: { addresses: ['127.0.0.1'] } }, { allowedNames: [] });
    let dialled = 0;
    const server = createServer((_request, response) => response.end('ok')).on('connection', () => dialled++);
    const port = await listen(server);
    cleanups.push(() => server.close());
    const { service, events } = serviceOf(here, { ports: [port] });
    await until(() => here.lookups.ended.length >= 3);
    const { error } = await exchange(service);
    expect(error).toMatchObject({
      code: 'backend_address_prohibited',
      detail: `${NAME} leads to 127.0.0.1: loopback`,
    });
    expect(error?.spec).toMatchObject({ proxyStatus: 'destination_ip_prohibited', status: 502 });
    expect(dialled).toBe(0);
    expect(events.prohibited).toEqual([`${NAME} 127.0.0.1: loopback`]); // once, not at each look-up
  });

  test('of several addresses the others are used', async () => {
    const here = await world({ [NAME]: { addresses: ['10.0.0.1', '169.254.169.254'] } }, { allowedNames: [] });
    const { service, events } = serviceOf(here);
    await until(() => events.prohibited.length === 1);
    expect(namesOf(service)).toEqual(['10.0.0.1:80']);
    expect(events.prohibited).toEqual([`${NAME} 169.254.169.254: link-local`]);
  });

  test('our own doors are refused even to a name that is allowed', async () => {
    const ownDoors = [{ address: '127.0.0.1', port: 9901 }];
    const here = await world({ [NAME]: { addresses: ['127.0.0.1'] } }, { ownDoors });
    const { service } = serviceOf(here, { ports: [9901, 9902] });
    await until(() => here.lookups.ended.length > 0);
    expect(namesOf(service)).toEqual([`${NAME}:9901`, '127.0.0.1:9902']);
    const { error } = await exchange(service, { endpoint: service.endpoints[0]! });
    expect(error).toMatchObject({
      code: 'backend_address_prohibited',
      detail: `${NAME} leads to 127.0.0.1: an address of this proxy`,
    });
  });

  test('a permission that a reload takes away counts at once', async () => {
    const here = await world({ [NAME]: { addresses: ['127.0.0.1'], ttlSec: 60 } });
    const { service } = serviceOf(here);
    await until(() => namesOf(service)[0] === '127.0.0.1:80');
    here.names.use({ ...here.terms, allowedNames: [] });
    await until(() => namesOf(service)[0] === `${NAME}:80`);
    expect((await exchange(service)).error?.code).toBe('backend_address_prohibited');
  });
});

test('the hosts file comes before DNS', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hosts-'));
  cleanups.push(() => rm(folder, { recursive: true }));
  const hostsFile = join(folder, 'hosts');
  await writeFile(
    hostsFile,
    `# a comment\n127.0.0.9\tother  Shop.Example # here\nnot-an-address ${NAME}\n::1 ${NAME}\n`,
  );
  const here = await world({ [NAME]: { addresses: ['127.0.0.1'] } }, { hostsFile });
  const { service } = serviceOf(here);
  await until(() => here.lookups.ended.length > 0);
  expect(namesOf(service)).toEqual(['127.0.0.9:80']);
  expect(here.dns.asked).toEqual([]);
});

test('localhost is loopback, whatever DNS says, and not asked of it', async () => {
  const here = await world({ 'a.localhost': { addresses: ['10.0.0.1'] } }, { allowedNames: ['a.localhost'] });
  const { service } = serviceOf(here, { host: 'a.localhost' });
  await until(() => here.lookups.ended.length > 0);
  expect(namesOf(service)).toEqual(['127.0.0.1:80']);
  expect(here.dns.asked).toEqual([]);
});

test('a successor takes over the addresses that are known, with their connections; a name that nobody uses is forgotten', async () => {
  const here = await world({ [NAME]: { addresses: ['127.0.0.1'] } });
  const { port } = await backends('127.0.0.1');
  const { service } = serviceOf(here, { ports: [port] });
  await exchange(service);
  const { service: successor } = serviceOf(here, { ports: [port], previous: service });
  expect(namesOf(successor)).toEqual([`127.0.0.1:${port}`]);
  await service.retire({ successor });
  expect(here.lookups.forgotten).toEqual([]);
  expect((await exchange(successor)).connection?.reused).toBe(true);
  here.dns.zone.set(NAME, { addresses: ['127.0.0.2'] });
  await until(() => namesOf(successor)[0] === `127.0.0.2:${port}`);
  await successor.retire();
  expect(here.lookups.forgotten).toEqual([NAME]);
});

test('a service that retires while a request waits for the name still serves it', async () => {
  const here = await world({ [NAME]: 'silence' }, { timeoutMs: 500 });
  const { port } = await backends('127.0.0.1');
  const { service } = serviceOf(here, { ports: [port] });
  const waiting = exchange(service);
  await until(() => here.dns.asked.length > 0);
  const retired = service.retire();
  here.dns.zone.set(NAME, { addresses: ['127.0.0.1'] });
  expect(await waiting).toMatchObject({ error: null, body: '127.0.0.1' }); // asked a second time
  await retired;
  expect(here.lookups.forgotten).toEqual([NAME]);
});
