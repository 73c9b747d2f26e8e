import type { ErrorCode, ProxyError } from '#src/base/errors.ts';
import type {
  FrontendEvents,
  FrontendLimits,
  FrontendProxy,
  HandshakeFailure,
  HttpTraffic,
} from '#src/frontend/contract.ts';
import type { ConnectionFacts, Exchange, ExchangeHandler, HeaderList, TlsFacts } from '#src/http/exchange.ts';
import type { HelloObservation } from '#src/telemetry/hello-observation.ts';
import type { SessionEnd } from '#src/telemetry/session-end.ts';
import type { ClientHello } from '#src/tls/client-hello.ts';

/** What a test sees of one exchange; it answers by itself unless told otherwise. */
export class Recorded implements ExchangeHandler {
  readonly exchange: Exchange;
  readonly chunks: Buffer[] = [];
  trailers: HeaderList | null = null;
  aborted: ErrorCode | null = null;
  finished = false;
  drains = 0;
  goingAway = 0;
  readonly #changed: () => void;

  constructor(exchange: Exchange, changed: () => void) {
    this.exchange = exchange;
    this.#changed = changed;
    exchange.attach(this);
  }

  get body(): string {
    return Buffer.concat(this.chunks).toString('latin1');
  }

  onBodyData(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.#changed();
  }

  onBodyEnd(trailers: HeaderList): void {
    this.trailers = trailers;
    this.#changed();
  }

  onDrain(): void {
    this.drains++;
    this.#changed();
  }

  tunnelBytes(): number {
    return 0;
  }

  onGoingAway(): void {
    this.goingAway++;
    this.#changed();
  }

  onAbort(error: ProxyError): void {
    if (this.aborted !== null || this.finished) throw new Error('ended twice');
    this.aborted = error.code;
    this.#changed();
  }

  onFinish(): void {
    if (this.aborted !== null || this.finished) throw new Error('ended twice');
    this.finished = true;
    this.#changed();
  }

  respond(status: number, body: string, headers: HeaderList = []): void {
    const hasBody = this.exchange.method !== 'HEAD' && status !== 204 && status !== 304;
    const length = status === 204 || status === 304 ? [] : ['content-length', String(Buffer.byteLength(body))];
    this.exchange.respond(status, [...headers, ...length], hasBody);
    if (hasBody) this.exchange.write(Buffer.from(body));
    this.exchange.end(null);
  }
}

/** Records everything that a front door reports, and lets tests wait for it. */
export class Recorder implements FrontendEvents {
  readonly exchanges: Recorded[] = [];
  readonly handshakes: { connection: ConnectionFacts; tls: TlsFacts; durationMs: number }[] = [];
  readonly handshakeFailures: HandshakeFailure[] = [];
  readonly hellos: { connection: ConnectionFacts; hello: ClientHello; observation: HelloObservation }[] = [];
  readonly badRequests: ErrorCode[] = [];
  readonly sessionEnds: SessionEnd[] = [];
  readonly paused: string[] = [];
  /** Called for each new exchange; the default reads the body and answers 200 with "method target body". */
  answer: (recorded: Recorded) => void = echo;
  readonly #waiting = new Set<() => void>();

  readonly onExchange = (exchange: Exchange): void => {
    const recorded = new Recorded(exchange, () => this.#changed());
    this.exchanges.push(recorded);
    this.#changed();
    this.answer(recorded);
  };

  onHandshake(connection: ConnectionFacts, tls: TlsFacts, durationMs: number): void {
    this.handshakes.push({ connection, tls, durationMs });
    this.#changed();
  }

  onHandshakeFailure(failure: HandshakeFailure): void {
    this.handshakeFailures.push(failure);
    this.#changed();
  }

  onHello(connection: ConnectionFacts, hello: ClientHello, observation: HelloObservation): void {
    this.hellos.push({ connection, hello, observation });
    this.#changed();
  }

  onAcceptPaused(reason: string): void {
    this.paused.push(reason);
    this.#changed();
  }

  onBadRequest(_connection: ConnectionFacts, error: ProxyError): void {
    this.badRequests.push(error.code);
    this.#changed();
  }

  onSessionEnd(end: SessionEnd): void {
    this.sessionEnds.push(end);
    this.#changed();
  }

  /** Resolves once `condition` holds; looked at whenever something is reported, and every 10 ms for what is not. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!condition()) return;
        clearInterval(timer);
        this.#waiting.delete(look);
        resolve();
      };
      const timer = setInterval(look, 10);
      this.#waiting.add(look);
      look();
    });
  }

  #changed(): void {
    for (const look of this.#waiting) look();
  }
}

export function echo(recorded: Recorded): void {
  const { exchange } = recorded;
  if (exchange.rejection !== null) {
    recorded.respond(exchange.rejection.spec.status, `${exchange.rejection.code}\n`);
    return;
  }
  const onBodyEnd = recorded.onBodyEnd.bind(recorded);
  recorded.onBodyEnd = (trailers) => {
    onBodyEnd(trailers);
    recorded.respond(200, `${exchange.method} ${exchange.target} ${recorded.body}`);
  };
  exchange.readBody();
}

export function httpTraffic(recorder: Recorder, keepAliveTimeoutMs = 610_000): HttpTraffic {
  return { kind: 'http', keepAliveTimeoutMs, webSockets: true, onExchange: recorder.onExchange };
}

export function stubProxy(
  recorder: Recorder,
  overrides: Partial<Omit<FrontendProxy, 'limits'>> & { limits?: Partial<FrontendLimits> } = {},
): FrontendProxy {
  return {
    name: 'test-proxy',
    tls: null,
    traffic: httpTraffic(recorder),
    ...overrides,
    limits: {
      connections: 100,
      connectionsPerAddress: 100,
      unfinishedHandshakes: 50,
      requestsPerConnection: 1000,
      concurrentStreams: 32,
      ...overrides.limits,
    },
  };
}
