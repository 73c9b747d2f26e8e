// Clients that others check HTTP with: h2load, nghttp and curl in every way that they can ask, over TLS and plain.
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { gzipSync } from 'node:zlib';
import { freePort } from '../harness/free-port.ts';
import { runTool, type ToolResult } from '../harness/run-tool.ts';
import { type Scenario, startScenario } from '../harness/scenario.ts';

const PAGE = 'page '.repeat(20_000); // over an initial window of 65 535 bytes, so that WINDOW_UPDATE must be sent
const ZIPPED = gzipSync(PAGE);

let backend: Server;
let scenario: Scenario;
let plainUrl: string;
let plainPort: number;

beforeAll(async () => {
  backend = createServer(
    { keepAliveTimeout: 60_000 },
    (request, response) =>
      void answer(request).then((body) => {
        const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
        const isZipped = request.headers['accept-encoding']?.includes('gzip') === true && request.url === '/page';
        if (range !== null) {
          const [from, to] = [Number(range[1]), Number(range[2])];
          response.writeHead(206, { 'content-range': `bytes ${from}-${to}/${body.length}` });
          response.end(body.subarray(from, to + 1));
        } else if (isZipped) {
          response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': ZIPPED.length });
          response.end(ZIPPED);
        } else if (request.url === '/trailers') {
          response.writeHead(200, { trailer: 'x-checksum' });
          response.write(body);
          response.addTrailers({ 'x-checksum': 'abc' });
          response.end();
        } else {
          response.writeHead(200, { 'content-length': body.length });
          response.end(request.method === 'HEAD' ? undefined : body);
        }
      }),
  );
  backend.listen(0, '127.0.0.1');
  await once(backend, 'listening');
  const { port } = backend.address() as AddressInfo;
  scenario = await startScenario({ services: [{ name: 'site', protocol: 'HTTP', ports: [port] }] });
  plainPort = await freePort();
  plainUrl = `http://127.0.0.1:${plainPort}`;
  const configuration = JSON.parse(await readFile(scenario.configFile, 'utf8')) as Record<string, object[]>;
  const address = { IPAddress: '127.0.0.1', portRange: String(plainPort) };
  configuration['forwardingRules']!.push({ name: 'plain', ...address, target: 'targetHttpProxies/plain' });
  configuration['targetHttpProxies'] = [{ name: 'plain', urlMap: 'web' }];
  await scenario.rewrite(JSON.stringify(configuration));
  await scenario.proxy.waitForLog(({ msg }) => msg === 'reloaded');
});

afterAll(async () => {
  await scenario?.stop();
  backend?.closeAllConnections();
  backend?.close();
});

/** A page, or what was sent: how long it was, how it was framed, and what else the backend saw. */
async function answer(request: IncomingMessage): Promise<Buffer> {
  let bytes = 0;
  for await (const chunk of request) bytes += (chunk as Buffer).length;
  if (request.method !== 'POST' && request.method !== 'PUT') return Buffer.from(PAGE);
  const { 'content-length': length = null, 'transfer-encoding': coding = null, expect = null } = request.headers;
  return Buffer.from(JSON.stringify({ bytes, length, coding, expect }));
}

describe('h2load', () => {
  test.each([
    ['over TLS', () => scenario.url, 'h2', []],
    ['in the clear with prior knowledge', () => plainUrl, 'h2c', []],
    ['with uploads', () => scenario.url, 'h2', ['-d', import.meta.filename]],
    ['with windows of 1 KiB', () => scenario.url, 'h2', ['-w', '10', '-W', '10']],
    ['with HTTP/1.1 over TLS', () => scenario.url, 'http/1.1', ['--h1', '-m', '20']],
    ['with HTTP/1.1 in the clear', () => plainUrl, 'http/1.1', ['--h1', '-m', '20']],
  ] as const)('%s: every request of many streams on many connections succeeds', async (_name, url, protocol, args) => {
    const requests = 500;
    const { stdout, exitCode } = await tool('h2load', [
      '-n',
      String(requests),
      '-c',
      '10',
      '-m',
      '50',
      ...args,
      `${url()}/load`,
    ]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`Application protocol: ${protocol}`);
    expect(stdout).toContain(
      `requests: ${requests} total, ${requests} started, ${requests} done, ${requests} succeeded, 0 failed, 0 errored, 0 timeout`,
    );
    expect(stdout).toContain(`status codes: ${requests} 2xx, 0 3xx, 0 4xx, 0 5xx`);
  });
});

describe('nghttp', () => {
  test.each([
    ['over TLS', () => scenario.url],
    ['in the clear', () => plainUrl],
  ] as const)('%s: SETTINGS first and acknowledged, HEADERS before DATA, END_STREAM last', async (_name, url) => {
    const { stdout } = await nghttp('-nv', `${url()}/frames`);
    const received = framesOf(stdout, 'recv');
    expect(received[0]).toMatch(/^SETTINGS .*stream_id=0/);
    expect(received.filter((frame) => /^SETTINGS .*flags=0x01/.test(frame))).toHaveLength(1);
    const ofStream = received.filter((frame) => /stream_id=(?!0>)/.test(frame) && !frame.startsWith('WINDOW_UPDATE'));
    expect(ofStream[0]).toMatch(/^HEADERS /);
    expect(ofStream.slice(1).every((frame) => frame.startsWith('DATA '))).toBe(true);
    expect(ofStream.filter((frame) => (Number(/flags=(0x\w+)/.exec(frame)![1]) & 1) === 1)).toEqual([ofStream.at(-1)]);
    const lengths = ofStream.slice(1).map((frame) => Number(/length=(\d+)/.exec(frame)![1]));
    expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(PAGE.length);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(16_384);
    expect(stdout).toMatch(/recv \(stream_id=\d+\) :status: 200/);
    expect(received.some((frame) => /^(RST_STREAM|GOAWAY)/.test(frame))).toBe(false);
  });

  test('an upload over the initial window goes on by our WINDOW_UPDATE', async () => {
    await upload(1_000_000);
    const { stdout } = await nghttp(
      '-v',
      '-H',
      ':method: POST',
      '-d',
      join(scenario.folder, 'upload'),
      `${scenario.url}/upload`,
    );
    expect(framesOf(stdout, 'recv').some((frame) => frame.startsWith('WINDOW_UPDATE '))).toBe(true);
    expect(stdout).toContain('"bytes":1000000');
    expect(stdout).toMatch(/recv \(stream_id=\d+\) :status: 200/);
  });

  test('trailers come as HEADERS that end the stream', async () => {
    const { stdout } = await nghttp('-nv', `${scenario.url}/trailers`);
    expect(stdout).toContain('x-checksum: abc');
    const heads = framesOf(stdout, 'recv').filter((frame) => frame.startsWith('HEADERS '));
    expect(heads).toHaveLength(2);
    expect(Number(/flags=(0x\w+)/.exec(heads[1]!)![1]) & 1).toBe(1);
  });

  test('request trailers do not disturb the request', async () => {
    await upload(10);
    const { stdout } = await nghttp(
      '-v',
      '-H',
      ':method: POST',
      '--trailer',
      'x-late: 1',
      '-d',
      join(scenario.folder, 'upload'),
      `${scenario.url}/upload`,
    );
    expect(stdout).toContain('"bytes":10');
  });

  test('many URIs, each many times, on one connection', async () => {
    const uris = ['a', 'b', 'c'].map((name) => `${scenario.url}/${name}`);
    const { stdout } = await nghttp('-nv', '-m', '20', ...uris);
    expect(stdout.match(/recv \(stream_id=\d+\) :status: 200/g)).toHaveLength(60);
    expect(stdout.match(/Connected/g)).toHaveLength(1);
  });
});

describe('curl', () => {
  test.each([
    ['--http2', () => scenario.url, '2'],
    ['--http2-prior-knowledge', () => scenario.url, '2'],
    ['--http2-prior-knowledge', () => plainUrl, '2'],
    ['--http2', () => plainUrl, '1.1'], // an upgrade to h2c is not taken (RFC 9113 has none)
    ['--http1.1', () => scenario.url, '1.1'],
    ['--http1.1', () => plainUrl, '1.1'],
    ['--http1.0', () => plainUrl, '1.1'], // answered by a server that speaks 1.1 (RFC 9110 section 6.2)
  ] as const)('%s (%#): the page, whole', async (version, url, spoken) => {
    const { stdout } = await curl(version, '-w', '\n%{http_version} %{http_code}', `${url()}/versions`);
    expect(stdout).toBe(`${PAGE}\n${spoken} 200`);
  });

  test('--http1.0 over TLS, without the ALPN name for it, which is not served', async () => {
    const { stdout } = await curl('--http1.0', '--no-alpn', '-w', '\n%{http_code}', `${scenario.url}/old`);
    expect(stdout).toBe(`${PAGE}\n200`);
  });

  describe.each(['--http1.1', '--http2'] as const)('%s', (version) => {
    test('-T -: an upload of unknown length', async () => {
      const { stdout } = await curlWith('x'.repeat(200_000), version, '-T', '-', `${scenario.url}/put`);
      expect(JSON.parse(stdout)).toEqual({ bytes: 200_000, length: null, coding: 'chunked', expect: null });
    });

    test('an upload that waits for 100 Continue, which the backend never sees', async () => {
      await upload(2_000_000);
      const file = join(scenario.folder, 'upload');
      const { stdout } = await curl(
        version,
        '-H',
        'Expect: 100-continue',
        '--expect100-timeout',
        '60',
        '-T',
        file,
        `${scenario.url}/put`,
      );
      expect(JSON.parse(stdout)).toEqual({ bytes: 2_000_000, length: '2000000', coding: null, expect: null });
    });

    test('several uploads one after the other on one connection', async () => {
      await upload(100_000);
      const file = join(scenario.folder, 'upload');
      const one = ['-T', file, `${scenario.url}/put`];
      const { stdout } = await curl(version, '-w', '\n%{num_connects}\n', ...one, ...one, ...one);
      const lines = stdout.trim().split('\n');
      expect(lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line).bytes)).toEqual([
        100_000, 100_000, 100_000,
      ]);
      expect(lines.filter((line) => /^\d$/.test(line))).toEqual(['1', '0', '0']);
    });

    test('HEAD has the head of GET and no body', async () => {
      const { stdout } = await curl(version, '-I', `${scenario.url}/page-head`);
      expect(stdout).toMatch(/^HTTP\/\S+ 200/);
      expect(stdout.toLowerCase()).toContain(`content-length: ${PAGE.length}`);
      expect(stdout).not.toContain('page page');
    });

    test('Range is passed, and the 206 comes back', async () => {
      const { stdout } = await curl(version, '-r', '5-9', '-w', '\n%{http_code}', `${scenario.url}/range`);
      expect(stdout).toBe(`${PAGE.slice(5, 10)}\n206`);
    });

    test('--compressed is passed, and the body comes as the backend wrote it', async () => {
      const { stdout } = await curl(version, '--compressed', '-w', '\n%{size_download}', `${scenario.url}/page`);
      expect(stdout).toBe(`${PAGE}\n${ZIPPED.length}`);
    });
  });

  test('many requests in parallel over HTTP/2', async () => {
    const { stdout } = await curl(
      '--http2',
      '-Z',
      '--parallel-immediate',
      '--no-progress-meter',
      '-w',
      '\nstatus %{http_code}\n',
      ...Array.from({ length: 100 }, (_, i) => `${scenario.url}/${i}`),
    );
    expect(stdout.match(/status 200$/gm)).toHaveLength(100);
  });

  test('HTTP/0.9 is refused', async () => {
    const socket = connect(plainPort, '127.0.0.1');
    socket.end('GET /old\r\n');
    let text = '';
    socket.on('data', (chunk) => (text += String(chunk)));
    await once(socket, 'close');
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(text).not.toContain('page');
  });
});

async function upload(bytes: number): Promise<void> {
  await writeFile(join(scenario.folder, 'upload'), 'u'.repeat(bytes));
}

async function tool(command: string, args: readonly string[], input = ''): Promise<ToolResult> {
  return runTool(command, args, { input, timeoutMs: 90_000 });
}

async function nghttp(...args: string[]): Promise<ToolResult> {
  const result = await tool('nghttp', ['--no-dep', ...args]);
  expect(result.exitCode).toBe(0);
  return result;
}

async function curl(...args: string[]): Promise<ToolResult> {
  return curlWith('', ...args);
}

async function curlWith(input: string, ...args: string[]): Promise<ToolResult> {
  const result = await tool('curl', ['-sS', '-g', '--max-time', '60', '--cacert', scenario.rootFile, ...args], input);
  expect(result).toMatchObject({ exitCode: 0, stderr: '' });
  return result;
}

/** `SETTINGS frame <length=…, flags=…, stream_id=…>`, in the order of the wire. */
function framesOf(output: string, direction: 'recv' | 'send'): string[] {
  return [...stripVTControlCharacters(output).matchAll(new RegExp(`${direction} (\\w+ frame <[^>]*>)`, 'g'))].map(
    ([, frame]) => frame!,
  );
}
