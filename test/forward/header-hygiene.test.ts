import { ServiceFieldRules } from '#src/forward/field-rules.ts';
import { createForwarder } from '#src/forward/forwarder.ts';
import type { ConnectionFacts } from '#src/http/exchange.ts';
import { forwardedElement } from '#src/http/forwarded.ts';
import { CONNECTION, MemoryExchange, MemoryService, mapTo, Records } from './_memory.ts';
import { answeringBackend, client, closeAll, rawBackend, startProxy } from './_proxy.ts';

afterEach(closeAll);

describe('Forwarded', () => {
  const facts = (overrides: Partial<ConnectionFacts> = {}): ConnectionFacts => ({ ...CONNECTION, ...overrides });

  test('names the client, us, the authority and the scheme', () => {
    expect(forwardedElement(facts(), 'example.com')).toBe('for=192.0.2.7;by=203.0.113.1;host=example.com;proto=https');
    const plain = facts({ remoteAddress: '2001:db8::7', tls: null });
    expect(forwardedElement(plain, 'example.com:8443')).toBe(
      'for="[2001:db8::7]";by=203.0.113.1;host="example.com:8443";proto=http',
    );
    expect(forwardedElement(facts(), '[::1]')).toContain(';host="[::1]";');
    expect(forwardedElement(facts(), '')).not.toContain('host');
  });

  test.each([
    ['none', false, []],
    ['replace', true, ['for=192.0.2.7;by=203.0.113.1;host=example.com;proto=https']],
  ])('%s: the client’s own never passes', (_mode, writes, expected) => {
    const service = new MemoryService();
    const forward = createForwarder({
      urlMap: mapTo(service),
      recorder: new Records(),
      fields: new ServiceFieldRules([], [], writes),
    });
    forward(new MemoryExchange({ headers: ['forwarded', 'for="evil', 'forwarded', 'for=1.2.3.4'] }));
    const sent = service.call.request.headers;
    expect(sent.filter((_value, i) => sent[i - 1] === 'forwarded' && i % 2 === 1)).toEqual(expected);
  });
});

test('Early-Data passes as one, and a 425 of the backend comes back without a second attempt', async () => {
  let head = '';
  const backend = await rawBackend(async (connection) => {
    head += await connection.head();
    connection.socket.write('HTTP/1.1 425 Too Early\r\ncontent-length: 0\r\n\r\n');
  });
  const { port, records } = await startProxy([backend.port, backend.port]);
  const fields = 'Early-Data: 1\r\nEarly-Data: x\r\nConnection: close\r\n';
  const asking = client(port).send(`GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`);
  await asking.until((self) => self.closed);
  expect(asking.text).toMatch(/^HTTP\/1\.1 425 /);
  expect(await records.nth(1)).toMatchObject({ status: 425, attempts: 1 });
  expect(head.match(/^early-data: .*$/gm)).toEqual(['early-data: 1']);
});

test('a request that has passed five of us is a loop, four are none', async () => {
  const backend = await answeringBackend('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
  const { port, records } = await startProxy([backend.port]);
  const via = (times: number) => `Via: ${Array(times).fill('1.1 sallyport').join(', ')}\r\n`;
  const ask = async (fields: string) => {
    const asking = client(port).send(`GET / HTTP/1.1\r\nHost: a\r\n${fields}Connection: close\r\n\r\n`);
    await asking.until((self) => self.closed);
    return asking.text.slice(9, 12);
  };
  expect(await ask(`Via: 1.1 other, 1.1 sallyport-like\r\n${via(4)}`)).toBe('200');
  expect(await ask(via(5))).toBe('502');
  expect(await records.nth(2)).toMatchObject({
    statusDetails: 'request_loop_detected',
    proxyStatus: 'sallyport; error=proxy_loop_detected',
    attempts: 0,
  });
});
