// The words of spec 2.8 as an operator meets them: one request each against a whole process, and the line that it leaves.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { freePort } from '../harness/free-port.ts';
import { chainPem, testPki } from '../harness/pki.ts';
import type { LogLine } from '../harness/run-sallyport.ts';
import { type Scenario, startScenario } from '../harness/scenario.ts';

let scenario: Scenario;
let plainPort: number;
const seen = new Set<string>();
const sockets = new Set<Socket>();
const waiting: (() => void)[] = [];

/** What the backend does, by the last word of the path; nothing for any other. */
const ANSWERS: Readonly<Record<string, { readonly text: string; readonly ends: boolean }>> = {
  ok: { text: 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok', ends: false },
  reset: { text: '', ends: true },
  partial: { text: 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc', ends: true },
  unfinished: { text: 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc', ends: false },
  corrupt: { text: 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n', ends: false },
  framing: { text: 'HTTP/1.1 200 OK\r\ncontent-length: 1, 2\r\n\r\nabc', ends: false },
  long: { text: `HTTP/1.1 200 OK\r\nx: ${'v'.repeat(140_000)}\r\n\r\n`, ends: false },
  early: { text: 'HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno', ends: false },
  continued: { text: 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n', ends: false },
  socket: { text: 'HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno', ends: false },
};

const backend = createServer((socket) => {
  sockets.add(socket.on('close', () => sockets.delete(socket)).on('error', () => {}));
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    const path = /^[A-Z]+ (\/\S*) HTTP[\s\S]*\r\n\r\n/.exec(text)?.[1];
    if (path === undefined) return;
    text = '';
    seen.add(path);
    for (const wake of waiting.splice(0)) wake();
    const answer = ANSWERS[path.slice(path.lastIndexOf('/') + 1)];
    if (answer === undefined) return;
    if (answer.ends) socket.end(answer.text);
    else socket.write(answer.text);
  });
});
let withoutHttp2: ReturnType<typeof createTlsServer>;

beforeAll(async () => {
  const pki = await testPki();
  withoutHttp2 = createTlsServer({
    cert: chainPem(pki.server, pki.issuing),
    key: pki.server.privateKeyPem,
    ALPNProtocols: ['http/1.1'],
  });
  withoutHttp2.on('tlsClientError', () => {}).on('secureConnection', (socket) => socket.on('error', () => {}));
  const [raw, tls] = [backend, withoutHttp2].map((server) => server.listen(0, '127.0.0.1'));
  await Promise.all([once(raw!, 'listening'), once(tls!, 'listening')]);
  const port = (backend.address() as AddressInfo).port;
  scenario = await startScenario({
    services: [
      { name: 'site', protocol: 'HTTP', ports: [port] },
      { name: 'busy', protocol: 'HTTP', ports: [port] },
      { name: 'gone', protocol: 'HTTP', ports: [await freePort()] },
      { name: 'old', protocol: 'HTTP2', ports: [(withoutHttp2.address() as AddressInfo).port] },
    ],
    sallyport: { limits: { concurrentRequestsPerAddress: 2 } },
  });
  plainPort = await freePort();
  const configuration = JSON.parse(await readFile(scenario.configFile, 'utf8')) as Written;
  configuration.forwardingRules.push({
    name: 'plain',
    IPAddress: '127.0.0.1',
    portRange: String(plainPort),
    target: 'targetHttpProxies/plain',
  });
  configuration['targetHttpProxies'] = [{ name: 'plain', urlMap: 'web' }];
  configuration.urlMaps[0]!.pathMatchers[0]!['pathRules'] = [
    { paths: ['/moved'], urlRedirect: { pathRedirect: '/there', redirectResponseCode: 'FOUND' } },
    { paths: ['/slow'], service: 'site', routeAction: { timeout: '0.2s' } },
  ];
  configuration.backendServices[1]!['circuitBreakers'] = { maxRequests: 1 };
  await scenario.rewrite(JSON.stringify(configuration));
  scenario.proxy.signal('SIGHUP');
  await scenario.proxy.waitForLog((line) => line.msg === 'reloaded');
});

afterAll(async () => {
  await scenario?.stop();
  for (const socket of sockets) socket.destroy();
  backend.close();
  withoutHttp2.close();
});

interface Written extends Record<string, unknown> {
  readonly forwardingRules: object[];
  readonly backendServices: Record<string, unknown>[];
  readonly urlMaps: { readonly pathMatchers: Record<string, unknown>[] }[];
}

/** Sends the text and gives the response, to the end of the connection or of what the test waits for. */
async function ask(text: string, last = ''): Promise<string> {
  const socket = open(text);
  let received = '';
  await new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
      if (last !== '' && received.includes(last)) resolve();
    });
    socket.on('close', () => resolve());
  });
  socket.destroy();
  return received;
}

function open(text: string): Socket {
  const socket = connect(plainPort, '127.0.0.1').on('error', () => {});
  socket.write(text, 'latin1');
  return socket;
}

async function untilBackendHas(path: string): Promise<void> {
  while (!seen.has(path)) await new Promise<void>((resolve) => waiting.push(resolve));
}

/** The one request line that has this word, for this path where one is known. */
async function lineOf(word: string, path = ''): Promise<LogLine> {
  return await scenario.proxy.waitForLog((line) => {
    const request = line['httpRequest'] as { requestUrl?: string } | undefined;
    return line.msg === 'request' && line['statusDetails'] === word && (request?.requestUrl ?? '').endsWith(path);
  });
}

const head = (line: string, fields = '', host = 'site.proxy.test') =>
  `${line} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${fields}\r\n`;
const WEBSOCKET = 'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
const upgrading = (method: string, path: string) =>
  `${method} ${path} HTTP/1.1\r\nHost: site.proxy.test\r\nConnection: upgrade\r\n${WEBSOCKET}\r\n`;

describe('a refusal has a line', () => {
  test.each<[word: string, status: number, text: string]>([
    ['headers_too_long', 413, head('GET /', `x: ${'v'.repeat(70_000)}\r\n`)],
    ['invalid_request_headers', 400, head('GET /', 'Host: other\r\n')],
    ['failed_parsing_client_headers', 400, 'G@T\r\n\r\n'],
    ['http_version_not_supported', 400, 'GET / HTTP/2.0\r\nHost: site.proxy.test\r\n\r\n'],
    ['unsupported_method', 400, head('FOO /')],
    ['unsupported_100_continue', 400, head('POST /', 'Expect: tea\r\nContent-Length: 1\r\n')],
    ['upgrade_header_rejected', 400, upgrading('POST', '/')],
    ['secure_url_rejected', 400, head('GET https://site.proxy.test/')],
    ['body_not_allowed', 400, head('TRACE /', 'Content-Length: 1\r\n')],
    ['request_loop_detected', 502, head('GET /', `Via: ${Array(5).fill('1.1 sallyport').join(', ')}\r\n`)],
    ['config_not_found', 404, head('OPTIONS *')],
    ['failed_to_connect_to_backend', 502, head('GET /gone', '', 'gone.proxy.test')],
    ['failed_to_negotiate_alpn', 502, head('GET /old', '', 'old.proxy.test')],
  ])('%s', async (word, status, text) => {
    await ask(text); // the response may be lost where the rest of the request was not read: RST
    expect(await lineOf(word)).toMatchObject({ statusDetails: word, httpRequest: { status } });
  });

  test('invalid_chunk_framing, met in the body', async () => {
    await ask(`${head('POST /chunks', 'Transfer-Encoding: chunked\r\n')}zz\r\n`);
    expect(await lineOf('invalid_chunk_framing', '/chunks')).toMatchObject({ httpRequest: { status: 400 } });
  });

  test.each<[word: string, fields: Record<string, string>]>([
    ['invalid_http2_client_header_format', { content_length: '1' }],
    ['invalid_http2_client_request_path', { ':path': '/a#b' }],
  ])('%s', async (word, fields) => {
    const session = connectHttp2(scenario.url, { ca: await readFile(scenario.rootFile) });
    const stream = session.request({ ':path': '/', ...fields }).on('error', () => {});
    const [headers] = (await once(stream, 'response')) as [{ ':status': number }];
    expect(headers[':status']).toBe(400);
    session.close();
    stream.close();
    expect(await lineOf(word)).toMatchObject({ httpRequest: { status: 400, protocol: 'HTTP/2' } });
  });

  test('throttled_by_security_policy, for the third of two at a time, and failed_to_pick_backend', async () => {
    const [first, second] = [open(head('GET /one', '', 'busy.proxy.test')), open(head('GET /two'))];
    await Promise.all([untilBackendHas('/one'), untilBackendHas('/two')]);
    expect(await ask(head('GET /three'))).toMatch(/^HTTP\/1\.1 429 [\s\S]*retry-after: 1\r\n/i);
    expect(await lineOf('throttled_by_security_policy', '/three')).toMatchObject({
      httpRequest: { status: 429 },
      detail: expect.stringMatching(/^client_concurrency_exceeded/),
    });
    second.resetAndDestroy();
    await lineOf('client_disconnected_before_any_response', '/two');
    expect(await ask(head('GET /four', '', 'busy.proxy.test'))).toMatch(/^HTTP\/1\.1 503 [\s\S]*retry-after: 1\r\n/i);
    expect(await lineOf('failed_to_pick_backend', '/four')).toMatchObject({
      httpRequest: { status: 503 },
      detail: expect.stringMatching(/^backend_request_limit_reached/),
    });
    first.resetAndDestroy();
    await lineOf('client_disconnected_before_any_response', '/one');
  });
});

describe('a redirect has a line', () => {
  test.each([
    ['of a path with dot segments', '/a/../b', '/b'],
    ['of the URL map', '/moved', '/there'],
  ])('%s', async (_what, path, to) => {
    expect(await ask(head(`GET ${path}`))).toMatch(
      new RegExp(`^HTTP/1\\.1 302 [\\s\\S]*location: \\S*${to}\\r\\n`, 'i'),
    );
    expect(await lineOf('direct_response', path)).toMatchObject({ httpRequest: { status: 302 } });
  });
});

describe('what a backend does has a line', () => {
  test.each<[word: string, status: number, text: string]>([
    ['response_sent_by_backend', 200, head('GET /ok')],
    ['backend_connection_closed_before_data_sent_to_client', 502, head('GET /reset')],
    ['backend_connection_closed_after_partial_response_sent', 200, head('GET /partial')],
    ['backend_response_corrupted', 502, head('GET /framing')],
    ['backend_response_corrupted', 200, head('GET /corrupt')],
    ['backend_response_headers_too_long', 502, head('GET /long')],
    ['backend_interim_response_not_supported', 502, head('GET /continued')],
    ['aborted_request_due_to_backend_early_response', 403, `${head('POST /early', 'Content-Length: 9\r\n')}abc`],
    ['websocket_handshake_failed', 403, upgrading('GET', '/socket')],
    ['backend_timeout', 504, head('GET /slow')],
  ])('%s, with status %d', async (word, status, text) => {
    await ask(text, '\r\n\r\nno');
    const path = text.slice(text.indexOf('/'), text.indexOf(' HTTP'));
    expect(await lineOf(word, path)).toMatchObject({ statusDetails: word, httpRequest: { status } });
  });
});

describe('a request that its client abandoned is 499, and no fault of a backend', () => {
  const abandoned = { statusDetails: 'client_disconnected_before_any_response', httpRequest: { status: 499 } };

  test.each(['plain', 'tls'])('over HTTP/1.1, %s', async (door) => {
    const path = `/left-${door}`;
    const socket = connect(door === 'plain' ? plainPort : scenario.port, '127.0.0.1').on('error', () => {});
    const client = door === 'plain' ? socket : connectTls({ socket, rejectUnauthorized: false }).on('error', () => {});
    client.write(head(`GET ${path}`));
    await untilBackendHas(path);
    socket.resetAndDestroy(); // FIN would say no more than that no other request will come
    const line = await lineOf('client_disconnected_before_any_response', path);
    expect(line).toMatchObject(abandoned);
    expect(line['proxyStatus'] ?? null).toBeNull();
  });

  test('over HTTP/1.1, with a body that was still to come', async () => {
    const socket = open(head('POST /left-body', 'Content-Length: 10\r\n'));
    socket.write('abc');
    await untilBackendHas('/left-body');
    socket.destroy(); // even FIN: the body lacks a part
    expect(await lineOf('client_disconnected_before_any_response', '/left-body')).toMatchObject(abandoned);
  });

  test.each(['the stream', 'the connection'])('over HTTP/2, by the end of %s', async (what) => {
    const path = `/left-${what.slice(4)}`;
    const session = connectHttp2(scenario.url, { ca: await readFile(scenario.rootFile) }).on('error', () => {});
    const stream = session.request({ ':path': path }).on('error', () => {});
    await untilBackendHas(path);
    if (what === 'the stream') stream.close(8);
    else session.destroy();
    const line = await lineOf('client_disconnected_before_any_response', path);
    expect(line).toMatchObject(abandoned);
    expect(line['proxyStatus'] ?? null).toBeNull();
    session.destroy();
  });

  test('after a part of the response it is the client too, with the status that was sent', async () => {
    const socket = open(head('GET /unfinished'));
    await once(socket, 'data');
    socket.resetAndDestroy();
    const line = await lineOf('client_disconnected_after_partial_response', '/unfinished');
    expect(line).toMatchObject({ httpRequest: { status: 200 } });
  });
});
