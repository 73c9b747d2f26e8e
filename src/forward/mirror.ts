// hot path: onBodyData runs per chunk of the request body of a mirrored exchange.
import type { BackendCall, BackendHandler, BackendRequest, BackendService, Requester } from '../backend/contract.ts';
import { type DeadlineQueues, Expiring } from '../base/deadline-queue.ts';
import { ProxyError } from '../base/errors.ts';
import type { HeaderList } from '../http/exchange.ts';
import type { MirrorResult } from '../http/exchange-record.ts';
import { forwardableTrailers } from '../http/hop-by-hop.ts';
import type { RemovedFields } from '../http/removed-fields.ts';
import { portColon } from '../routing/match.ts';
import { BodyCopy } from './body-copy.ts';

export interface MirrorTerms {
  readonly service: BackendService;
  readonly request: BackendRequest;
  readonly requester: Requester;
  /** Of request trailers. */
  readonly removed: RemovedFields;
  readonly deadlines: DeadlineQueues;
  /** Once, whatever became of it. */
  readonly onResult: (service: string, result: MirrorResult) => void;
}

/**
 * A copy of one request on its way to another service, whose response is thrown away. Nothing of it reaches the exchange: it is sent
 * once, it never holds the client up (what its backend does not take in time is copied, up to a limit, over which the copy is given up),
 * and its failures are counted only. It may outlive the exchange, up to its own service's timeoutSec.
 */
export class Mirror extends Expiring implements BackendHandler {
  readonly #terms: MirrorTerms;
  #call: BackendCall | null = null;
  /** Body bytes that its backend has not taken yet; null: none wait. */
  #pending: BodyCopy | null = null;
  #wantsBody = false;
  #bodyEnded: boolean;
  #trailers: HeaderList | null = null;
  #isTruncatable = false;
  #over = false;

  constructor(terms: MirrorTerms) {
    super();
    this.#terms = terms;
    this.#bodyEnded = terms.request.contentLength === 0;
  }

  /** Never throws. */
  start(): void {
    const { service, request, requester, deadlines } = this.#terms;
    try {
      const endpoint = service.pick([], requester);
      if (endpoint === null) {
        this.#end('failed');
        return;
      }
      deadlines.of(service.timeoutMs).add(this);
      const call = service.send(endpoint, request, this);
      if (this.#over) return;
      this.#call = call;
      if (this.#wantsBody) this.#giveBody();
    } catch {
      this.#end('failed'); // a defect of ours shows on the exchange itself
    }
  }

  // what the exchange brings

  onBodyData(chunk: Buffer): void {
    if (this.#over) return;
    if (this.#call !== null && this.#wantsBody && this.#pending === null) {
      this.#wantsBody = this.#call.writeBody(chunk);
      return;
    }
    this.#pending ??= new BodyCopy(MAX_PENDING_BYTES);
    if (!this.#pending.append(chunk)) this.#giveUp('dropped', 'the mirror does not keep up');
  }

  onBodyEnd(trailers: HeaderList): void {
    if (this.#over || this.#bodyEnded) return;
    this.#bodyEnded = true;
    const { service, removed } = this.#terms;
    if (trailers.length > 0 && service.httpVersion === 'http2') this.#trailers = forwardableTrailers(trailers, removed);
    if (this.#call !== null && this.#pending === null) this.#call.endBody(this.#trailers);
  }

  /** The exchange is over: half a body is of no use to anybody. */
  onExchangeOver(): void {
    if (!this.#bodyEnded) this.#giveUp('dropped', 'the request ended early');
  }

  // its backend's side

  onConnection(): void {}

  onBodyWanted(): void {
    this.#wantsBody = true;
    if (this.#call !== null) this.#giveBody();
  }

  onInterim(): void {}

  onResponse(status: number, headers: HeaderList): void {
    const { request, service } = this.#terms;
    if (request.method === 'HEAD' || status === 204 || status === 304 || service.httpVersion === 'http2') return;
    this.#isTruncatable = true;
    for (let i = 0; i < headers.length; i += 2) {
      if (headers[i] === 'content-length' || headers[i] === 'transfer-encoding') this.#isTruncatable = false;
    }
  }

  onData(): void {}

  /** A response that ended with its connection may have been cut: it proves nothing (security rule 30). */
  onEnd(): void {
    this.#end(this.#isTruncatable ? 'truncatable' : 'answered');
  }

  onUpgrade(_status: number, _headers: HeaderList, socket: { destroy(): void }): void {
    socket.destroy();
    this.#end('failed');
  }

  onError(): void {
    this.#end('failed');
  }

  override onExpired(): void {
    this.#giveUp('failed', 'timeoutSec');
  }

  #giveBody(): void {
    const call = this.#call!;
    if (this.#pending !== null) {
      const bytes = this.#pending.whole!;
      this.#pending = null;
      this.#wantsBody = call.writeBody(bytes);
    }
    if (this.#bodyEnded) call.endBody(this.#trailers);
  }

  #giveUp(result: MirrorResult, detail: string): void {
    if (this.#over) return;
    const call = this.#call;
    this.#end(result);
    call?.abort(new ProxyError('backend_timeout', { phase: 'mirror', detail }));
  }

  #end(result: MirrorResult): void {
    if (this.#over) return;
    this.#over = true;
    this.#call = null;
    this.#pending = null;
    this.cancelDeadline();
    this.#terms.onResult(this.#terms.service.name, result);
  }
}

/** The authority with `-shadow` behind its host, by which a server can tell copies (compute API, RequestMirrorPolicy). */
export function shadowAuthority(authority: string): string {
  const colonAt = portColon(authority);
  const host = colonAt === -1 ? authority : authority.slice(0, colonAt);
  if (host.endsWith(']')) return authority; // an IP literal has no such name
  return `${host}-shadow${colonAt === -1 ? '' : authority.slice(colonAt)}`;
}

/** As much as one stream of a client may have in flight before it is read (frontend/http2.ts). */
const MAX_PENDING_BYTES = 256 * 1024;
