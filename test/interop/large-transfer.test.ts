// 1 GiB each way past a slow reader: byte-exact, and memory that does not follow the size.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Scenario, startScenario } from '../harness/scenario.ts';

const GIB = 1024 ** 3;
const WARM_UP_BYTES = 256 * 1024 ** 2;
const ALLOWED_GROWTH_BYTES = 64 * 1024 ** 2;
const BLOCK = Buffer.alloc(64 * 1024, 'the quick brown fox jumps over the lazy dog; ');

describe('a gibibyte', () => {
  let scenario: Scenario;
  let ca: Buffer;
  const backend = createServer((incoming, response) => {
    if (incoming.method === 'PUT') {
      void slowDigest(incoming).then((digest) => response.end(digest));
      return;
    }
    const bytes = Number(new URL(incoming.url ?? '/', 'http://backend').searchParams.get('bytes'));
    response.setHeader('content-length', bytes);
    void sendBlocks(bytes, response).then(() => response.end());
  });

  beforeAll(async () => {
    backend.listen(0, '127.0.0.1');
    await once(backend, 'listening');
    const { port } = backend.address() as AddressInfo;
    scenario = await startScenario({ services: [{ name: 'bulk', protocol: 'HTTP', ports: [port], timeoutSec: 600 }] });
    ca = await readFile(scenario.rootFile);
  });

  afterAll(async () => {
    await scenario?.stop();
    backend.close();
    backend.closeAllConnections();
  });

  test('downloads byte for byte to a slow reader without growing', async () => {
    await download(WARM_UP_BYTES);
    const before = await residentBytes();
    expect(await download(GIB)).toBe(digestOfBlocks(GIB));
    expect((await residentBytes()) - before).toBeLessThan(ALLOWED_GROWTH_BYTES);
  }, 300_000);

  test('uploads byte for byte to a slow backend without growing', async () => {
    await upload(WARM_UP_BYTES);
    const before = await residentBytes();
    expect(await upload(GIB)).toBe(digestOfBlocks(GIB));
    expect((await residentBytes()) - before).toBeLessThan(ALLOWED_GROWTH_BYTES);
  }, 300_000);

  async function download(bytes: number): Promise<string> {
    const outgoing = request(`${scenario.url}/?bytes=${bytes}`, { ca, agent: false });
    outgoing.end();
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    return slowDigest(response);
  }

  async function upload(bytes: number): Promise<string> {
    const outgoing = request(`${scenario.url}/`, {
      ca,
      agent: false,
      method: 'PUT',
      headers: { 'content-length': bytes },
    });
    const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>;
    await sendBlocks(bytes, outgoing);
    outgoing.end();
    const [response] = await answered;
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString();
  }

  async function residentBytes(): Promise<number> {
    const status = await readFile(`/proc/${scenario.proxy.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
  }
});

/** Stops for a moment every 32 MiB, long enough for every buffer on the way to fill. */
async function slowDigest(body: IncomingMessage): Promise<string> {
  const hash = createHash('sha256');
  let untilPause = PAUSE_EVERY_BYTES;
  for await (const chunk of body) {
    hash.update(chunk as Buffer);
    untilPause -= (chunk as Buffer).length;
    if (untilPause > 0) continue;
    untilPause = PAUSE_EVERY_BYTES;
    await sleep(50);
  }
  return hash.digest('hex');
}

async function sendBlocks(bytes: number, stream: NodeJS.WritableStream): Promise<void> {
  for (let left = bytes; left > 0; left -= BLOCK.length) {
    if (!stream.write(left < BLOCK.length ? BLOCK.subarray(0, left) : BLOCK)) await once(stream, 'drain');
  }
}

function digestOfBlocks(bytes: number): string {
  const hash = createHash('sha256');
  for (let left = bytes; left > 0; left -= BLOCK.length)
    hash.update(left < BLOCK.length ? BLOCK.subarray(0, left) : BLOCK);
  return hash.digest('hex');
}

const PAUSE_EVERY_BYTES = 32 * 1024 ** 2;
