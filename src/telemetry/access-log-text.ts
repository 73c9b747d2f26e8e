// hot path: the parts of an access line that a connection or a backend has in common, serialised once. All members have their leading
// comma. Comparing what a cached part was made of is cheaper than making it again (measured: a line costs half).

import type { ClientCertificateFacts } from '../http/client-certificate.ts';
import type { ConnectionFacts, Exchange, TlsFacts } from '../http/exchange.ts';
import type { BackendTlsRecord, ExchangeRecord } from '../http/exchange-record.ts';
import { isPlain, quote } from './escape.ts';

export class ConnectionText {
  readonly proxy: string;
  readonly tls: string;
  readonly #remoteIp: string;
  #userAgent: string;
  #client: string;
  #scheme: string;
  #authority: string;
  /** The member up to the path; null: to be escaped. */
  #origin: string | null;

  constructor(connection: ConnectionFacts) {
    this.proxy = proxyText(connection);
    this.tls = connection.tls === null ? '' : tlsText(connection.tls);
    this.#remoteIp = flat(`,"remoteIp":${quote(connection.remoteAddress, MAX_NAME)}`);
    this.#userAgent = '';
    this.#client = this.#remoteIp;
    this.#scheme = '';
    this.#authority = '';
    this.#origin = null;
  }

  /** requestUrl; a connection's requests mostly have one authority. */
  urlText(exchange: RequestUrl): string {
    const { scheme, authority, target } = exchange;
    if (authority.length > MAX_NAME || target === '*') return urlMember(requestUrl(exchange)); // too long to be kept
    if (authority !== this.#authority || scheme !== this.#scheme) {
      this.#authority = authority;
      this.#scheme = scheme;
      this.#origin = isPlain(authority) ? flat(`,"requestUrl":"${scheme}://${authority}`) : null;
    }
    const origin = this.#origin;
    const isWhole = origin !== null && origin.length + target.length <= MAX_URL_MEMBER;
    return isWhole && isPlain(target) ? `${origin}${target}"` : urlMember(requestUrl(exchange));
  }

  /** userAgent and remoteIp; a connection's requests mostly come from one user agent. */
  clientText(userAgent: string): string {
    if (userAgent !== this.#userAgent) {
      this.#userAgent = userAgent;
      const member = userAgent === '' ? '' : `,"userAgent":${quote(userAgent, MAX_USER_AGENT)}`;
      this.#client = flat(member + this.#remoteIp);
    }
    return this.#client;
  }
}

export class BackendText {
  readonly serverIp: string;
  readonly #backend: string;
  #urlMap = '';
  #service: string | null = null;
  #attempts = 0;
  #route: string;
  #tls: BackendTlsRecord | null = null;
  #tlsText = '';

  /** `backend`: 'address:port', or null for requests that had none. */
  constructor(backend: string | null) {
    this.#backend = backend === null ? '' : flat(`,"backend":${quote(backend, MAX_NAME)}`);
    this.serverIp = backend === null ? '' : flat(`,"serverIp":${quote(hostOf(backend), MAX_NAME)}`);
    this.#route = this.#backend;
  }

  /** urlMap, backendService, backend and attempts. */
  routeText(record: ExchangeRecord): string {
    if (
      record.attempts !== this.#attempts ||
      record.backendService !== this.#service ||
      record.urlMap !== this.#urlMap
    ) {
      this.#attempts = record.attempts;
      this.#service = record.backendService;
      this.#urlMap = record.urlMap;
      let text = record.urlMap === '' ? '' : `,"urlMap":${quote(record.urlMap, MAX_NAME)}`;
      if (record.backendService !== null) text += `,"backendService":${quote(record.backendService, MAX_NAME)}`;
      text += this.#backend;
      if (record.attempts > 0) text += `,"attempts":${record.attempts}`;
      this.#route = flat(text);
    }
    return this.#route;
  }

  tlsText(tls: BackendTlsRecord | null): string {
    if (tls === null) return '';
    if (this.#tls === null || !isSame(tls, this.#tls)) {
      this.#tls = tls;
      this.#tlsText = flat(backendTlsMember(tls));
    }
    return this.#tlsText;
  }
}

export type RequestUrl = Pick<Exchange, 'scheme' | 'authority' | 'target'>;

export function requestUrl({ scheme, authority, target }: RequestUrl): string {
  return target === '*' ? `${scheme}://${authority}` : `${scheme}://${authority}${target}`;
}

export function urlMember(url: string): string {
  return `,"requestUrl":${quote(url, MAX_URL)}`;
}

function isSame(a: BackendTlsRecord, b: BackendTlsRecord): boolean {
  if (a === b) return true;
  return (
    a.protocol === b.protocol &&
    a.cipher === b.cipher &&
    a.resumed === b.resumed &&
    a.verdict === b.verdict &&
    a.reason === b.reason &&
    a.rule === b.rule &&
    a.depth === b.depth
  );
}

function proxyText({ targetProxy, forwardingRule }: ConnectionFacts): string {
  if (targetProxy !== lastProxy.targetProxy || forwardingRule !== lastProxy.forwardingRule) {
    const rule = quote(forwardingRule, MAX_NAME);
    const text = flat(`,"targetProxy":${quote(targetProxy, MAX_NAME)},"forwardingRule":${rule}`);
    lastProxy = { targetProxy, forwardingRule, text };
  }
  return lastProxy.text;
}

function tlsText(tls: TlsFacts): string {
  if (tls.clientCertificate) return flat(tlsMember(tls)); // it has that in common with nobody
  if (lastTls === null || !isSameTls(tls, lastTls)) {
    const { protocol, cipher, group, sni, alpn, resumed, ja4 } = tls;
    lastTls = { protocol, cipher, group, sni, alpn, resumed, ja4, text: flat(tlsMember(tls)) };
  }
  return lastTls.text;
}

function isSameTls(a: TlsFacts, b: LastTls): boolean {
  return (
    a.cipher === b.cipher &&
    a.group === b.group &&
    a.ja4 === b.ja4 &&
    a.protocol === b.protocol &&
    a.resumed === b.resumed &&
    a.alpn === b.alpn &&
    a.sni === b.sni
  );
}

function tlsMember(tls: TlsFacts): string {
  let text = `,"tls":{"protocol":${quote(tls.protocol, MAX_NAME)},"cipher":${quote(tls.cipher, MAX_NAME)}`;
  if (tls.group !== null) text += `,"group":${quote(tls.group, MAX_NAME)}`;
  if (tls.sni !== null) text += `,"sni":${quote(tls.sni, MAX_NAME)}`;
  if (tls.alpn !== null) text += `,"alpn":${quote(tls.alpn, MAX_NAME)}`;
  text += `,"resumed":${tls.resumed},"ja4":${quote(tls.ja4, MAX_NAME)}`;
  return tls.clientCertificate ? `${text}${clientCertMembers(tls.clientCertificate)}}` : `${text}}`;
}

/** Only where the proxy asks for certificates. Who an unverified client claims to be is a stranger's text. */
function clientCertMembers({ present, verified, error, reason, leaf }: ClientCertificateFacts): string {
  let text = `,"clientCertPresent":${present},"clientCertChainVerified":${verified}`;
  if (error !== null) text += `,"clientCertError":"${error}"`;
  if (reason !== '') text += `,"clientCertReason":${quote(reason, MAX_REASON)}`;
  if (leaf === null) return text;
  text += `,"clientCertSha256Fingerprint":"${leaf.sha256}","clientCertSerialNumber":${quote(leaf.serialHex, MAX_NAME)}`;
  text += `,"clientCertSubject":${quote(leaf.subject, MAX_NAME)},"clientCertIssuer":${quote(leaf.issuer, MAX_NAME)}`;
  return `${text},"clientCertValidNotAfter":"${new Date(leaf.notAfterMs).toISOString()}"`;
}

function backendTlsMember(tls: BackendTlsRecord): string {
  let text = ',"backendTls":{';
  if (tls.protocol !== '') text += `"protocol":${quote(tls.protocol, MAX_NAME)},`;
  if (tls.cipher !== '') text += `"cipher":${quote(tls.cipher, MAX_NAME)},`;
  text += `"resumed":${tls.resumed},"verdict":${quote(tls.verdict, MAX_NAME)}`;
  if (tls.reason !== null) text += `,"reason":${quote(tls.reason, MAX_REASON)}`;
  if (tls.rule !== null) text += `,"rule":${quote(tls.rule, MAX_NAME)}`;
  if (tls.depth >= 0) text += `,"depth":${tls.depth}`;
  return `${text}}`;
}

/** '127.0.0.1' of '127.0.0.1:9443', '::1' of '[::1]:9443'. */
function hostOf(backend: string): string {
  const host = backend.slice(0, backend.lastIndexOf(':'));
  return host.startsWith('[') ? host.slice(1, -1) : host;
}

/** V8 keeps a concatenation as a tree and walks it in every line it becomes part of; reading a character makes it one piece. */
function flat(text: string): string {
  text.charCodeAt(0);
  return text;
}

interface LastTls extends Pick<TlsFacts, 'protocol' | 'cipher' | 'group' | 'sni' | 'alpn' | 'resumed' | 'ja4'> {
  readonly text: string;
}

/** Of the last connection: most are alike. */
let lastProxy = { targetProxy: '', forwardingRule: '', text: ',"targetProxy":"","forwardingRule":""' };
let lastTls: LastTls | null = null;

const MAX_URL = 2048;
const MAX_URL_MEMBER = ',"requestUrl":"'.length + MAX_URL;
const MAX_NAME = 253; // a DNS name; resource names have 63
const MAX_USER_AGENT = 512;
const MAX_REASON = 512;
