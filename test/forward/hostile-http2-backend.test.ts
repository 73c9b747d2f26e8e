import { createServer } from 'node:net';
import { DATA, END_HEADERS, frame, HEADERS, SETTINGS } from '../frontend/_raw-http2.ts';
import { client, closeAll, listen, startProxy } from './_proxy.ts';

afterEach(closeAll);

test('a backend that sends more DATA than its content-length ends its session; who shared it is asked again, who had bytes is cut', async () => {
  let sessions = 0;
  const backend = createServer((socket) => {
    const isFirst = ++sessions === 1;
    let seen = Buffer.alloc(0);
    const requests: number[] = [];
    socket.on('error', () => {});
    socket.write(frame(SETTINGS, 0, 0, Buffer.alloc(0)));
    socket.on('data', (chunk: Buffer) => {
      seen = Buffer.concat([seen, chunk]);
      if (requests.length === 0 && seen.subarray(0, MAGIC).toString('latin1').startsWith('PRI'))
        seen = seen.subarray(MAGIC);
      while (seen.length >= 9 && seen.length >= 9 + seen.readUIntBE(0, 3)) {
        const [type, flags, id] = [seen[3]!, seen[4]!, seen.readUInt32BE(5)];
        seen = seen.subarray(9 + seen.readUIntBE(0, 3));
        if (type === SETTINGS && (flags & 1) === 0) socket.write(frame(SETTINGS, 1, 0, Buffer.alloc(0)));
        if (type === HEADERS) requests.push(id);
        else continue;
        if (!isFirst) socket.write(frame(HEADERS, END_HEADERS | 1, id, OK));
        else if (requests.length === 1) socket.write(frame(HEADERS, END_HEADERS, id, OK_LENGTH_2));
        else socket.write(frame(DATA, 0, requests[0]!, Buffer.from('four')));
      }
    });
  });
  const port = await listen(backend);
  const proxy = await startProxy([port], { service: { protocol: 'H2C' } });
  const guilty = client(proxy.port).send('GET /guilty HTTP/1.1\r\nHost: a\r\n\r\n');
  await guilty.response('content-length: 2');
  const innocent = client(proxy.port).send('GET /innocent HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  await innocent.until((self) => self.closed);
  expect(innocent.text).toMatch(/^HTTP\/1\.1 200 /);
  await guilty.until((self) => self.closed);
  expect(guilty.text).not.toContain('four');
  await proxy.records.nth(2);
  const of = (target: string) => proxy.records.all.find(({ exchange }) => exchange.target === target)!;
  expect(of('/innocent')).toMatchObject({ status: 200, attempts: 2, error: null });
  expect(of('/guilty')).toMatchObject({ attempts: 1 });
  expect(of('/guilty').error).not.toBeNull();
  expect(sessions).toBe(2);
  backend.close();
});

const MAGIC = 24; // 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const OK = Buffer.from([0x88]); // RFC 7541 appendix A: `:status: 200`
const OK_LENGTH_2 = Buffer.concat([OK, Buffer.from([0x0f, 0x0d, 1]), Buffer.from('2')]); // content-length is number 28
