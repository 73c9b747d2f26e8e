import { createServer, type ServerResponse } from 'node:http';
import { until } from '../harness/until.ts';
import { EventLog, exchange, listen, makeService, REQUESTER } from './support.ts';

describe('`pick()`', () => {
  test('goes round the endpoints', () => {
    const service = makeService({ ports: [1, 2, 3] });
    const ports = Array.from({ length: 6 }, () => service.pick([], REQUESTER)!.port);
    expect(ports).toEqual([1, 2, 3, 1, 2, 3]);
  });

  test('leaves out those that were tried, and gives null when none is left', () => {
    const service = makeService({ ports: [1, 2] });
    const first = service.pick([], REQUESTER)!;
    const second = service.pick([first], REQUESTER)!;
    expect([first.port, second.port]).toEqual([1, 2]);
    expect(service.pick([first, second], REQUESTER)).toBeNull();
  });

  test('gives null for a service without endpoints', () => {
    expect(makeService({ ports: [] }).pick([], REQUESTER)).toBeNull();
  });
});

test('endpoints are named by address and port, IPv6 in brackets', () => {
  expect(makeService({ ports: [8443] }).endpoints[0]).toMatchObject({
    name: '127.0.0.1:8443',
    address: '127.0.0.1',
    port: 8443,
  });
  expect(makeService({ ports: [8443], host: '::1' }).endpoints[0]).toMatchObject({
    name: '[::1]:8443',
    address: '::1',
  });
});

describe('`retire()`', () => {
  test('closes idle connections, waits for busy ones, and still serves what was on its way', async () => {
    const held: ServerResponse[] = [];
    const server = createServer((request, response) => {
      if (request.url === '/hold') held.push(response);
      else response.end('ok');
    });
    const port = await listen(server);
    const events = new EventLog();
    const service = makeService({ ports: [port], events });
    const busy = exchange(service, { target: '/hold' });
    await until(() => held.length === 1);
    await exchange(service); // leaves an idle connection

    let retired = false;
    const whenRetired = service.retire().then(() => {
      retired = true;
    });
    await until(() => events.closes.length === 1);
    expect(retired).toBe(false);
    expect((await exchange(service)).body).toBe('ok'); // had been routed before the reload
    held[0]!.end('done');
    expect((await busy).body).toBe('done');
    await whenRetired;
    expect(events.closes).toEqual(['retired', 'retired', 'retired']);
    server.close();
  });

  test('resolves at once when nothing was ever connected', async () => {
    await makeService({ ports: [1] }).retire();
  });
});
