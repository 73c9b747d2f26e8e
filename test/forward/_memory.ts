import { type Duplex, PassThrough } from 'node:stream';
import type {
  AffinityCookies,
  BackendCall,
  BackendConnectionFacts,
  BackendHandler,
  BackendProtocol,
  BackendRequest,
  BackendService,
  Endpoint,
  RetrySlots,
  ServiceBalance,
} from '#src/backend/contract.ts';
import { type ErrorCode, ProxyError } from '#src/base/errors.ts';
import type { LinkedRouteAction } from '#src/config/linked-url-map.ts';
import type { ServiceFieldRules } from '#src/forward/field-rules.ts';
import { createForwarder } from '#src/forward/forwarder.ts';
import type {
  ConnectionFacts,
  Exchange,
  ExchangeHandler,
  HeaderList,
  HttpProtocol,
  TlsFacts,
} from '#src/http/exchange.ts';
import type { ExchangeRecord, ExchangeRecorder, MirrorResult } from '#src/http/exchange-record.ts';
import { compileUrlMap } from '#src/routing/compile-url-map.ts';
import { to, urlMap } from '../harness/url-map.ts';

/** Both contracts in memory: every order of events can be had, also those that sockets give once in a thousand runs. */

export const CONNECTION: ConnectionFacts = {
  id: '1',
  remoteAddress: '192.0.2.7',
  remotePort: 50000,
  localAddress: '203.0.113.1',
  localPort: 443,
  targetProxy: 'web',
  forwardingRule: 'https',
  tls: { protocol: 'TLSv1.3' } as TlsFacts,
};

export interface RequestShape {
  readonly protocol?: HttpProtocol;
  readonly method?: string;
  readonly authority?: string;
  readonly target?: string;
  readonly headers?: HeaderList;
  readonly contentLength?: number;
  readonly expectsContinue?: boolean;
  readonly isWebSocket?: boolean;
  readonly rejection?: ProxyError;
  readonly connection?: ConnectionFacts;
}

/** What was done to an exchange, one word each, in order. */
export class MemoryExchange implements Exchange {
  readonly connection: ConnectionFacts;
  readonly protocol: HttpProtocol;
  readonly method: string;
  readonly scheme = 'https';
  readonly authority: string;
  readonly target: string;
  readonly headers: HeaderList;
  readonly contentLength: number;
  readonly expectsContinue: boolean;
  readonly isWebSocket: boolean;
  readonly rejection: ProxyError | null;
  readonly startedAtMs = performance.now();
  requestBytes = 0;
  responseBytes = 0;
  unsentBytes = 0;
  responded = false;

  handler!: ExchangeHandler;
  readonly events: string[] = [];
  status = 0;
  responseHeaders: HeaderList = [];
  trailers: HeaderList | null = null;
  body = '';
  /** What write() answers. */
  takesMore = true;
  readonly client = new PassThrough();

  constructor(shape: RequestShape = {}) {
    this.connection = shape.connection ?? CONNECTION;
    this.protocol = shape.protocol ?? 'HTTP/1.1';
    this.method = shape.method ?? 'GET';
    this.authority = shape.authority ?? 'example.com';
    this.target = shape.target ?? '/';
    this.headers = shape.headers ?? [];
    this.contentLength = shape.contentLength ?? 0;
    this.expectsContinue = shape.expectsContinue ?? false;
    this.isWebSocket = shape.isWebSocket ?? false;
    this.rejection = shape.rejection ?? null;
  }

  header(name: string): string | null {
    const at = this.responseHeaders.findIndex((text, i) => i % 2 === 0 && text === name);
    return at === -1 ? null : this.responseHeaders[at + 1]!;
  }

  /** The client sends body bytes. */
  send(text: string): void {
    const chunk = Buffer.from(text);
    this.requestBytes += chunk.length;
    this.handler.onBodyData(chunk);
  }

  attach(handler: ExchangeHandler): void {
    this.handler = handler;
  }
  readBody(): void {
    this.events.push('read');
  }
  pauseBody(): void {
    this.events.push('pause');
  }
  resumeBody(): void {
    this.events.push('resume');
  }
  sendContinue(): void {
    this.events.push('100');
  }
  interim(status: number, headers: HeaderList): void {
    this.events.push(`interim ${status} ${headers.join(' ')}`);
  }
  respond(status: number, headers: HeaderList, body: boolean): void {
    this.events.push(`respond ${status} ${body ? 'body' : 'no body'}`);
    this.responded = true;
    this.status = status;
    this.responseHeaders = headers;
  }
  write(chunk: Uint8Array): boolean {
    this.body += Buffer.from(chunk).toString('latin1');
    this.responseBytes += chunk.length;
    return this.takesMore;
  }
  end(trailers: HeaderList | null): void {
    this.events.push('end');
    this.trailers = trailers;
  }
  switchProtocols(headers: HeaderList): Duplex {
    this.events.push('switch');
    this.responded = true;
    this.responseHeaders = headers;
    return this.client;
  }
  discardBody(): void {
    this.events.push('discard');
  }
  abort(error: ProxyError): void {
    this.events.push(`abort ${error.code}`);
  }
}

/** One send(); the test plays the backend through `handler`. */
export class MemoryCall implements BackendCall {
  sent = false;
  readonly endpoint: Endpoint;
  readonly request: BackendRequest;
  readonly handler: BackendHandler;
  readonly events: string[] = [];
  body = '';
  /** What writeBody() answers. */
  takesMore = true;

  constructor(endpoint: Endpoint, request: BackendRequest, handler: BackendHandler) {
    this.endpoint = endpoint;
    this.request = request;
    this.handler = handler;
  }

  connect(facts: Partial<BackendConnectionFacts> = {}): this {
    this.handler.onConnection({ endpoint: this.endpoint.name, reused: false, tls: null, ...facts });
    this.sent = true;
    return this;
  }

  respond(status: number, headers: HeaderList = []): this {
    this.handler.onResponse(status, headers);
    return this;
  }

  data(text: string): this {
    this.handler.onData(Buffer.from(text));
    return this;
  }

  fail(code: ErrorCode): void {
    this.handler.onError(new ProxyError(code, { detail: 'secret detail' }));
  }

  writeBody(chunk: Buffer): boolean {
    this.sent = true;
    this.body += chunk.toString();
    return this.takesMore;
  }
  endBody(trailers: HeaderList | null): void {
    this.events.push(trailers === null ? 'end body' : `end body ${trailers.join(' ')}`);
  }
  pause(): void {
    this.events.push('pause');
  }
  resume(): void {
    this.events.push('resume');
  }
  abort(error: ProxyError): void {
    this.events.push(`abort ${error.code}`);
  }
}

export class MemoryService implements BackendService {
  readonly name: string;
  readonly protocol: BackendProtocol;
  readonly httpVersion: 'http1' | 'http2';
  readonly timeoutMs: number;
  readonly endpoints: readonly Endpoint[];
  affinityCookies: AffinityCookies | null = null;
  retrySlots: RetrySlots | null = null;
  maxStreamDurationMs: number | null = null;
  readonly calls: MemoryCall[] = [];
  /** Runs inside send(), before the caller has its BackendCall. */
  duringSend: (call: MemoryCall) => void = () => {};
  #next = 0;

  constructor({ name = 'api', protocol = 'HTTP' as BackendProtocol, timeoutMs = 60_000, endpoints = 1 } = {}) {
    this.name = name;
    this.protocol = protocol;
    this.httpVersion = protocol === 'HTTP2' || protocol === 'H2C' ? 'http2' : 'http1';
    this.timeoutMs = timeoutMs;
    this.endpoints = Array.from({ length: endpoints }, (_, i) => ({
      name: `10.0.0.${i + 1}:80`,
      address: `10.0.0.${i + 1}`,
      port: 80,
    }));
  }

  /** The latest call. */
  get call(): MemoryCall {
    return this.calls.at(-1)!;
  }

  pick(tried: readonly Endpoint[]): Endpoint | null {
    for (let i = 0; i < this.endpoints.length; i++) {
      const endpoint = this.endpoints[this.#next++ % this.endpoints.length]!;
      if (!tried.includes(endpoint)) return endpoint;
    }
    return null;
  }

  send(endpoint: Endpoint, request: BackendRequest, handler: BackendHandler): BackendCall {
    const call = new MemoryCall(endpoint, request, handler);
    this.calls.push(call);
    this.duringSend(call);
    return call;
  }

  openStream(): never {
    throw new Error('no streams here');
  }

  useRevocation(): void {}

  start(): void {}

  health(): readonly never[] {
    return [];
  }

  balance(): ServiceBalance {
    return { policy: 'ROUND_ROBIN', affinity: 'NONE', isInPanic: false, endpoints: [] };
  }

  async retire(): Promise<void> {}
}

export class Records implements ExchangeRecorder {
  startedCount = 0;
  readonly all: ExchangeRecord[] = [];
  /** `service result` of every mirrored request. */
  readonly mirrors: string[] = [];
  #waiting: (() => void)[] = [];

  started(): void {
    this.startedCount++;
  }

  mirrored(service: string, result: MirrorResult): void {
    this.mirrors.push(`${service} ${result}`);
    this.#changed();
  }

  finished(record: ExchangeRecord): void {
    this.all.push(record);
    this.#changed();
  }

  get only(): ExchangeRecord {
    expect(this.all).toHaveLength(1);
    expect(this.startedCount).toBe(1);
    return this.all[0]!;
  }

  /** Resolves with the n-th record, once it is there. */
  async nth(count: number): Promise<ExchangeRecord> {
    await this.#until(() => this.all.length >= count);
    return this.all[count - 1]!;
  }

  /** Resolves with what became of the n-th mirrored request, once it is over. */
  async mirror(count: number): Promise<string> {
    await this.#until(() => this.mirrors.length >= count);
    return this.mirrors[count - 1]!;
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #changed(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** A URL map whose every request goes to one service; `others`: those that an action names. */
export function mapTo(
  service: BackendService,
  action: Partial<LinkedRouteAction> | null = null,
  others: readonly BackendService[] = [],
) {
  const map = urlMap({ name: 'map', fallback: to(service.name, action) });
  const services = new Map([service, ...others].map((each) => [each.name, each]));
  return compileUrlMap<BackendService>(map, services);
}

export interface StartOptions {
  readonly action?: Partial<LinkedRouteAction>;
  readonly others?: readonly MemoryService[];
  readonly fields?: ServiceFieldRules;
  readonly random?: () => number;
}

/** Starts one exchange towards a service in memory. */
export function start(
  shape: RequestShape = {},
  service: MemoryService = new MemoryService(),
  { action, others = [], ...options }: StartOptions = {},
) {
  const records = new Records();
  const exchange = new MemoryExchange(shape);
  createForwarder({ urlMap: mapTo(service, action, others), recorder: records, ...options })(exchange);
  return { exchange, service, records };
}
