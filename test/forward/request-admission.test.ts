import { RequestAdmission } from '#src/forward/request-admission.ts';
import { StillClock } from '../telemetry/support.ts';
import { answeringBackend, client, closeAll, rawBackend, startProxy } from './_proxy.ts';

afterEach(closeAll);

describe('requestsPerAddress', () => {
  const limits = { requestsPerAddress: { perSecond: 10, burst: 3 } };

  test('lets a burst through, then one each tenth of a second, and the burst again after a pause', () => {
    const clock = new StillClock();
    const admission = new RequestAdmission(clock);
    const enter = () => admission.enter('192.0.2.1', limits);
    expect([enter(), enter(), enter(), enter()]).toEqual([null, null, null, 'client_rate_exceeded']);
    clock.advance(100);
    expect([enter(), enter()]).toEqual([null, 'client_rate_exceeded']);
    clock.advance(10_000);
    expect([enter(), enter(), enter(), enter()]).toEqual([null, null, null, 'client_rate_exceeded']);
  });

  test('counts an IPv6 /64 as one, and every IPv4 address by itself', () => {
    const admission = new RequestAdmission(new StillClock());
    const one = { requestsPerAddress: { perSecond: 1 } };
    expect(admission.enter('2001:db8::1', one)).toBeNull();
    expect(admission.enter('2001:db8::ffff', one)).toBe('client_rate_exceeded');
    expect(admission.enter('2001:db8:0:1::1', one)).toBeNull();
    expect(admission.enter('192.0.2.1', one)).toBeNull();
    expect(admission.enter('192.0.2.2', one)).toBeNull();
  });

  test('remembers a bounded number of addresses, and forgets those that were here longest ago', () => {
    const admission = new RequestAdmission(new StillClock());
    const one = { requestsPerAddress: { perSecond: 1 } };
    for (let i = 0; i < 70_000; i++) {
      const address = `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
      admission.enter(address, one);
      admission.leave(address);
    }
    expect(admission.size).toBe(65_536);
    expect(admission.enter('10.1.17.111', one)).toBe('client_rate_exceeded');
    expect(admission.enter('10.0.0.0', one)).toBeNull();
  });
});

test('a client over its rate gets 429 with Retry-After, and no request of it reaches a backend', async () => {
  const backend = await answeringBackend('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
  const limits = { requestsPerAddress: { perSecond: 0.001, burst: 2 } };
  const { port, records } = await startProxy([backend.port], { limits });
  const statuses: number[] = [];
  for (let i = 0; i < 3; i++) {
    const asking = client(port).send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await asking.until((self) => self.closed);
    statuses.push(Number(asking.text.slice(9, 12)));
    if (i === 2) expect(asking.text).toMatch(/\r\nretry-after: 1\r\n/);
  }
  expect(statuses).toEqual([200, 200, 429]);
  expect(await records.nth(3)).toMatchObject({
    status: 429,
    attempts: 0,
    statusDetails: 'throttled_by_security_policy',
  });
});

test('an address may have so many requests in flight, and again when one is over', async () => {
  const backend = await rawBackend(() => {});
  const { port, records } = await startProxy([backend.port], { limits: { concurrentRequestsPerAddress: 1 } });
  const ask = () => client(port).send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  const first = ask();
  while (backend.connections.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await backend.connections[0]!.head();
  const second = ask();
  await second.until((self) => self.closed);
  expect(second.text).toMatch(/^HTTP\/1\.1 429 /);
  backend.connections[0]!.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
  await first.until((self) => self.closed);
  await records.nth(2);
  const third = ask();
  while (records.startedCount < 3) await new Promise((resolve) => setTimeout(resolve, 5));
  await backend.connections[0]!.until((self) => self.text.match(/GET \/ /g)?.length === 2);
  backend.connections[0]!.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
  await third.until((self) => self.closed);
  expect(third.text).toMatch(/^HTTP\/1\.1 200 /);
});
