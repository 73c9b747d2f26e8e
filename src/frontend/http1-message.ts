// hot path
import { IncomingMessage, ServerResponse } from 'node:http';
import { type RequestHead, readHttp1Head } from '../http/request-head.ts';
import type { Http1Exchange } from './http1-exchange.ts';

/**
 * The request as node:http makes it, with the head read once by our rules. `headers`, from which node:http would take its own
 * decisions (417, 400 without Host), is replaced: it tells Node only whether a body follows.
 */
export class Http1Request extends IncomingMessage {
  /** node:http's: the parser stopped after this head, and the socket is ours. */
  declare upgrade: boolean;
  exchange: Http1Exchange | null = null;
  #head: RequestHead | null = null;

  get head(): RequestHead {
    if (this.#head === null) {
      // `encrypted` is what tells a TLS socket from a plain one
      const secure = (this.socket as { encrypted?: boolean }).encrypted === true;
      this.#head = readHttp1Head(
        this.method ?? '',
        this.url ?? '',
        this.httpVersionMajor,
        this.httpVersionMinor,
        this.rawHeaders,
        secure,
      );
    }
    return this.#head;
  }
}

export class Http1Response extends ServerResponse<Http1Request> {
  exchange: Http1Exchange | null = null;
}

// Node's own accessor is on the prototype; a class field or getter could not replace its type
Object.defineProperty(Http1Request.prototype, 'headers', {
  get(this: Http1Request) {
    return this.head.contentLength === 0 ? HEADERS_WITHOUT_BODY : HEADERS_WITH_BODY;
  },
  set() {},
});

const HEADERS_WITHOUT_BODY = {};
const HEADERS_WITH_BODY = { 'content-length': '' };
