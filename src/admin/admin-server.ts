import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostPort } from '../base/host-port.ts';
import { isLoopback, isOwnHost } from './admin-host.ts';
import { listenOnSocket } from './admin-socket.ts';
import type { AdminSources } from './admin-sources.ts';
import { checkBearerToken } from './bearer-token.ts';
import { PAGE_HTML } from './page.ts';
import { PAGE_SCRIPT } from './page-script.ts';
import { PAGE_STYLE } from './page-style.ts';

export interface AdminSettings {
  readonly address: string;
  /** 0: any free one, see `AdminServer.address`. */
  readonly port: number;
  /** Host names that the Host header may have beside `localhost` and IP literals. */
  readonly hosts: readonly string[];
  readonly dangerExposeDetails: boolean;
  /** A UNIX socket, absolute, instead of address and port. */
  readonly socket?: string | undefined;
}

/**
 * Health, metrics and what there is to see, over plain HTTP, read-only. Its connection cap and timeouts are its own: nobody
 * who reaches it can take file descriptors from the proxy, and the proxy's load cannot keep a probe out.
 */
export class AdminServer {
  readonly #settings: AdminSettings;
  readonly #sources: AdminSources;
  readonly #token: () => string | null;
  readonly #server: Server;
  /** Off loopback only what probes and Prometheus need is served. */
  readonly #showsDetails: boolean;

  /** `token`: what everything but the probes asks for, read anew for each request (security rule 38); null: nothing is asked for. */
  constructor(settings: AdminSettings, sources: AdminSources, token: () => string | null) {
    this.#settings = settings;
    this.#sources = sources;
    this.#token = token;
    this.#showsDetails = settings.dangerExposeDetails || settings.socket !== undefined || isLoopback(settings.address);
    this.#server = createServer(SERVER_OPTIONS, (request, response) => void this.#answer(request, response));
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.setTimeout(SOCKET_TIMEOUT_MS);
  }

  /** Rejects with a message for the operator when the address cannot be bound. */
  async listen(): Promise<void> {
    const { address, port, socket } = this.#settings;
    try {
      if (socket === undefined) {
        this.#server.listen({ host: address, port });
        await once(this.#server, 'listening');
      } else await listenOnSocket(this.#server, socket);
    } catch (error) {
      const found = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
      throw new Error(
        `Cannot listen on ${this.address} (sallyport.admin): ${found}; stop what listens there, or change admin.${socket === undefined ? 'port' : 'socket'}`,
        { cause: error },
      );
    }
    this.#server.on('error', () => {}); // EMFILE while accepting: the connection is gone, the server is not
  }

  /** 'address:port' as bound, the configured one before listen(); the path of a UNIX socket. */
  get address(): string {
    const { address, port, socket } = this.#settings;
    if (socket !== undefined) return socket;
    const bound = this.#server.address() as AddressInfo | null;
    return bound === null ? hostPort(address, port) : hostPort(bound.address, bound.port);
  }

  /** Ends open connections too. Harmless before listen(). */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const answer = await this.#route(request);
      response.writeHead(answer.status, {
        ...SECURITY_HEADERS,
        'content-type': answer.contentType,
        'content-length': Buffer.byteLength(answer.body),
        ...(answer.status === 405 && { allow: 'GET, HEAD' }),
        ...(answer.challenge && { 'www-authenticate': answer.challenge }),
      });
      response.end(request.method === 'HEAD' ? undefined : answer.body);
    } catch {
      // A source failed: a defect of ours, whose text may hold anything.
      if (!response.headersSent) response.writeHead(500, { ...SECURITY_HEADERS, 'content-length': 0 });
      response.end();
    }
  }

  #route(request: IncomingMessage): Answer | Promise<Answer> {
    const hosts = valuesOf(request.rawHeaders, 'host');
    if (hosts.length !== 1 || !isOwnHost(hosts[0]!, this.#settings.address, this.#settings.hosts)) {
      return text(
        421,
        'The Host header is not one of this server: use an IP address, localhost or a name in sallyport.admin.hosts',
      );
    }
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return text(405, 'Only GET and HEAD: this server changes nothing');
    const path = (request.url ?? '').split('?', 1)[0]!;
    const probe = this.#probeRoute(path);
    if (probe !== null) return probe;
    const token = this.#token();
    const check = token === null ? 'right' : checkBearerToken(valuesOf(request.rawHeaders, 'authorization'), token);
    if (check !== 'right') return UNAUTHORIZED[check];
    if (path === '/metrics') return this.#metrics();
    if (!this.#showsDetails) {
      return text(
        403,
        'Served on loopback only; sallyport.admin.dangerExposeDetails shows it to everybody who can connect',
      );
    }
    return this.#detailRoute(path);
  }

  #probeRoute(path: string): Answer | null {
    if (path === '/livez') return text(200, 'ok');
    if (path === '/readyz') {
      const reasons = this.#sources.readiness();
      return json(reasons.length === 0 ? 200 : 503, { ready: reasons.length === 0, reasons });
    }
    return null;
  }

  async #metrics(): Promise<Answer> {
    const { contentType, text: body } = await this.#sources.metrics();
    return { status: 200, contentType, body };
  }

  async #detailRoute(path: string): Promise<Answer> {
    switch (path) {
      case '/':
        return { status: 200, contentType: 'text/html; charset=utf-8', body: PAGE_HTML };
      case '/page.css':
        return { status: 200, contentType: 'text/css; charset=utf-8', body: PAGE_STYLE };
      case '/page.js':
        return { status: 200, contentType: 'text/javascript; charset=utf-8', body: PAGE_SCRIPT };
      case '/config':
        return json(200, this.#sources.configuration());
      case '/certificates':
        return json(200, this.#sources.certificates());
      case '/backends':
        return json(200, await this.#sources.backends());
      case '/handshakes':
        return json(200, await this.#sources.handshakes());
      default:
        return text(404, 'Nothing here: / lists what there is');
    }
  }
}

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** WWW-Authenticate. */
  readonly challenge?: string;
}

function text(status: number, body: string): Answer {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${body}\n` };
}

function json(status: number, value: unknown): Answer {
  return { status, contentType: 'application/json; charset=utf-8', body: `${JSON.stringify(value, null, 2)}\n` };
}

function valuesOf(rawHeaders: readonly string[], name: string): readonly string[] {
  return rawHeaders.filter((_value, i) => i % 2 === 1 && rawHeaders[i - 1]!.toLowerCase() === name);
}

const TOKEN_WANTED = 'Send Authorization: Bearer with the token in the file that sallyport.admin.tokenFile names';
const UNAUTHORIZED = {
  absent: { ...text(401, TOKEN_WANTED), challenge: 'Bearer realm="sallyport"' },
  wrong: { ...text(401, TOKEN_WANTED), challenge: 'Bearer realm="sallyport", error="invalid_token"' },
} as const;
const SECURITY_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const;
const SERVER_OPTIONS = {
  maxHeaderSize: 8192, // probes and browsers on localhost send far less
  headersTimeout: 5000,
  requestTimeout: 5000,
  keepAliveTimeout: 30_000, // the page polls every 2 s
  connectionsCheckingInterval: 1000,
  httpValidation: 'strict', // whatever NODE_OPTIONS says
} as const;
const MAX_CONNECTIONS = 64; // probes, a Prometheus pair, some browsers with 6 each
const SOCKET_TIMEOUT_MS = 35_000; // without progress in either direction; above keepAliveTimeout
