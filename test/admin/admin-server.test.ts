import { once } from 'node:events';
import { type IncomingHttpHeaders, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { Script } from 'node:vm';
import { AdminServer, type AdminSettings } from '#src/admin/admin-server.ts';
import type { AdminSources } from '#src/admin/admin-sources.ts';
import { handshakeFailure } from '../telemetry/support.ts';

const SETTINGS: AdminSettings = { address: '127.0.0.1', port: 0, hosts: [], dangerExposeDetails: false };
const SOURCES: AdminSources = {
  readiness: () => [],
  metrics: () => Promise.resolve({ contentType: 'text/plain; version=0.0.4', text: 'up 1\n' }),
  configuration: () => ({ sslPolicies: [{ name: 'modern' }] }),
  certificates: () => [],
  backends: () => [
    {
      service: 'api',
      protocol: 'HTTPS',
      endpoints: ['127.0.0.1:9443'],
      health: [],
      balance: { policy: 'ROUND_ROBIN', affinity: 'NONE', isInPanic: false, endpoints: [] },
      refusals: [],
    },
  ],
  handshakes: () => ({
    failures: [{ ...handshakeFailure({ sni: '<script>' }), time: '2026-11-21T12:00:00.000Z' }],
    shadow: [],
  }),
};

const opened: AdminServer[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((server) => server.close()));
});

async function start(settings: Partial<AdminSettings> = {}, sources: Partial<AdminSources> = {}): Promise<number> {
  const server = new AdminServer({ ...SETTINGS, ...settings }, { ...SOURCES, ...sources }, () => null);
  await server.listen();
  opened.push(server);
  return Number(server.address.slice(server.address.lastIndexOf(':') + 1));
}

interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

function ask(port: number, path: string, options: { method?: string; host?: string } = {}): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const headers = options.host === undefined ? {} : { host: options.host };
  const sent = request(
    { host: '127.0.0.1', port, path, method: options.method ?? 'GET', headers, agent: false },
    (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    },
  );
  sent.on('error', reject);
  sent.end();
  return promise;
}

describe('AdminServer', () => {
  test('answers each endpoint with its source', async () => {
    const port = await start();
    expect(await ask(port, '/livez')).toMatchObject({ status: 200, body: 'ok\n' });
    expect(await ask(port, '/metrics?x')).toMatchObject({
      status: 200,
      body: 'up 1\n',
      headers: { 'content-type': 'text/plain; version=0.0.4' },
    });
    expect(JSON.parse((await ask(port, '/readyz')).body)).toEqual({ ready: true, reasons: [] });
    expect(JSON.parse((await ask(port, '/config')).body)).toEqual(SOURCES.configuration());
    expect(JSON.parse((await ask(port, '/certificates')).body)).toEqual([]);
    expect(JSON.parse((await ask(port, '/backends')).body)).toEqual(SOURCES.backends());
    expect(JSON.parse((await ask(port, '/handshakes')).body)).toEqual(SOURCES.handshakes());
    expect(await ask(port, '/nowhere')).toMatchObject({ status: 404 });
  });

  test('/readyz is 503 with the reasons when not ready', async () => {
    const reply = await ask(await start({}, { readiness: () => ['draining'] }), '/readyz');
    expect(reply.status).toBe(503);
    expect(JSON.parse(reply.body)).toEqual({ ready: false, reasons: ['draining'] });
  });

  test('/ is a page that loads only what this server has', async () => {
    const port = await start();
    const page = await ask(port, '/');
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
    const assets = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path!);
    for (const path of assets) {
      expect(path).toMatch(/^\/[a-z.]+$/);
      expect(await ask(port, path)).toMatchObject({ status: 200 });
    }
    expect(page.body).not.toMatch(/<script>|<style|\son[a-z]+=/);
    const script = await ask(port, '/page.js');
    expect(() => new Script(script.body)).not.toThrow();
    const ids = [...script.body.matchAll(/(?:byId|show|rows)\('([a-z-]+)'/g)].map(([, id]) => id!);
    expect(ids).toEqual(expect.arrayContaining(['readiness', 'handshake-rows', 'shadow-rows', 'shadow']));
    for (const id of ids) expect(page.body).toContain(`id="${id}"`);
    expect(script.body).not.toMatch(/innerHTML|insertAdjacentHTML|document\.write|eval/);
  });

  test.each(['/livez', '/readyz', '/metrics', '/', '/config', '/nowhere'])(
    '%s can be neither framed nor read by another site (security rule 17)',
    async (path) => {
      const { headers } = await ask(await start(), path);
      expect(headers).toMatchObject({
        'cross-origin-resource-policy': 'same-origin',
        'x-frame-options': 'DENY',
        'x-content-type-options': 'nosniff',
        'cache-control': 'no-store',
      });
      expect(headers['content-security-policy']).toContain("default-src 'none'");
      expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
      expect(headers).not.toHaveProperty('access-control-allow-origin');
    },
  );

  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])('refuses %s (security rule 17)', async (method) => {
    expect(await ask(await start(), '/livez', { method })).toMatchObject({
      status: 405,
      headers: { allow: 'GET, HEAD' },
    });
  });

  test('answers HEAD as GET without the body', async () => {
    const port = await start();
    const get = await ask(port, '/config');
    const head = await ask(port, '/config', { method: 'HEAD' });
    expect(head).toMatchObject({ status: 200, body: '' });
    expect(head.headers['content-length']).toBe(String(Buffer.byteLength(get.body)));
  });

  test.each([
    'localhost',
    'LOCALHOST:9901',
    '127.0.0.1',
    '127.0.0.1:9901',
    '[::1]:9901',
    '127.1.2.3',
    'Admin.Internal:1',
  ])('answers Host %s', async (host) => {
    expect(await ask(await start({ hosts: ['admin.internal'] }), '/config', { host })).toMatchObject({ status: 200 });
  });

  // DNS rebinding: the page of evil.example, whose name now resolves to us, asks with its own name.
  test.each([
    'evil.example',
    'evil.example:9901',
    'localhost.evil.example',
    '192.0.2.1',
    'localhost:9901@evil',
    'a b',
    '[::1',
    '127.0.0.1.evil',
  ])('refuses Host %p with 421 (security rule 17)', async (host) => {
    const port = await start({ hosts: ['admin.internal'] });
    const reply = await ask(port, '/config', { host });
    expect(reply.status).toBe(421);
    expect(reply.body).not.toContain('modern');
  });

  test.each(['Host: localhost\r\nHost: evil.example', 'Host: ', 'X: y'])('refuses a head with %p', async (line) => {
    const port = await start();
    const reply = await exchangeBytes(port, `GET /livez HTTP/1.1\r\n${line}\r\nConnection: close\r\n\r\n`);
    expect(reply).toMatch(/^HTTP\/1\.1 (400|421) /);
  });

  test('off loopback shows only health and metrics, to any address as Host (security rule 17)', async () => {
    const port = await start({ address: '0.0.0.0' });
    for (const path of ['/livez', '/readyz', '/metrics']) {
      expect(await ask(port, path, { host: '10.1.2.3:9901' })).toMatchObject({ status: 200 });
    }
    for (const path of ['/', '/page.js', '/config', '/certificates', '/backends', '/handshakes', '/nowhere']) {
      expect(await ask(port, path)).toMatchObject({ status: 403 });
    }
    expect(await ask(port, '/livez', { host: 'evil.example' })).toMatchObject({ status: 421 });
  });

  test('off loopback shows everything with dangerExposeDetails', async () => {
    expect(await ask(await start({ address: '0.0.0.0', dangerExposeDetails: true }), '/config')).toMatchObject({
      status: 200,
    });
  });

  test('a source that fails is 500 without its words', async () => {
    const port = await start(
      {},
      {
        metrics: () => Promise.reject(new Error('secret')),
        configuration: () => {
          throw new Error('secret');
        },
      },
    );
    for (const path of ['/metrics', '/config']) {
      expect(await ask(port, path)).toMatchObject({ status: 500, body: '' });
    }
  });

  test('takes a bounded number of connections and lets go of idle heads (security rule 17)', async () => {
    const port = await start();
    const sockets: Socket[] = [];
    for (let i = 0; i < 100; i++) {
      const socket = connect(port, '127.0.0.1').on('error', () => {});
      socket.write('GET /livez HTTP/1.1\r\n');
      sockets.push(socket);
    }
    let closed = 0;
    for (const socket of sockets) socket.resume().on('close', () => closed++);
    while (closed < 36) await new Promise((resolve) => setTimeout(resolve, 20)); // 64 are kept
    // What is kept never sends its Host header: the head's deadline frees it.
    while (closed < 100) await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await ask(port, '/livez')).toMatchObject({ status: 200 });
  });

  test('`listen()` says which address and setting when it cannot bind', async () => {
    const port = await start();
    await expect(new AdminServer({ ...SETTINGS, port }, SOURCES, () => null).listen()).rejects.toThrow(
      `Cannot listen on 127.0.0.1:${port} (sallyport.admin): EADDRINUSE`,
    );
  });

  test('`close()` ends open connections, and is harmless before `listen()` and twice', async () => {
    const server = new AdminServer(SETTINGS, SOURCES, () => null);
    await server.close();
    await server.listen();
    const socket = connect(Number(server.address.split(':')[1]), '127.0.0.1');
    await once(socket, 'connect');
    const ended = once(socket.resume(), 'close');
    await server.close();
    await ended;
    await server.close();
  });
});

async function exchangeBytes(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
  });
  socket.write(bytes);
  await once(socket, 'close');
  return text;
}
