import { once } from 'node:events';
import { type AddressInfo, createServer as createTcpServer, isIP, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type {
  BackendCall,
  BackendConnectionFacts,
  BackendHandler,
  BackendRequest,
  BackendService,
  Endpoint,
  Requester,
} from '#src/backend/contract.ts';
import type { BackendEvents, CircuitLimit, EjectionCause } from '#src/backend/events.ts';
import type { AffinitySecrets } from '#src/backend/lb/affinity-tokens.ts';
import { DEFAULT_TERMS, NameResolver, noNameEvents } from '#src/backend/name-resolver.ts';
import { type BackendDependencies, createBackendService } from '#src/backend/service.ts';
import { SessionStore } from '#src/backend/session-store.ts';
import { type Clock, systemClock } from '#src/base/clock.ts';
import { digestOf } from '#src/base/digest.ts';
import type { ProxyError } from '#src/base/errors.ts';
import type {
  LinkedAuthentication,
  LinkedBackendService,
  LinkedBackendTls,
  LinkedBalancing,
  LinkedCertificate,
  LinkedCircuitBreakers,
  LinkedHealthCheck,
  LinkedOutlierDetection,
  LinkedRevocation,
} from '#src/config/linked.ts';
import type { HeaderList } from '#src/http/exchange.ts';
import type { Issued } from '#src/pki/issue/contract.ts';
import type { Refused } from '#src/pki/verdict.ts';

/** Somebody without a cookie. */
export const REQUESTER: Requester = {
  connection: { remoteAddress: '192.0.2.1', remotePort: 40_000, localAddress: '198.51.100.1', localPort: 443 },
  headers: [],
};

/** What a service has that says nothing about balancing. */
export const PLAIN_BALANCING: LinkedBalancing = {
  policy: 'ROUND_ROBIN',
  minimumRingSize: 1024,
  affinity: null,
  panicThresholdPercent: 0,
  drainingTimeoutSec: null,
};

export const SECRETS: AffinitySecrets = { version: 0, secrets: [Buffer.alloc(32, 7)] };

/** Listens on a loopback port of the system's choice. */
export async function listen(server: Server, host = '127.0.0.1'): Promise<number> {
  server.listen(0, host);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** An H2C service whose backend is what `onSocket` makes of its connections, byte for byte. */
export async function h2cServiceOf(
  onSocket: (socket: Socket) => void,
): Promise<{ readonly service: BackendService; readonly close: () => Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    onSocket(socket);
  });
  const service = makeService({ protocol: 'H2C', ports: [await listen(server)] });
  const close = async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await service.retire();
  };
  return { service, close };
}

/** What happened to one exchange, in order. */
export interface Outcome {
  readonly connection: BackendConnectionFacts | null;
  readonly interims: readonly { readonly status: number; readonly headers: HeaderList }[];
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: string;
  readonly trailers: HeaderList;
  readonly error: ProxyError | null;
  readonly upgraded: Duplex | null;
  /** The names of the callbacks, onData and onBodyWanted once each. */
  readonly order: readonly string[];
}

export interface ExchangeOptions extends Partial<BackendRequest> {
  readonly endpoint?: Endpoint;
  /** Sent at the first onBodyWanted, and the end after it. */
  readonly body?: string;
  readonly requestTrailers?: HeaderList;
}

/** One exchange from beginning to end. */
export function exchange(service: BackendService, options: ExchangeOptions = {}): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const recorder = new Recorder(resolve);
  const { body, requestTrailers = null } = options;
  if (body !== undefined) {
    recorder.onFirstBodyWanted = () => {
      recorder.call!.writeBody(Buffer.from(body, 'latin1'));
      recorder.call!.endBody(requestTrailers);
    };
  }
  recorder.start(service, { contentLength: body === undefined ? 0 : -1, ...options });
  return promise;
}

/** A handler that keeps what it is told; tests replace single callbacks. */
export class Recorder implements BackendHandler {
  call: BackendCall | null = null;
  connection: BackendConnectionFacts | null = null;
  readonly interims: { readonly status: number; readonly headers: HeaderList }[] = [];
  status = 0;
  headers: HeaderList = [];
  readonly chunks: Buffer[] = [];
  bodyWanted = 0;
  onFirstBodyWanted: (() => void) | null = null;
  readonly order: string[] = [];
  ended = 0;
  readonly #resolve: (outcome: Outcome) => void;

  constructor(resolve: (outcome: Outcome) => void = () => {}) {
    this.#resolve = resolve;
  }

  start(service: BackendService, options: ExchangeOptions = {}): BackendCall {
    const endpoint = options.endpoint ?? service.pick([], REQUESTER)!;
    const before = this.order.length;
    this.call = service.send(endpoint, requestOf(options), this);
    if (this.order.length !== before) throw new Error('A callback came from within send()');
    return this.call;
  }

  onConnection(facts: BackendConnectionFacts): void {
    this.connection = facts;
    this.order.push('onConnection');
  }

  onBodyWanted(): void {
    if (this.bodyWanted++ > 0) return;
    this.order.push('onBodyWanted');
    this.onFirstBodyWanted?.();
  }

  onInterim(status: number, headers: HeaderList): void {
    this.interims.push({ status, headers });
    this.order.push('onInterim');
  }

  onResponse(status: number, headers: HeaderList): void {
    this.status = status;
    this.headers = headers;
    this.order.push('onResponse');
  }

  onData(chunk: Buffer): void {
    if (this.chunks.length === 0) this.order.push('onData');
    this.chunks.push(chunk);
  }

  onEnd(trailers: HeaderList): void {
    this.order.push('onEnd');
    this.#end({ trailers });
  }

  onUpgrade(status: number, headers: HeaderList, socket: Duplex): void {
    this.status = status;
    this.headers = headers;
    this.order.push('onUpgrade');
    this.#end({ upgraded: socket });
  }

  onError(error: ProxyError): void {
    this.order.push('onError');
    this.#end({ error });
  }

  #end(last: Partial<Outcome>): void {
    if (++this.ended > 1) throw new Error(`An exchange ended twice: ${this.order.join(', ')}`);
    const { connection, interims, status, headers, order } = this;
    const body = Buffer.concat(this.chunks).toString('latin1');
    const nothing = { trailers: [], error: null, upgraded: null };
    this.#resolve({ connection, interims, status, headers, order, body, ...nothing, ...last });
  }
}

export function requestOf(options: ExchangeOptions): BackendRequest {
  return {
    method: options.method ?? (options.contentLength === 0 || options.contentLength === undefined ? 'GET' : 'POST'),
    target: options.target ?? '/',
    scheme: options.scheme ?? 'https',
    authority: options.authority ?? 'shop.example',
    headers: options.headers ?? [],
    contentLength: options.contentLength ?? 0,
    isWebSocket: options.isWebSocket ?? false,
  };
}

export function headerOf(headers: HeaderList, name: string): string | null {
  const at = headers.findIndex((word, index) => index % 2 === 0 && word === name);
  return at === -1 ? null : headers[at + 1]!;
}

/** Events as lines, for assertions. */
export class EventLog implements BackendEvents {
  readonly connects: BackendConnectionFacts[] = [];
  readonly failures: ProxyError[] = [];
  readonly closes: string[] = [];
  readonly reports: Refused[] = [];
  readonly revoked: Refused[] = [];
  /** 'up', 'down: REASON' or 'gone', by endpoint. */
  readonly health: string[] = [];
  readonly prohibited: string[] = [];
  /** The cause or 'back', by endpoint. */
  readonly ejections: string[] = [];
  readonly circuitBreaks: CircuitLimit[] = [];

  onConnect(_service: string, facts: BackendConnectionFacts): void {
    this.connects.push(facts);
  }

  onConnectFailure(_service: string, _endpoint: string, error: ProxyError): void {
    this.failures.push(error);
  }

  onClose(_service: string, _endpoint: string, reason: string): void {
    this.closes.push(reason);
  }

  onReportOnlyFailure(_service: string, _endpoint: string, verdict: Refused): void {
    this.reports.push(verdict);
  }

  onRevoked(_service: string, _endpoint: string, verdict: Refused): void {
    this.revoked.push(verdict);
  }

  onProhibitedAddress(_service: string, name: string, address: string, reason: string): void {
    this.prohibited.push(`${name} ${address}: ${reason}`);
  }

  onHealth(_service: string, endpoint: string, isHealthy: boolean | null, reason: string): void {
    const state = isHealthy === null ? 'gone' : isHealthy ? 'up' : `down: ${reason}`;
    this.health.push(`${endpoint} ${state}`);
  }

  onEjection(_service: string, endpoint: string, cause: EjectionCause | null): void {
    this.ejections.push(`${endpoint} ${cause ?? 'back'}`);
  }

  onCircuitBreak(_service: string, limit: CircuitLimit): void {
    this.circuitBreaks.push(limit);
  }
}

export interface ServiceOptions {
  readonly protocol?: LinkedBackendService['protocol'];
  readonly ports: readonly number[];
  readonly host?: string;
  /** Several, each with all ports; instead of `host`. */
  readonly hosts?: readonly string[];
  readonly tls?: LinkedBackendTls | null;
  readonly timeoutSec?: number;
  readonly maxConnections?: number;
  readonly maxPending?: number;
  readonly events?: BackendEvents;
  readonly clock?: Clock;
  readonly sessions?: SessionStore;
  readonly connectTimeoutMs?: number;
  readonly healthCheck?: LinkedHealthCheck | null;
  readonly previous?: BackendService;
  /** By default every name may lead anywhere. */
  readonly names?: NameResolver;
  readonly ipAddressSelectionPolicy?: LinkedBackendService['ipAddressSelectionPolicy'];
  readonly weights?: readonly number[];
  readonly balancing?: Partial<LinkedBalancing>;
  readonly outlierDetection?: LinkedOutlierDetection | null;
  readonly circuitBreakers?: LinkedCircuitBreakers | null;
  readonly affinitySecrets?: AffinitySecrets;
  readonly random?: () => number;
}

/** A service as src/config would link it. */
export function makeService(options: ServiceOptions): BackendService {
  const { host = '127.0.0.1', clock = systemClock } = options;
  const linked: LinkedBackendService = {
    name: 'shop',
    digest: digestOf('shop'),
    protocol: options.protocol ?? 'HTTP',
    timeoutSec: options.timeoutSec ?? 30,
    maxStreamDurationMs: null,
    ipAddressSelectionPolicy: options.ipAddressSelectionPolicy ?? 'IPV4_ONLY',
    endpoints: (options.hosts ?? [host]).flatMap((one) =>
      options.ports.map((port, index) => ({
        host: one,
        port,
        isFqdn: isIP(one) === 0,
        weight: options.weights?.[index] ?? 1,
      })),
    ),
    tls: options.tls ?? null,
    maxConnectionsPerEndpoint: options.maxConnections ?? 16,
    maxPendingPerEndpoint: options.maxPending ?? 16,
    healthCheck: options.healthCheck ?? null,
    balancing: { ...PLAIN_BALANCING, ...options.balancing },
    outlierDetection: options.outlierDetection ?? null,
    circuitBreakers: options.circuitBreakers ?? null,
    customRequestHeaders: [],
    customResponseHeaders: [],
  };
  const dependencies: BackendDependencies = {
    clock,
    events: options.events ?? new EventLog(),
    sessions: options.sessions ?? new SessionStore(clock),
    names: options.names ?? new NameResolver(noNameEvents, { ...DEFAULT_TERMS, allowedNames: [host] }),
    connectTimeoutMs: options.connectTimeoutMs ?? 5000,
    affinitySecrets: options.affinitySecrets ?? SECRETS,
    ...(options.random && { random: options.random }),
  };
  return createBackendService(linked, dependencies, options.previous ?? null);
}

export interface TlsOptions {
  readonly sni?: string | null;
  readonly dnsNames?: readonly string[];
  readonly uris?: readonly string[];
  readonly anchors?: readonly Issued[];
  readonly intermediates?: readonly Issued[];
  readonly allowlist?: readonly Issued[];
  readonly client?: readonly Issued[];
  readonly unauthenticated?: boolean;
  readonly reportOnly?: boolean;
  readonly revocation?: LinkedRevocation;
}

/** Anchors and names default to none. `client`: leaf, then its chain. */
export function makeTls(options: TlsOptions): LinkedBackendTls {
  const { sni = null } = options;
  const dnsNames = options.dnsNames ?? (sni === null ? [] : [sni]);
  const ders = (certificates: readonly Issued[] = []) => certificates.map(({ der }) => der);
  const trust = {
    anchors: ders(options.anchors),
    intermediates: ders(options.intermediates),
    allowlist: ders(options.allowlist),
  };
  const enforcement = options.reportOnly === true ? 'REPORT_ONLY' : 'ENFORCE';
  const authentication: LinkedAuthentication | null = options.unauthenticated
    ? null
    : {
        name: 'authentication',
        trustConfig: { name: 'trust', digest: digestOf(trust), ...trust, revocation: options.revocation ?? null },
        publicRoots: false,
        clientCertificate: options.client === undefined ? null : clientCertificate(options.client),
        enforcement,
      };
  const contents = { sni, dnsNames, uris: options.uris ?? [], minTlsVersion: 'TLSv1.2' as const };
  const digest = digestOf({ ...contents, enforcement, trust, client: options.client?.map(({ der }) => der) });
  return { ...contents, authentication, digest };
}

function clientCertificate(chain: readonly Issued[]): LinkedCertificate {
  return {
    name: 'client',
    collection: 'certificates',
    role: 'client',
    digest: digestOf(chain[0]!.der),
    certificatePem: chain.map(({ certificatePem }) => certificatePem).join(''),
    privateKeyPem: chain[0]!.privateKeyPem,
    keyType: 'P-256',
    keyBits: 256,
    hostNames: [],
    notBeforeMs: 0,
    notAfterMs: 0,
    subject: '',
    serial: '',
    sha256: '',
    file: null,
    privateKeyFile: null,
    fileModifiedMs: null,
  };
}
