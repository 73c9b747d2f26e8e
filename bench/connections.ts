// What a held connection costs in memory: `node bench/connections.ts [COUNT]`. Idle HTTP/1.1 connections over TLS 1.3, resident
// memory of the proxy before and after, from /proc. For the sizing in docs/operations.md.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { startScenario } from '../test/harness/scenario.ts';

const BATCH = 20;
const count = Number(process.argv[2] ?? 2000);
const backend = createServer((_request, response) => response.end('ok')).listen(0, '127.0.0.1');
await once(backend, 'listening');
const scenario = await startScenario({
  services: [{ name: 'app', protocol: 'HTTP', ports: [(backend.address() as AddressInfo).port] }],
  sallyport: { workers: 1, limits: { connectionsPerAddress: count + 100 } },
});
const sockets: TLSSocket[] = [];
await grow(100); // what the first connections load and compile is not theirs
const before = residentKiB();
await grow(count);
const after = residentKiB();
console.log(`${before / 1024} MiB with 100 connections, ${after / 1024} MiB with ${count}`);
console.log(`${((after - before) / (count - 100)).toFixed(1)} KiB a connection`);
for (const socket of sockets) socket.destroy();
await scenario.stop();
backend.close();

async function grow(to: number): Promise<void> {
  while (sockets.length < to) sockets.push(...(await Promise.all(Array.from({ length: BATCH }, open))));
  await sleep(2000);
}

async function open(): Promise<TLSSocket> {
  const socket = connect({
    port: scenario.port,
    host: '127.0.0.1',
    servername: 'localhost',
    rejectUnauthorized: false,
  });
  await once(socket, 'secureConnect');
  return socket;
}

function residentKiB(): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${scenario.proxy.pid}/status`, 'utf8'))?.[1]);
}
