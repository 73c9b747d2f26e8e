// The least that node:https (and node:http2) with undici can be: no routing, no checks, no log. What the platform itself costs.
import http2 from 'node:http2';
import { createServer } from 'node:https';
import { type Dispatcher, Pool } from 'undici';
import { readSettings } from './settings.ts';

const { port, h2Port, serverTls, backendTls, backendOrigin } = readSettings();
const pool = new Pool(backendOrigin, {
  connect: backendTls,
  connections: 256,
  allowH2: false,
  keepAliveTimeout: 600_000,
});

createServer({ ...serverTls, ALPNProtocols: ['http/1.1'] }, (request, response) => {
  const headers: string[] = [];
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    const name = request.rawHeaders[i]!.toLowerCase();
    if (name !== 'host' && name !== 'connection') headers.push(name, request.rawHeaders[i + 1]!);
  }
  forward(request.method!, request.url!, headers, {
    head: (status, responseHeaders) => response.writeHead(status, responseHeaders),
    write: (chunk) => response.write(chunk),
    onDrain: (resume) => response.once('drain', resume),
    end: () => response.end(),
    fail: () => response.destroy(),
  });
}).listen(port, '127.0.0.1');

const h2 = http2.createSecureServer(serverTls);
h2.on('stream', (stream: http2.ServerHttp2Stream, requestHeaders) => {
  const headers: string[] = [];
  for (const name of Object.keys(requestHeaders)) {
    if (!name.startsWith(':')) headers.push(name, String(requestHeaders[name]));
  }
  forward(requestHeaders[':method']!, requestHeaders[':path']!, headers, {
    head(status, responseHeaders) {
      const out: string[] = [':status', String(status)];
      for (let i = 0; i < responseHeaders.length; i += 2) {
        if (responseHeaders[i] !== 'connection') out.push(responseHeaders[i]!, responseHeaders[i + 1]!);
      }
      stream.respond(out as never);
    },
    write: (chunk) => stream.write(chunk),
    onDrain: (resume) => stream.once('drain', resume),
    end: () => stream.end(),
    fail: () => stream.destroy(),
  });
});
h2.listen(h2Port, '127.0.0.1');

interface Answer {
  head(status: number, headers: string[]): void;
  write(chunk: Buffer): boolean;
  onDrain(resume: () => void): void;
  end(): void;
  fail(): void;
}

/** Bodies of requests are not needed by any row. */
function forward(method: string, path: string, headers: string[], answer: Answer): void {
  const handler: Dispatcher.DispatchHandler = {
    onRequestStart() {},
    onResponseStart(controller, status) {
      const raw = controller.rawHeaders as Buffer[];
      const list: string[] = [];
      for (let i = 0; i < raw.length; i += 2) {
        const name = raw[i]!.toString('latin1').toLowerCase();
        if (name !== 'connection') list.push(name, raw[i + 1]!.toString('latin1'));
      }
      answer.head(status, list);
    },
    onResponseData(controller, chunk) {
      if (answer.write(chunk)) return;
      controller.pause();
      answer.onDrain(() => controller.resume());
    },
    onResponseEnd: () => answer.end(),
    onResponseError: () => answer.fail(),
  };
  pool.dispatch({ method: method as Dispatcher.HttpMethod, path, headers }, handler);
}
