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
