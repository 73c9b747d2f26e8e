// Response heads of exactly 128 KiB and of one byte more (spec 4.3), however many fields they have, over both versions of HTTP.
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { exchange, listen, makeService } from './support.ts';

const LIMIT = 128 * 1024;

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** So many fields, and a Date (which Node would add), that take so many bytes as HTTP/1.1 writes them. */
function fields(count: number, bytes: number): [string, string][] {
  const date: [string, string] = ['date', 'Sun, 22 Nov 2026 01:00:00 GMT'];
  const names = Array.from({ length: count }, (_, i) => `x-${String(i).padStart(4, '0')}`);
  const left = [date[0], date[1], ...names].reduce((rest, text) => rest - text.length, bytes - 4 * (count + 1));
  const each = Math.floor(left / count);
  return [
    date,
    ...names.map((name, i): [string, string] => [name, 'v'.repeat(i === 0 ? left - each * (count - 1) : each)]),
  ];
}

const servers = {
  HTTP: (head: readonly [string, string][]): Server =>
    createTcpServer((socket: Socket) => {
      socket.on('error', () => {});
      socket.once('data', () => {
        const lines = head.map(([name, value]) => `${name}: ${value}\r\n`).join('');
        socket.end(`HTTP/1.1 200 OK\r\n${lines}\r\n`);
      });
    }),
  H2C: (head: readonly [string, string][]): Server =>
    createHttp2Server({ maxSendHeaderBlockLength: 1024 * 1024 }).on('stream', (stream: ServerHttp2Stream) => {
      stream.on('error', () => {});
      stream.respond(Object.fromEntries([[':status', '200'], ...head]));
      stream.end();
    }),
} as const;

// One HTTP/2 field of more than 64 KiB is nghttp2's limit, not ours.
const cases = [
  ['HTTP', 1],
  ['HTTP', 3],
  ['HTTP', 500],
  ['H2C', 3],
  ['H2C', 500],
] as const;

test.each(cases)(
  'over %s, a head of the limit in %d fields passes, and one byte more is refused',
  async (protocol, count) => {
    const results: (string | number)[] = [];
    for (const bytes of [LIMIT, LIMIT + 1]) {
      const server = servers[protocol](fields(count, bytes));
      const port = await listen(server);
      const service = makeService({ protocol, ports: [port] });
      cleanups.push(() => server.close());
      cleanups.push(() => service.retire());
      const { error, status } = await exchange(service, { scheme: 'http' });
      results.push(error?.code ?? status);
      if (error !== null)
        expect(error.spec).toMatchObject({ status: 502, statusDetails: 'backend_response_headers_too_long' });
    }
    expect(results).toEqual([200, 'backend_response_headers_too_long']);
  },
);
