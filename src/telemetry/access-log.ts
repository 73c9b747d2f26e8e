// hot path: one line per request, by concatenation; what a connection or a backend has in common is serialised once.
import type { Clock } from '../base/clock.ts';
import type { ProxyError } from '../base/errors.ts';
import type { ConnectionFacts, HeaderList, TlsFacts } from '../http/exchange.ts';
import type { BackendTlsRecord, ExchangeRecord } from '../http/exchange-record.ts';
import { quote } from './escape.ts';
import type { LineSink } from './line-writer.ts';
import { Timestamps } from './timestamps.ts';

export interface AccessLogOptions {
  readonly clock: Clock;
  /** 0..1, decided per request. */
  readonly sampleRate: number;
  /** For tests; Math.random otherwise. */
  readonly random?: () => number;
}

/**
 * Writes `msg:"request"` lines. `time` is when the request head was complete, like the original's; sizes are bytes as
 * numbers, `latency` is seconds as text ("0.002143s"). A member that does not apply is absent.
 */
export class AccessLog {
  readonly #sink: LineSink;
  readonly #clock: Clock;
  readonly #sampleRate: number;
  readonly #random: () => number;
  readonly #timestamps = new Timestamps();
  readonly #connections = new WeakMap<ConnectionFacts, ConnectionText>();
  readonly #backends = new Map<string, BackendText>();

  constructor(sink: LineSink, options: AccessLogOptions) {
    this.#sink = sink;
    this.#clock = options.clock;
    this.#sampleRate = options.sampleRate;
    this.#random = options.random ?? Math.random;
  }

  requestFinished(record: ExchangeRecord): void {
    if (this.#sampleRate < 1 && this.#random() >= this.#sampleRate) return;
    this.#sink.line(this.#lineOf(record));
  }

  /** A connection whose bytes were no request: what there is to say of it. `error.spec.status` 0: nothing could be sent. */
  badRequest(connection: ConnectionFacts, error: ProxyError): void {
    if (this.#sampleRate < 1 && this.#random() >= this.#sampleRate) return;
    const text = this.#connectionText(connection);
    let line =
      `{"time":"${this.#timestamps.iso(this.#clock.wallMs())}","level":"${error.spec.level}","msg":"request"` +
      `,"httpRequest":{"status":${error.spec.status}${text.remoteIp}},"statusDetails":"${error.spec.statusDetails}"`;
    if (error.spec.proxyStatus !== null) line += `,"proxyStatus":"sallyport; error=${error.spec.proxyStatus}"`;
    line += text.proxy + text.tls;
    if (error.detail !== '') line += `,"detail":${quote(error.detail, MAX_DETAIL)}`;
    this.#sink.line(`${line}}`);
  }

  #lineOf(record: ExchangeRecord): string {
    const { exchange } = record;
    const connection = this.#connectionText(exchange.connection);
    const backend = record.backend === null ? NO_BACKEND : this.#backendText(record.backend);
    const startedAtMs = this.#clock.wallMs() - (this.#clock.monotonicMs() - exchange.startedAtMs);
    const userAgent = headerValue(exchange.headers, 'user-agent');
    const referer = headerValue(exchange.headers, 'referer');
    const level = record.error === null ? 'info' : record.error.spec.level;

    let line =
      `{"time":"${this.#timestamps.iso(startedAtMs)}","level":"${level}","msg":"request","httpRequest":{"requestMethod":` +
      `${quote(exchange.method, MAX_METHOD)},"requestUrl":${quote(requestUrl(record), MAX_URL)}` +
      `,"requestSize":${record.requestBytes},"status":${record.status},"responseSize":${record.responseBytes}`;
    if (userAgent !== null) line += `,"userAgent":${quote(userAgent, MAX_USER_AGENT)}`;
    line += connection.remoteIp + backend.serverIp;
    if (referer !== null) line += `,"referer":${quote(referer, MAX_REFERER)}`;
    line += `,"latency":"${seconds(record.latencyMs)}s","protocol":"${exchange.protocol}"}`;
    line += `,"statusDetails":"${record.statusDetails}"`;
    if (record.proxyStatus !== null) line += `,"proxyStatus":${quote(record.proxyStatus, MAX_DETAIL)}`;
    line += connection.proxy;
    if (record.urlMap !== '') line += `,"urlMap":${quote(record.urlMap, MAX_NAME)}`;
    if (record.backendService !== null) line += `,"backendService":${quote(record.backendService, MAX_NAME)}`;
    line += backend.backend;
    if (record.attempts > 0) line += `,"attempts":${record.attempts}`;
    if (record.trace !== null) line += `,"trace":${quote(record.trace, MAX_NAME)}`;
    line += connection.tls;
    if (record.backendTls !== null) line += backendTlsText(record.backendTls);
    // Beyond the original's fields: what the failure was (an errno, a parser's complaint), which statusDetails only classes.
    if (record.error !== null && record.error.detail !== '')
      line += `,"detail":${quote(record.error.detail, MAX_DETAIL)}`;
    return `${line}}`;
  }

  #connectionText(connection: ConnectionFacts): ConnectionText {
    let text = this.#connections.get(connection);
    if (text === undefined) {
      text = {
        remoteIp: `,"remoteIp":${quote(connection.remoteAddress, MAX_NAME)}`,
        proxy: `,"targetProxy":${quote(connection.targetProxy, MAX_NAME)},"forwardingRule":${quote(connection.forwardingRule, MAX_NAME)}`,
        tls: connection.tls === null ? '' : tlsText(connection.tls),
      };
      this.#connections.set(connection, text);
    }
    return text;
  }

  #backendText(backend: string): BackendText {
    let text = this.#backends.get(backend);
    if (text === undefined) {
      const host = backend.slice(0, backend.lastIndexOf(':')).replace('[', '').replace(']', '');
      text = { backend: `,"backend":${quote(backend, MAX_NAME)}`, serverIp: `,"serverIp":${quote(host, MAX_NAME)}` };
      if (this.#backends.size >= MAX_BACKENDS) this.#backends.clear();
      this.#backends.set(backend, text);
    }
    return text;
  }
}

/** Members with their leading comma. */
interface ConnectionText {
  readonly remoteIp: string;
  readonly proxy: string;
  readonly tls: string;
}

interface BackendText {
  readonly backend: string;
  readonly serverIp: string;
}

function requestUrl(record: ExchangeRecord): string {
  const { scheme, authority, target } = record.exchange;
  return target === '*' ? `${scheme}://${authority}` : `${scheme}://${authority}${target}`;
}

function tlsText(tls: TlsFacts): string {
  let text = `,"tls":{"protocol":${quote(tls.protocol, MAX_NAME)},"cipher":${quote(tls.cipher, MAX_NAME)}`;
  if (tls.group !== null) text += `,"group":${quote(tls.group, MAX_NAME)}`;
  if (tls.sni !== null) text += `,"sni":${quote(tls.sni, MAX_NAME)}`;
  if (tls.alpn !== null) text += `,"alpn":${quote(tls.alpn, MAX_NAME)}`;
  return `${text},"resumed":${tls.resumed},"ja4":${quote(tls.ja4, MAX_NAME)}}`;
}

function backendTlsText(tls: BackendTlsRecord): string {
  let text = ',"backendTls":{';
  if (tls.protocol !== '') text += `"protocol":"${tls.protocol}",`;
  if (tls.cipher !== '') text += `"cipher":${quote(tls.cipher, MAX_NAME)},`;
  text += `"resumed":${tls.resumed},"verdict":"${tls.verdict}"`;
  if (tls.reason !== null) text += `,"reason":${quote(tls.reason, MAX_DETAIL)}`;
  if (tls.rule !== null) text += `,"rule":${quote(tls.rule, MAX_NAME)}`;
  if (tls.depth >= 0) text += `,"depth":${tls.depth}`;
  return `${text}}`;
}

function headerValue(headers: HeaderList, name: string): string | null {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (headers[i] === name) return headers[i + 1]!;
  }
  return null;
}

/** Seconds with six decimals; toFixed costs five times as much (measured: 0.25 µs against 0.05 µs). */
function seconds(ms: number): string {
  const microseconds = Math.max(0, Math.round(ms * 1000));
  const whole = Math.floor(microseconds / 1_000_000);
  return `${whole}.${String(1_000_000 + (microseconds - whole * 1_000_000)).slice(1)}`;
}

const NO_BACKEND: BackendText = { backend: '', serverIp: '' };
// Together with the fixed members a line of one-byte characters stays below 4,096 bytes, which pipes take whole (line-writer.ts).
const MAX_URL = 2048;
const MAX_USER_AGENT = 512;
const MAX_REFERER = 512;
const MAX_METHOD = 32;
const MAX_NAME = 253; // a DNS name; resource names have 63
const MAX_DETAIL = 512;
const MAX_BACKENDS = 4096; // configured endpoints, but FQDN ones resolve to whatever the DNS says
