import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { LinkedBalancing } from '#src/config/linked.ts';
import { PLAIN_BALANCING } from '../backend/support.ts';
import { closeAll, startProxy } from './_proxy.ts';

/** Cookies through the whole path: set with the first answer, honoured with the next request, replaced when their endpoint is gone. */

afterEach(closeAll);

const BALANCING: LinkedBalancing = {
  ...PLAIN_BALANCING,
  affinity: { by: 'GENERATED_COOKIE', cookie: { name: 'GCLB', path: '/', ttlSec: 0 } },
};

test('a client that sends its GCLB cookie back stays with its endpoint; round robin goes on for the others', async () => {
  const names = ['one', 'two', 'three'];
  const servers = names.map((name) => createServer((_request, response) => response.end(name)));
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) => {
          server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
        }),
    ),
  );
  const proxy = await startProxy(ports, { service: { balancing: BALANCING } });
  try {
    const first = await get(proxy.port, '');
    expect(first.cookie).toMatch(/^GCLB=[\w-]{22}; Path=\/; HttpOnly; SameSite=Lax$/);
    const cookie = first.cookie!.split(';')[0]!;
    for (let i = 0; i < 3; i++) expect(await get(proxy.port, cookie)).toEqual({ body: first.body, cookie: null });
    const others = [await get(proxy.port, ''), await get(proxy.port, '')];
    expect(new Set([first.body, ...others.map(({ body }) => body)])).toEqual(new Set(names));
    servers[names.indexOf(first.body)]!.closeAllConnections();
    await new Promise((resolve) => servers[names.indexOf(first.body)]!.close(resolve));
    const moved = await get(proxy.port, cookie);
    expect(moved.body).not.toBe(first.body);
    expect(moved.cookie).toMatch(/^GCLB=/);
    expect(moved.cookie!.split(';')[0]).not.toBe(cookie);
  } finally {
    for (const server of servers) server.close();
  }
});

function get(port: number, cookie: string): Promise<{ readonly body: string; readonly cookie: string | null }> {
  return new Promise((resolve, reject) => {
    const headers = { host: 'example.com', connection: 'close', ...(cookie !== '' && { cookie }) };
    request({ port, host: '127.0.0.1', headers }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve({ body, cookie: response.headers['set-cookie']?.[0] ?? null }));
    })
      .on('error', reject)
      .end();
  });
}
