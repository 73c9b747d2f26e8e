// What must not be held back on its way: events, late answers, interim responses; over each client and each backend protocol.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  createServer as createHttp2Server,
  type Http2ServerResponse,
} from 'node:http2';
import type { Server } from 'node:net';
import { client, closeAll, listen, type RawClient, startProxy } from './_proxy.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await closeAll();
});

/** The compatibility API of node:http2 is near enough to that of node:http. */
type Serve = (request: IncomingMessage, response: ServerResponse) => void;

/** A client that has sent one request; `text` grows as the answer comes: `:status` lines, `name: value` lines, then the body. */
interface Asked {
  until(part: string): Promise<string>;
}

const combinations = (['http1', 'http2'] as const).flatMap((clients) =>
  (['HTTP', 'H2C'] as const).map((protocol) => [clients, protocol] as const),
);

describe.each(combinations)('a client over %s, a backend over %s', (clients, protocol) => {
  async function ask(serve: Serve, headers: Readonly<Record<string, string>> = {}): Promise<Asked> {
    const port = await backend(protocol, serve);
    const proxy = await startProxy([port], { clients, service: { protocol } });
    return clients === 'http1' ? overHttp1(client(proxy.port), headers) : overHttp2(proxy.port, headers);
  }

  test('server-sent events: each arrives before the next is sent', async () => {
    const answer = Promise.withResolvers<ServerResponse>();
    const asked = await ask((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.flushHeaders();
      answer.resolve(response);
    });
    await asked.until('content-type: text/event-stream'); // the head does not wait for the first event
    const response = await answer.promise;
    for (const event of ['one', 'two', 'three']) {
      response.write(`data: ${event}\n\n`);
      await asked.until(`data: ${event}\n\n`);
    }
    response.end('data: last\n\n');
    await asked.until('data: last\n\n');
  });

  test('long polling: an answer that comes late comes at once, and whole', async () => {
    const held = Promise.withResolvers<ServerResponse>();
    const asked = await ask((_request, response) => held.resolve(response));
    const response = await held.promise;
    response.end('news');
    expect(await asked.until('news')).toContain('200');
  });

  test('103 Early Hints comes before the answer is there', async () => {
    const held = Promise.withResolvers<ServerResponse>();
    const asked = await ask((_request, response) => {
      response.writeEarlyHints({ link: '</style.css>; rel=preload' });
      held.resolve(response);
    });
    expect(await asked.until('link: </style.css>; rel=preload')).toContain('103');
    (await held.promise).end('answer');
    expect(await asked.until('answer')).toContain('200');
  });

  test('te: trailers reaches a backend over HTTP/2 and no other', async () => {
    const seen = Promise.withResolvers<string>();
    const asked = await ask(
      (request, response) => {
        seen.resolve(String(request.headers['te'] ?? ''));
        response.end('done');
      },
      { te: 'trailers' },
    );
    await asked.until('done');
    expect(await seen.promise).toBe(protocol === 'H2C' ? 'trailers' : '');
  });
});

test('an HTTP/2 answer that ends with its head ends with its head at an HTTP/2 client', async () => {
  const port = await backend('H2C', (_request, response) => {
    (response as unknown as Http2ServerResponse).stream.respond(
      { ':status': 200, 'grpc-status': '5' },
      { endStream: true },
    );
  });
  const proxy = await startProxy([port], { clients: 'http2', service: { protocol: 'H2C' } });
  const stream = session(proxy.port).request({ ':path': '/' });
  const flags = await new Promise<number>((resolve) =>
    stream.once('response', (_headers, received) => resolve(received)),
  );
  expect(flags & END_STREAM).toBe(END_STREAM);
  expect((await proxy.records.nth(1)).status).toBe(200);
});

async function backend(protocol: 'HTTP' | 'H2C', serve: Serve): Promise<number> {
  const server: Server = protocol === 'HTTP' ? createServer(serve) : createHttp2Server(serve as never);
  const port = await listen(server);
  cleanups.push(() => server.close());
  return port;
}

function overHttp1(connection: RawClient, headers: Readonly<Record<string, string>>): Asked {
  const te = 'te' in headers ? 'connection: te\r\n' : '';
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  connection.send(`GET / HTTP/1.1\r\nhost: a.example\r\n${te}${lines.join('')}\r\n`);
  return { until: (part) => connection.response(part) };
}

function overHttp2(port: number, headers: Readonly<Record<string, string>>): Asked {
  const stream: ClientHttp2Stream = session(port).request({ ':path': '/', ...headers });
  let text = '';
  let waiting: (() => void)[] = [];
  const add = (part: string) => {
    text += part;
    for (const wake of waiting) wake();
    waiting = [];
  };
  const addHead = (head: object) =>
    add(
      Object.entries(head)
        .map(([name, value]) => `${name}: ${value}\n`)
        .join(''),
    );
  stream.on('headers', addHead);
  stream.on('response', addHead);
  stream.on('data', (chunk: Buffer) => add(chunk.toString()));
  stream.on('error', () => {});
  return {
    async until(part) {
      while (!text.includes(part)) await new Promise<void>((resolve) => waiting.push(resolve));
      return text;
    },
  };
}

function session(port: number): ClientHttp2Session {
  const opened = connect(`http://127.0.0.1:${port}`);
  opened.on('error', () => {});
  cleanups.push(() => opened.destroy());
  return opened;
}

const END_STREAM = 1; // RFC 9113 section 6.2
