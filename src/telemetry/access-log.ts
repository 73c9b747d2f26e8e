// hot path: one line per request, by concatenation of pieces that mostly were serialised before.
import type { Clock } from '../base/clock.ts';
import type { ProxyError } from '../base/errors.ts';
import type { ConnectionFacts, HttpProtocol } from '../http/exchange.ts';
import type { ExchangeRecord } from '../http/exchange-record.ts';
import type { StreamRecord } from '../http/stream-record.ts';
import { BackendText, ConnectionText, requestUrl, urlMember } from './access-log-text.ts';
import { quote } from './escape.ts';
import type { LineSink } from './line-writer.ts';
import { redactQueryValues, requestHeadersMember } from './logged-fields.ts';
import { Timestamps } from './timestamps.ts';

export interface AccessLogOptions {
  readonly clock: Clock;
  /** 0..1, decided per request. */
  readonly sampleRate: number;
  /** Values in the query of requestUrl and referer are written as `*`. */
  readonly redactQueryValues?: boolean;
  /** Lower case; those that a request has are written as `requestHeaders`. */
  readonly requestHeaders?: readonly string[];
  /** For tests; Math.random otherwise. */
  readonly random?: () => number;
}

/**
 * Writes `msg:"request"` lines. `time` is when the request head was complete, like the original's; sizes are bytes as
 * numbers, `latency` is seconds as text ("0.002143s"). A member that does not apply is absent. One member goes beyond the
 * original's: `detail`, what the failure was (an errno, a parser's complaint), which statusDetails only classes.
 */
export class AccessLog {
  readonly #sink: LineSink;
  readonly #clock: Clock;
  readonly #sampleRate: number;
  readonly #redacts: boolean;
  readonly #headerNames: readonly string[];
  readonly #random: () => number;
  readonly #timestamps = new Timestamps();
  readonly #backends = new Map<string, BackendText>();
  #protocol: HttpProtocol | null = null;
  #statusDetails = '';
  /** Of the last request: the unit of latency, protocol and statusDetails. */
  #outcomeText = '';
  #method: string | null = null;
  #methodText = '';
  #requestBytes = -1;
  #status = -1;
  /** Of the last request: requestSize, status and the name of responseSize. */
  #statusText = '';

  constructor(sink: LineSink, options: AccessLogOptions) {
    this.#sink = sink;
    this.#clock = options.clock;
    this.#sampleRate = options.sampleRate;
    this.#redacts = options.redactQueryValues ?? false;
    this.#headerNames = options.requestHeaders ?? [];
    this.#random = options.random ?? Math.random;
  }

  requestFinished(record: ExchangeRecord): void {
    if (this.#isSampledOut()) return;
    const { exchange } = record;
    const { headers } = exchange;
    let userAgent = '';
    let referer = '';
    for (let i = 0; i + 1 < headers.length; i += 2) {
      const name = headers[i];
      if (name === 'user-agent') userAgent = headers[i + 1]!;
      else if (name === 'referer') referer = headers[i + 1]!;
    }
    if (this.#redacts) referer = redactQueryValues(referer);
    const startedAtMs = this.#clock.wallMs() - record.latencyMs;
    const connection = connectionText(exchange.connection);
    const backend = record.backend === null ? NO_BACKEND : this.#backendText(record.backend);
    if (exchange.method !== this.#method) this.#newMethod(exchange.method);
    if (record.status !== this.#status || record.requestBytes !== this.#requestBytes) this.#newStatus(record);
    if (exchange.protocol !== this.#protocol || record.statusDetails !== this.#statusDetails) this.#newOutcome(record);

    let line =
      this.#timestamps.member(startedAtMs) +
      (record.error === null ? INFO : levelMember(record.error)) +
      this.#methodText +
      (this.#redacts ? urlMember(redactQueryValues(requestUrl(exchange))) : connection.urlText(exchange)) +
      this.#statusText +
      record.responseBytes +
      connection.clientText(userAgent) +
      backend.serverIp;
    if (referer !== '') line += `,"referer":${quote(referer, MAX_REFERER)}`;
    line += `,"latency":"${seconds(record.latencyMs)}${this.#outcomeText}`;
    if (record.proxyStatus !== null) line += `,"proxyStatus":${quote(record.proxyStatus, MAX_DETAIL)}`;
    line += connection.proxy + backend.routeText(record);
    if (record.trace !== null) line += `,"trace":"${record.trace}"`;
    line += connection.tls + backend.tlsText(record.backendTls);
    if (this.#headerNames.length > 0) line += requestHeadersMember(headers, this.#headerNames);
    if (record.truncatable) line += ',"truncatable":true';
    if (record.error !== null) line += detailMember(record.error);
    this.#sink.line(`${line}}`);
  }

  /** A connection whose bytes were no request: what there is to say of it. Status 0: nothing could be sent. */
  badRequest(connection: ConnectionFacts, error: ProxyError): void {
    if (this.#isSampledOut()) return;
    const { spec } = error;
    const text = connectionText(connection);
    let line = `${this.#timestamps.member(this.#clock.wallMs())},"level":"${spec.level}","msg":"request"`;
    line += `,"httpRequest":{"status":${spec.status}${text.clientText('')}},"statusDetails":"${spec.statusDetails}"`;
    if (spec.proxyStatus !== null) line += `,"proxyStatus":"sallyport; error=${spec.proxyStatus}"`;
    this.#sink.line(`${line}${text.proxy}${text.tls}${detailMember(error)}}`);
  }

  /** A `msg:"connection"` line, in the words of Google's proxy Network Load Balancers; `time` is when its bytes could flow. */
  connectionClosed(record: StreamRecord): void {
    if (this.#isSampledOut()) return;
    const { connection } = record.stream;
    const text = connectionText(connection);
    const backend = record.backend === null ? NO_BACKEND : this.#backendText(record.backend);
    const { remoteAddress, remotePort, localAddress, localPort } = connection;
    let line =
      `${this.#timestamps.member(this.#clock.wallMs() - record.durationMs)},"level":"${record.error?.spec.level ?? 'info'}"` +
      `,"msg":"connection","connection":{"clientIp":${quote(remoteAddress, MAX_ADDRESS)},"clientPort":${remotePort}` +
      `,"serverIp":${quote(localAddress, MAX_ADDRESS)},"serverPort":${localPort},"protocol":${IPPROTO_TCP}}` +
      `,"bytesReceived":${record.bytesReceived},"bytesSent":${record.bytesSent}` +
      `,"duration":"${seconds(record.durationMs)}s","statusDetails":"${record.statusDetails}"`;
    if (record.proxyStatus !== null) line += `,"proxyStatus":${quote(record.proxyStatus, MAX_DETAIL)}`;
    line += `${text.proxy},"backendService":${quote(record.backendService, MAX_DETAIL)}`;
    if (record.backend !== null) line += `,"backend":${quote(record.backend, MAX_DETAIL)}`;
    if (record.attempts > 0) line += `,"attempts":${record.attempts}`;
    line += text.tls + backend.tlsText(record.backendTls);
    if (record.error !== null) line += detailMember(record.error);
    this.#sink.line(`${line}}`);
  }

  #isSampledOut(): boolean {
    return this.#sampleRate < 1 && this.#random() >= this.#sampleRate;
  }

  #newMethod(method: string): void {
    this.#method = method;
    this.#methodText = `,"msg":"request","httpRequest":{"requestMethod":${quote(method, MAX_METHOD)}`;
  }

  #newStatus({ requestBytes, status }: ExchangeRecord): void {
    this.#requestBytes = requestBytes;
    this.#status = status;
    this.#statusText = `,"requestSize":${requestBytes},"status":${status},"responseSize":`;
  }

  #newOutcome(record: ExchangeRecord): void {
    this.#protocol = record.exchange.protocol;
    this.#statusDetails = record.statusDetails;
    this.#outcomeText = `s","protocol":"${this.#protocol}"},"statusDetails":"${this.#statusDetails}"`;
  }

  #backendText(backend: string): BackendText {
    let text = this.#backends.get(backend);
    if (text === undefined) {
      text = new BackendText(backend);
      if (this.#backends.size >= MAX_BACKENDS) this.#backends.clear();
      this.#backends.set(backend, text);
    }
    return text;
  }
}

function connectionText(connection: ConnectionFacts): ConnectionText {
  const kept = connection.serialised;
  if (kept instanceof ConnectionText) return kept;
  const text = new ConnectionText(connection);
  connection.serialised = text;
  return text;
}

function levelMember(error: ProxyError): string {
  return `,"level":"${error.spec.level}"`;
}

/** Begins with our code where its word is one that several codes share. */
function detailMember({ code, detail, spec }: ProxyError): string {
  if (code === spec.statusDetails) return detail === '' ? '' : `,"detail":${quote(detail, MAX_DETAIL)}`;
  return `,"detail":${quote(detail === '' ? code : `${code}: ${detail}`, MAX_DETAIL)}`;
}

/** With six decimals; toFixed() costs five times as much (measured: 0.25 µs against 0.05 µs). */
function seconds(ms: number): string {
  const microseconds = Math.max(0, Math.round(ms * 1000));
  const whole = Math.floor(microseconds / 1_000_000);
  return `${whole}.${String(1_000_000 + (microseconds - whole * 1_000_000)).slice(1)}`;
}

const INFO = ',"level":"info"';
const NO_BACKEND = new BackendText(null);
// With the other members, most lines stay below the 4,096 bytes that a pipe takes whole (line-writer.ts).
const MAX_REFERER = 512;
const MAX_METHOD = 32;
const MAX_DETAIL = 512;
const MAX_ADDRESS = 64;
const IPPROTO_TCP = 6;
const MAX_BACKENDS = 4096; // configured endpoints, but FQDN ones resolve to whatever the DNS says
