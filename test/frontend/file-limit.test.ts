import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { connect as connectTls } from 'node:tls';

test('at a file limit of 256 connections are refused before files run out, and service goes on (security rule 10)', async () => {
  const script = join(import.meta.dirname, '_file-limit-server.ts');
  const server = spawn('/bin/sh', ['-c', `ulimit -n 256 && exec "${process.execPath}" "${script}"`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
  const read = async () => JSON.parse((await lines.next()).value as string) as Record<string, unknown>;
  const { port, fileLimit } = (await read()) as { port: number; fileLimit: number };
  expect(fileLimit).toBe(256);

  const sockets = Array.from({ length: 300 }, () => open(port));
  expect(await read()).toEqual({ reason: 'connection_limit' });
  while (sockets.filter(({ destroyed }) => destroyed).length < 300 - MOST) await pause(10);
  await pause(100);
  expect(sockets.filter(({ destroyed }) => !destroyed).length).toBe(MOST);

  for (const socket of sockets) socket.destroy();
  expect(await read()).toEqual({ reason: 'resumed' });
  expect(await statusOf(port)).toMatch(/^HTTP\/1\.1 200 /);
  server.stdin.end();
  await once(server, 'exit');
});

const MOST = (256 - 64) / 2; // admission.ts: a reserve, and two files for each connection

function open(port: number): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  return socket;
}

async function statusOf(port: number): Promise<string> {
  const client = connectTls({ port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false });
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const [chunk] = (await once(client, 'data')) as [Buffer];
  client.destroy();
  return chunk.toString('latin1');
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
