// hot path: every byte that an HTTP/1 client sends passes here.
import type { ErrorCode } from '../base/errors.ts';
import { badFieldLine, readFieldLines, requestLineOf } from './_http1-lines.ts';
import type { HeaderList } from './exchange.ts';
import { isFieldByte, isTokenByte } from './field-value.ts';
import { hexDigit } from './hex-digit.ts';
import { MAX_HEAD_BYTES } from './request-head.ts';

/** What a reader tells of the request that it reads. */
export interface Http1RequestSink {
  /**
   * @param fields flat, names as received, values without surrounding whitespace
   * @returns how many bytes of body follow; -1: chunks
   */
  onHead(method: string, target: string, versionMajor: number, versionMinor: number, fields: readonly string[]): number;
  onBody(bytes: Buffer): void;
  /** After a body, not after a head without one; names of trailers in lower case. */
  onBodyEnd(trailers: HeaderList): void;
}

export interface Http1Fault {
  readonly code: ErrorCode;
  readonly detail: string;
}

/**
 * HTTP/1 requests in a stream of bytes (RFC 9112), one after another: the next begins when nextRequest() is called. Strict where
 * parsers differ: CR LF ends a line and nothing else does, no folded lines, no whitespace before a colon or around a chunk's size.
 * Where the bytes were cut on their way changes nothing of what is read, and costs at most a copy of the head.
 *
 * A body waits from the end of its head until `isHeld` is false; what read() did not take is the caller's to bring again.
 */
export class Http1RequestReader {
  isHeld: boolean;
  /** Set once; nothing is read after it. */
  fault: Http1Fault | null;
  readonly #sink: Http1RequestSink;
  #state: number;
  /** A head, or a section of trailers, that has not ended; null: none. */
  #partial: Buffer | null;
  #partialBytes: number;
  /** The unfinished head has not shown a request line. */
  #lacksRequestLine: boolean;
  /** Of the body or of the chunk. */
  #remaining: number;
  #sizeDigits: number;
  /** Over all chunks of a body. */
  #extensionBytes: number;

  constructor(sink: Http1RequestSink) {
    this.isHeld = false;
    this.fault = null;
    this.#sink = sink;
    this.#state = START;
    this.#partial = null;
    this.#partialBytes = 0;
    this.#lacksRequestLine = true;
    this.#remaining = 0;
    this.#sizeDigits = 0;
    this.#extensionBytes = 0;
  }

  /** The end of the stream would cut a head here. */
  get isInsideHead(): boolean {
    return this.#partialBytes > 0 && this.#state === HEAD;
  }

  /** The end of the stream would cut a body here. */
  get isInsideBody(): boolean {
    return this.#state >= BODY && this.#state !== BODY_ENDS;
  }

  /** The body is held, and so is everything behind it. */
  get isWaiting(): boolean {
    return this.#state >= BODY && this.isHeld;
  }

  /** The request has ended, its response too: another may begin. */
  nextRequest(): void {
    if (this.#state === ENDED) this.#state = START;
  }

  /**
   * Reads until the request ends, the body is held, or no byte is left.
   *
   * @returns the index of the first byte that was not taken
   */
  read(bytes: Buffer, from: number): number {
    const end = bytes.length;
    let at = from;
    while (this.fault === null) {
      if (this.isWaiting) return at;
      if (this.#state === BODY_ENDS) this.#endBody(NO_FIELDS);
      if (at >= end) return at;
      switch (this.#state) {
        case ENDED:
          return at;
        case START:
          at = this.#start(bytes[at]!, at);
          break;
        case START_LF:
          at = this.#expect(LF, bytes[at]!, at, START, 'failed_parsing_client_headers');
          break;
        case HEAD:
          at = this.#readHead(bytes, at);
          break;
        case BODY:
        case CHUNK_DATA:
          at = this.#readBody(bytes, at);
          break;
        case CHUNK_SIZE:
          at = this.#readChunkSize(bytes, at);
          break;
        case CHUNK_EXTENSION_NAME:
          if (isTokenByte(bytes[at]!)) this.#state = CHUNK_EXTENSION;
          else this.#fail(BAD_CHUNK, 'a chunk extension without a name', at);
          break;
        case CHUNK_EXTENSION:
          at = this.#readChunkExtension(bytes, at);
          break;
        case CHUNK_SIZE_LF:
          at = this.#expect(LF, bytes[at]!, at, this.#remaining === 0 ? TRAILERS_START : CHUNK_DATA, BAD_CHUNK);
          break;
        case CHUNK_CR:
          at = this.#expect(CR, bytes[at]!, at, CHUNK_LF, BAD_CHUNK);
          break;
        case CHUNK_LF:
          at = this.#expect(LF, bytes[at]!, at, CHUNK_SIZE, BAD_CHUNK);
          break;
        case TRAILERS_START:
          if (bytes[at] === CR) {
            this.#state = TRAILERS_LF;
            at++;
          } else {
            this.#state = TRAILERS;
            this.#lacksRequestLine = false;
          }
          break;
        case TRAILERS_LF:
          at = this.#expect(LF, bytes[at]!, at, BODY_ENDS, BAD_CHUNK);
          break;
        case TRAILERS:
          at = this.#readTrailers(bytes, at);
          break;
      }
    }
    return at;
  }

  /** RFC 9112 section 2.2: empty lines before a request are not part of it. */
  #start(byte: number, at: number): number {
    if (byte !== CR) {
      this.#state = HEAD;
      this.#lacksRequestLine = true;
      return at;
    }
    this.#state = START_LF;
    return at + 1;
  }

  #expect(expected: number, byte: number, at: number, next: number, code: ErrorCode): number {
    if (byte !== expected) return this.#fail(code, 'a line does not end with CR LF', at);
    this.#state = next;
    if (next === CHUNK_SIZE) this.#expectChunk();
    return at + 1;
  }

  #readHead(bytes: Buffer, from: number): number {
    if (this.#partial === null) {
      const headEnd = bytes.indexOf(HEAD_END, from, 'latin1');
      if (headEnd >= 0 && headEnd + HEAD_END.length - from <= MAX_HEAD_BYTES) {
        this.#parseHead(bytes.toString('latin1', from, headEnd + 2));
        return headEnd + HEAD_END.length;
      }
    }
    const before = this.#partialBytes;
    const taken = this.#keep(bytes, from);
    const text = this.#wholePartial(before);
    if (text !== null) {
      const used = text.length + 2 - before;
      this.#parseHead(text);
      return from + used;
    }
    this.#judgePartial(before);
    return from + taken;
  }

  /** `text`: up to the line break before the empty line. */
  #parseHead(text: string): void {
    const lineEnd = text.indexOf(LINE_END);
    const line = requestLineOf(text, lineEnd);
    if (line === null) {
      this.#fail('failed_parsing_client_headers', BAD_REQUEST_LINE, 0);
      return;
    }
    const fields: string[] = [];
    const badAt = readFieldLines(text, lineEnd + LINE_END.length, fields);
    if (badAt >= 0) {
      this.#fail('invalid_request_headers', badFieldLine(fields.length / 2), 0);
      return;
    }
    const { method, target, versionMajor, versionMinor } = line;
    this.isHeld = true; // until somebody wants it
    this.#state = ENDED;
    const length = this.#sink.onHead(method, target, versionMajor, versionMinor, fields);
    if (length === 0) return;
    this.#remaining = length;
    this.#extensionBytes = 0;
    if (length > 0) this.#state = BODY;
    else this.#expectChunk();
  }

  /** Tells early what the rest of a head or of trailers cannot mend, so that nobody waits for it. */
  #judgePartial(from: number): void {
    const partial = this.#partial!;
    let before = from === 0 ? 0 : partial[from - 1]!;
    for (let i = from; i < this.#partialBytes; i++) {
      const byte = partial[i]!;
      const isText = byte === CR || byte === LF || isFieldByte(byte);
      if (!isText || (byte === LF) !== (before === CR) || (i === 0 && !isTokenByte(byte))) {
        this.#failPartial('a byte that has no place there');
        return;
      }
      if (byte === LF && this.#lacksRequestLine) {
        if (requestLineOf(partial.toString('latin1', 0, i - 1), i - 1) === null) {
          this.#failPartial(BAD_REQUEST_LINE);
          return;
        }
        this.#lacksRequestLine = false;
      }
      before = byte;
    }
    if (this.#partialBytes < MAX_HEAD_BYTES) return;
    const code = this.#state === HEAD ? 'headers_too_long' : BAD_CHUNK;
    this.#fail(code, `over ${MAX_HEAD_BYTES} bytes without an end`, 0);
  }

  #failPartial(detail: string): void {
    const ofHead = this.#lacksRequestLine ? 'failed_parsing_client_headers' : 'invalid_request_headers';
    this.#fail(this.#state === HEAD ? ofHead : BAD_CHUNK, detail, 0);
  }

  #readBody(bytes: Buffer, from: number): number {
    const take = Math.min(this.#remaining, bytes.length - from);
    const isWhole = take === bytes.length;
    this.#remaining -= take;
    if (this.#remaining === 0) this.#state = this.#state === BODY ? BODY_ENDS : CHUNK_CR;
    this.#sink.onBody(isWhole ? bytes : bytes.subarray(from, from + take));
    return from + take;
  }

  #endBody(trailers: HeaderList): void {
    this.#state = ENDED;
    this.#sink.onBodyEnd(trailers);
  }

  #expectChunk(): void {
    this.#state = CHUNK_SIZE;
    this.#remaining = 0;
    this.#sizeDigits = 0;
  }

  #readChunkSize(bytes: Buffer, from: number): number {
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at]!;
      const digit = hexDigit(byte);
      if (digit >= 0) {
        this.#sizeDigits++;
        if (this.#sizeDigits > MAX_SIZE_DIGITS) return this.#fail(BAD_CHUNK, 'a chunk size that is too large', at);
        this.#remaining = this.#remaining * 16 + digit;
        continue;
      }
      if (this.#sizeDigits === 0 || (byte !== CR && byte !== SEMICOLON)) {
        return this.#fail(BAD_CHUNK, 'a chunk size that is not hexadecimal digits', at);
      }
      this.#state = byte === CR ? CHUNK_SIZE_LF : CHUNK_EXTENSION_NAME;
      return at + 1;
    }
    return bytes.length;
  }

  /** RFC 9112 section 7.1.1: what nobody knows is ignored; within bounds, and never over the end of its line. */
  #readChunkExtension(bytes: Buffer, from: number): number {
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (byte === CR) {
        this.#state = CHUNK_SIZE_LF;
        return at + 1;
      }
      if (!isFieldByte(byte)) return this.#fail(BAD_CHUNK, 'a control character in a chunk extension', at);
      this.#extensionBytes++;
      if (this.#extensionBytes > MAX_EXTENSION_BYTES) {
        return this.#fail(BAD_CHUNK, `over ${MAX_EXTENSION_BYTES} bytes of chunk extensions`, at);
      }
    }
    return bytes.length;
  }

  #readTrailers(bytes: Buffer, from: number): number {
    const before = this.#partialBytes;
    const taken = this.#keep(bytes, from);
    const text = this.#wholePartial(before);
    if (text === null) {
      this.#judgePartial(before);
      return from + taken;
    }
    const trailers: string[] = [];
    if (readFieldLines(text, 0, trailers) >= 0) {
      return this.#fail(BAD_CHUNK, `${badFieldLine(trailers.length / 2)} of the trailers`, from);
    }
    for (let i = 0; i < trailers.length; i += 2) {
      const name = trailers[i]!.toLowerCase();
      // RFC 9110 section 6.5.1: what frames a message cannot come at its end
      if (name === 'content-length' || name === 'transfer-encoding') {
        return this.#fail(BAD_CHUNK, `${name} among the trailers`, from);
      }
      trailers[i] = name;
    }
    this.#endBody(trailers);
    return from + text.length + 2 - before;
  }

  /** Adds what may belong to the unfinished head; returns how much that was. */
  #keep(bytes: Buffer, from: number): number {
    const taken = Math.min(bytes.length - from, MAX_HEAD_BYTES - this.#partialBytes);
    const needed = this.#partialBytes + taken;
    if (this.#partial === null || this.#partial.length < needed) {
      const larger = Buffer.allocUnsafe(Math.min(MAX_HEAD_BYTES, Math.max(MIN_PARTIAL_BYTES, needed * 2)));
      this.#partial?.copy(larger, 0, 0, this.#partialBytes);
      this.#partial = larger;
    }
    bytes.copy(this.#partial, this.#partialBytes, from, from + taken);
    this.#partialBytes = needed;
    return taken;
  }

  /** The text up to the line break before the empty line, when that has come; then nothing is kept any more. */
  #wholePartial(looked: number): string | null {
    const partial = this.#partial!;
    const end = partial.indexOf(HEAD_END, Math.max(0, looked - HEAD_END.length + 1), 'latin1');
    if (end < 0 || end + HEAD_END.length > this.#partialBytes) return null;
    const text = partial.toString('latin1', 0, end + LINE_END.length);
    this.#partial = null;
    this.#partialBytes = 0;
    return text;
  }

  #fail(code: ErrorCode, detail: string, at: number): number {
    this.fault = { code, detail };
    this.#partial = null;
    return at;
  }
}

const NO_FIELDS: HeaderList = [];
const LINE_END = '\r\n';
const HEAD_END = '\r\n\r\n';
const BAD_REQUEST_LINE = 'the first line is not METHOD SP target SP HTTP/x.y';
const BAD_CHUNK: ErrorCode = 'invalid_chunk_framing';

// What is read next; bodies and all of their parts from BODY on.
const ENDED = 0;
const START = 1;
const START_LF = 2;
const HEAD = 3;
const BODY = 4;
const CHUNK_SIZE = 5;
const CHUNK_EXTENSION_NAME = 6;
const CHUNK_EXTENSION = 7;
const CHUNK_SIZE_LF = 8;
const CHUNK_DATA = 9;
const CHUNK_CR = 10;
const CHUNK_LF = 11;
const TRAILERS_START = 12;
const TRAILERS_LF = 13;
const TRAILERS = 14;
const BODY_ENDS = 15;

const LF = 0x0a;
const CR = 0x0d;
const SEMICOLON = 0x3b;

const MAX_SIZE_DIGITS = 13; // 52 bits: a Number holds every such size exactly
const MAX_EXTENSION_BYTES = 16 * 1024; // Node's, since CVE-2024-22019
const MIN_PARTIAL_BYTES = 1024; // ours: most heads are smaller
