// `node bench/worker-scheduling.ts`: how node:cluster hands connections to two workers (docs/decisions/0009-workers.md). Three questions,
// per policy: how evenly are 64 connections spread that stay open; what does accepting one cost; what becomes of those that knock while a
// worker is busy and then leaves. Prints one JSON line per policy.
import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

const WORKERS = 2;
const HELD = 64;
const SEQUENTIAL = 2000;
const KNOCKING = 40;

if (cluster.isPrimary) await measure();
else serve();

async function measure(): Promise<void> {
  for (const [name, policy] of [
    ['SCHED_RR', cluster.SCHED_RR],
    ['SCHED_NONE', cluster.SCHED_NONE],
  ] as const) {
    cluster.schedulingPolicy = policy;
    cluster.setupPrimary({ execArgv: [] });
    const fairness: string[] = [];
    const lost: string[] = [];
    let cpuUs = 0;
    for (let round = 0; round < 3; round++) {
      const { workers, port } = await start();
      fairness.push((await heldConnections(workers, port)).join('/'));
      cpuUs = await costPerConnection(workers, port);
      lost.push(await lostWhenOneLeaves(workers, port));
      for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGKILL');
      while (Object.keys(cluster.workers ?? {}).length > 0) await once(cluster, 'exit');
    }
    console.log(
      JSON.stringify({ policy: name, held: fairness, cpuUsPerConnection: Math.round(cpuUs), lostOf40: lost }),
    );
  }
}

async function start(): Promise<{ workers: readonly Worker[]; port: number }> {
  const workers = Array.from({ length: WORKERS }, () => cluster.fork());
  const addresses = await Promise.all(workers.map((worker) => once(worker, 'listening')));
  return { workers, port: (addresses[0] as [{ port: number }])[0].port };
}

async function heldConnections(workers: readonly Worker[], port: number): Promise<readonly number[]> {
  const sockets = await Promise.all(Array.from({ length: HELD }, () => greeted(port)));
  const counts = await Promise.all(workers.map((worker) => ask(worker, 'count')));
  for (const socket of sockets) socket.destroy();
  return counts;
}

/** User and system time of all processes but the client's part, which is the same under both policies. */
async function costPerConnection(workers: readonly Worker[], port: number): Promise<number> {
  const before = await cpu(workers);
  for (let i = 0; i < SEQUENTIAL; i++) (await greeted(port)).destroy();
  return ((await cpu(workers)) - before) / SEQUENTIAL;
}

async function cpu(workers: readonly Worker[]): Promise<number> {
  const own = process.cpuUsage();
  let sum = own.user + own.system;
  for (const worker of workers) sum += await ask(worker, 'cpu');
  return sum;
}

/** One worker blocks its loop for a second and closes its listening socket after it; meanwhile clients connect. */
async function lostWhenOneLeaves(workers: readonly Worker[], port: number): Promise<string> {
  workers[0]?.send('block and leave');
  await new Promise((resolve) => setTimeout(resolve, 100));
  const results = await Promise.allSettled(Array.from({ length: KNOCKING }, () => greeted(port)));
  const lost = results.filter(({ status }) => status === 'rejected').length;
  return String(lost);
}

async function greeted(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.setTimeout(5000, () => reject(new Error('no greeting')));
  socket.once('data', () => resolve());
  socket.once('error', reject);
  socket.once('close', () => reject(new Error('closed')));
  await promise;
  return socket;
}

async function ask(worker: Worker, question: string): Promise<number> {
  worker.send(question);
  const [answer] = (await once(worker, 'message')) as [number];
  return answer;
}

function serve(): void {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
    socket.write('.');
  }).listen(0, '127.0.0.1');
  process.on('message', (question) => {
    if (question === 'count') process.send?.(open.size);
    else if (question === 'cpu') process.send?.(process.cpuUsage().user + process.cpuUsage().system);
    else {
      const untilMs = performance.now() + 1000;
      while (performance.now() < untilMs);
      server.close();
    }
  });
}
