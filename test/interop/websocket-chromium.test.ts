// Chromium opens wss:// through a running proxy, over HTTP/2 (RFC 8441) and over HTTP/1.1, and gets back what it sends.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { WebSocketServer } from 'ws';
import { type Scenario, startScenario } from '../harness/scenario.ts';
import { dumpDom, trustingKeyOf } from './chromium.ts';

// The page reports into its DOM; the image keeps `load`, and with that --dump-dom, waiting until it has.
const PAGE = `<!doctype html><p id="result">unfinished</p><img src="/hold"><script>
const result = document.getElementById('result');
const socket = new WebSocket('wss://' + location.host + '/echo', 'second');
socket.binaryType = 'arraybuffer';
const large = new Uint8Array(700000).map((_, i) => i % 251);
const seen = [];
function finish(text) { result.textContent = text; fetch('/done'); }
socket.onopen = () => { seen.push(socket.protocol); socket.send('hello'); };
socket.onmessage = ({ data }) => {
  if (typeof data === 'string') { seen.push(data); socket.send(large); return; }
  const back = new Uint8Array(data);
  seen.push(back.length, back.every((byte, i) => byte === large[i]));
  socket.close(4003);
};
socket.onclose = ({ code, wasClean }) => finish([...seen, code, wasClean].join(' '));
</script>`;

let scenario: Scenario;
let server: Server;
let webSockets: WebSocketServer;
const held: ServerResponse[] = [];
beforeAll(async () => {
  server = createServer((request, response) => {
    if (request.url === '/hold') {
      held.push(response);
      return;
    }
    if (request.url === '/done') for (const waiting of held.splice(0)) waiting.end();
    response.setHeader('content-type', 'text/html');
    response.end(request.url?.startsWith('/page') === true ? PAGE : '');
  });
  webSockets = new WebSocketServer({ server, handleProtocols: (offered) => [...offered].at(-1) ?? false });
  webSockets.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data as Buffer, { binary: isBinary }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  scenario = await startScenario({ services: [{ name: 'site', protocol: 'HTTP', ports: [port] }] });
});
afterAll(async () => {
  await scenario?.stop();
  webSockets?.close();
  server?.closeAllConnections();
  server?.close();
});

test.each([
  ['HTTP/2', [] as readonly string[]],
  ['HTTP/1.1', ['--disable-http2']],
] as const)('over %s: text and 700 kB of binary, a subprotocol, a close code', async (protocol, args) => {
  const page = `page-${protocol.at(-1)}`;
  const trusting = trustingKeyOf(readFileSync(join(scenario.folder, 'front.crt')));
  const dom = await dumpDom(`${scenario.url}/${page}`, scenario.folder, `profile-${page}`, [trusting, ...args]);
  expect(dom).toContain('<p id="result">second hello 700000 true 4003 true</p>');
  const line = await scenario.proxy.waitForLog((entry) => {
    const request = entry['httpRequest'] as { requestUrl?: string; protocol?: string } | undefined;
    return request?.requestUrl?.endsWith('/echo') === true && request.protocol === protocol;
  });
  expect(line).toMatchObject({ statusDetails: 'websocket_closed', httpRequest: { status: 101, protocol } });
});
