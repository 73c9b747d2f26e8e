// What is particular to HTTP/1.1 behind a TLS engine: one read may bring several records.
import { once } from 'node:events';
import { startTlsDoor, type TlsDoor } from './_tls-door.ts';

let door: TlsDoor | null = null;
afterEach(async () => {
  await door?.close();
  door = null;
});

test('requests pipelined over several TLS records, while a response waits for the client, are all answered', async () => {
  door = await startTlsDoor();
  const { recorder } = door;
  const large = 'x'.repeat(400_000); // more than the stream holds back
  recorder.answer = (recorded) => recorded.respond(200, large);
  const client = door.connect({ ALPNProtocols: ['http/1.1'] });
  await once(client, 'secureConnect');
  client.write('GET /large HTTP/1.1\r\nHost: a\r\n\r\n');
  await recorder.until(() => recorder.exchanges.length === 1); // from now on what node:http reads makes it pause its parser
  const count = 60;
  for (let i = 0; i < count; i++) {
    client.write(`GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`); // a record each
    await new Promise((resolve) => setImmediate(resolve));
  }
  let responses = 0;
  let tail = '';
  client.on('data', (chunk: Buffer) => {
    const text = tail + chunk.toString('latin1');
    responses += text.split('HTTP/1.1 200 OK').length - 1;
    tail = text.slice(-14); // one short of what is looked for
  });
  await recorder.until(() => responses === count + 1 || client.destroyed);
  expect(responses).toBe(count + 1);
  expect(recorder.badRequests).toEqual([]);
  client.destroy();
});

test('an exchange is over in the round in which its response is written, before its client can be heard of again', async () => {
  door = await startTlsDoor();
  const { recorder } = door;
  const rounds: string[] = [];
  recorder.answer = (recorded) => {
    recorded.respond(200, recorded.exchange.target);
    rounds.push(recorded.finished ? 'over before its turn' : 'waits for its turn');
    setImmediate(() => rounds.push(recorded.finished ? 'over' : 'written, and not over'));
  };
  const client = door.connect({ ALPNProtocols: ['http/1.1'] });
  let text = '';
  client.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  client.write('GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n');
  await recorder.until(() => text.endsWith('/2'));
  expect(rounds).toEqual(['waits for its turn', 'over', 'waits for its turn', 'over']);
  client.destroy();
});

test('of a response that the socket does not take at once, the exchange is over when it has', async () => {
  door = await startTlsDoor();
  const { recorder } = door;
  const large = Buffer.alloc(32 * 1024 * 1024, 'x'); // more than the kernel's buffers of both ends hold, however they are tuned
  recorder.answer = ({ exchange }) => {
    exchange.respond(200, ['content-length', String(large.length)], true);
    exchange.write(large);
    exchange.end(null);
  };
  const client = door.connect({ ALPNProtocols: ['http/1.1'] });
  await once(client, 'secureConnect');
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await recorder.until(() => recorder.exchanges.length === 1);
  for (let round = 0; round < 100; round++) await new Promise((resolve) => setImmediate(resolve));
  expect(recorder.exchanges[0]!.finished).toBe(false);
  let bytes = 0;
  client.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  await recorder.until(() => recorder.exchanges[0]!.finished);
  await recorder.until(() => bytes > large.length);
  client.destroy();
});
