// hot path: the head once per response, the rest once per piece of a body.
import { isFieldByte } from './field-value.ts';
import { type ResponseFields, readResponseFields } from './http1-response-fields.ts';

/** Who is told what was read; it may pause or stop the reader from within. */
export interface ResponseListener {
  /** Interim heads too. Whether a body can follow a final one, or the connection is no longer HTTP. */
  onHead(status: number, fields: ResponseFields): 'body' | 'no-body' | 'switched';
  onBody(piece: Buffer): void;
}

/** Why bytes are no response: beyond the limit of a head, or not what RFC 9112 allows. */
export interface ReadFault {
  readonly isTooLong: boolean;
  /** Fits behind "the backend sent". */
  readonly found: string;
}

/**
 * Reads the responses of one connection (RFC 9112), and refuses what two recipients could read differently: lines end in CR LF, nothing is
 * folded, one framing is declared. Heads, trailers and nothing else are held until they are whole, within the limit of a head.
 *
 *   head ──1xx──▶ head ──▶ length | chunk-size → chunk ⇄ …, trailers | until-close ──▶ complete ──▶ idle
 */
export class ResponseReader {
  /** Of the last response; empty until it is complete. */
  trailers: readonly string[] = NONE;
  readonly #listener: ResponseListener;
  readonly #maxHeadBytes: number;
  #state: State = IDLE;
  #paused = false;
  /** Of a head or of trailers: what came so far, in the first bytes of a buffer that grows. */
  #held: Buffer = EMPTY;
  #heldBytes = 0;
  /** Of the body, or of the chunk. */
  #missing = 0;
  /** Of the line that begins a chunk. */
  #lineBytes = 0;

  /** `maxHeadBytes`: of the fields of a head, or of trailers, as `name: value CR LF`. */
  constructor(listener: ResponseListener, maxHeadBytes: number) {
    this.#listener = listener;
    this.#maxHeadBytes = maxHeadBytes;
  }

  /** A request goes out: what comes next is its response. */
  expect(): void {
    this.#state = HEAD;
    this.#paused = false;
    this.trailers = NONE;
  }

  /** Nothing is expected, or wanted, any more. */
  stop(): void {
    this.#state = IDLE;
    this.#heldBytes = 0;
    this.#held = EMPTY;
  }

  get isComplete(): boolean {
    return this.#state === COMPLETE;
  }

  get isSwitched(): boolean {
    return this.#state === SWITCHED;
  }

  /** The body ends with the connection. */
  get endsWithConnection(): boolean {
    return this.#state === UNTIL_CLOSE;
  }

  /** From now on read() takes nothing. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
  }

  /** How many of the bytes are used up: all, unless it was paused or the response is complete, switched or stopped before their end. */
  read(bytes: Buffer): number | ReadFault {
    let at = 0;
    while (at < bytes.length && this.#state < COMPLETE && !this.#paused) {
      const next = this.#step(bytes, at);
      if (typeof next !== 'number') return next;
      at = next;
    }
    return at;
  }

  #step(bytes: Buffer, at: number): number | ReadFault {
    switch (this.#state) {
      case HEAD:
        return this.#readHead(bytes, at);
      case LENGTH:
        return this.#readPiece(bytes, at, COMPLETE);
      case CHUNK:
        return this.#readPiece(bytes, at, CHUNK_CR);
      case TRAILERS:
        return this.#readTrailers(bytes, at);
      case UNTIL_CLOSE:
        this.#listener.onBody(at === 0 ? bytes : bytes.subarray(at));
        return bytes.length;
      default:
        return this.#readChunkLine(bytes, at);
    }
  }

  #readHead(bytes: Buffer, from: number): number | ReadFault {
    let at = from;
    // RFC 9112 section 2.2: empty lines before a message are no part of it
    if (this.#heldBytes === 0) while (at < bytes.length && isLineEnd(bytes[at]!)) at++;
    if (at === bytes.length) return at;
    let text: string;
    let end = this.#heldBytes === 0 ? bytes.indexOf(HEAD_END, at) : -1;
    if (end !== -1) {
      text = bytes.toString('latin1', at, end + 2);
      end += HEAD_END.length;
    } else {
      const before = this.#heldBytes;
      end = this.#hold(bytes, at);
      if (end === -1) return this.#heldFault(before) ?? bytes.length;
      text = this.#release(0);
    }
    const status = statusOf(text);
    if (status === -1) return corrupted('what is no status line');
    const fieldsAt = text.indexOf('\n') + 1;
    const fields = readResponseFields(text, fieldsAt);
    if (typeof fields === 'string') return corrupted(fields);
    if (fields.bytes > this.#maxHeadBytes) return this.#tooLong();
    if (!text.startsWith(HTTP_11)) beTreatedAsHttp10(fields);
    this.#begin(status, fields);
    return end;
  }

  #begin(status: number, fields: ResponseFields): void {
    const follows = this.#listener.onHead(status, fields);
    if (this.#state !== HEAD) return; // stopped
    if (follows === 'switched') this.#state = SWITCHED;
    else if (status < 200) return;
    else if (follows === 'no-body') this.#state = COMPLETE;
    else if (fields.isChunked) this.#beginChunk();
    else if (fields.contentLength === -1) this.#state = UNTIL_CLOSE;
    else {
      this.#missing = fields.contentLength;
      this.#state = this.#missing === 0 ? COMPLETE : LENGTH;
    }
  }

  #readPiece(bytes: Buffer, at: number, next: State): number {
    const end = Math.min(bytes.length, at + this.#missing);
    this.#missing -= end - at;
    if (this.#missing === 0) this.#state = next;
    this.#listener.onBody(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
    return end;
  }

  #beginChunk(): void {
    this.#state = CHUNK_SIZE;
    this.#missing = 0;
    this.#lineBytes = 0;
  }

  /** `1a2b;extension CR LF` before a chunk, CR LF after one (RFC 9112 section 7.1). */
  #readChunkLine(bytes: Buffer, from: number): number | ReadFault {
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (++this.#lineBytes > MAX_CHUNK_LINE_BYTES) return corrupted('a chunk with a long extension');
      switch (this.#state) {
        case CHUNK_SIZE: {
          const digit = hexDigit(byte);
          if (digit !== -1) {
            this.#missing = this.#missing * 16 + digit;
            if (this.#missing > MAX_CHUNK_BYTES) return corrupted('a chunk size that is too large');
          } else if (this.#lineBytes > 1 && byte === SEMICOLON) this.#state = CHUNK_EXTENSION;
          else if (this.#lineBytes > 1 && byte === CR) this.#state = CHUNK_SIZE_LF;
          else return corrupted('a chunk size that is no number');
          break;
        }
        case CHUNK_EXTENSION:
          if (byte === CR) this.#state = CHUNK_SIZE_LF;
          else if (!isFieldByte(byte)) return corrupted('a control byte in a chunk extension');
          break;
        case CHUNK_SIZE_LF:
          if (byte !== LF) return corrupted('a bare CR after a chunk size');
          this.#state = this.#missing === 0 ? TRAILERS : CHUNK;
          return at + 1;
        case CHUNK_CR:
          if (byte !== CR) return corrupted('a chunk that is longer than its size');
          this.#state = CHUNK_LF;
          break;
        default:
          if (byte !== LF) return corrupted('a bare CR after a chunk');
          this.#beginChunk();
      }
    }
    return bytes.length;
  }

  #readTrailers(bytes: Buffer, at: number): number | ReadFault {
    if (this.#heldBytes === 0) {
      if (at + 1 < bytes.length && bytes[at] === CR && bytes[at + 1] === LF) {
        this.#state = COMPLETE;
        return at + 2;
      }
      this.#hold(LINE_END, 0); // so that trailers end as a head does, even where there are none
    }
    const before = this.#heldBytes;
    const end = this.#hold(bytes, at);
    if (end === -1) return this.#heldFault(before) ?? bytes.length;
    const fields = readResponseFields(this.#release(LINE_END.length), 0);
    if (typeof fields === 'string') return corrupted(fields);
    if (fields.contentLength !== -1) return corrupted('a Content-Length among the trailers');
    if (fields.bytes > this.#maxHeadBytes) return this.#tooLong();
    this.trailers = fields.list;
    this.#state = COMPLETE;
    return end;
  }

  /** Adds the bytes to what is held. Where what they end is in them: how many of them that takes; else -1. */
  #hold(bytes: Buffer, at: number): number {
    const before = this.#heldBytes;
    const after = before + bytes.length - at;
    if (after > this.#held.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(MIN_HELD_BYTES, after * 2));
      this.#held.copy(larger, 0, 0, before);
      this.#held = larger;
    }
    bytes.copy(this.#held, before, at);
    this.#heldBytes = after;
    const end = this.#held.subarray(0, after).indexOf(HEAD_END, Math.max(0, before - HEAD_END.length + 1));
    if (end === -1) return -1;
    this.#heldBytes = end + HEAD_END.length;
    return at + this.#heldBytes - before;
  }

  /** What is held, up to the CR LF of its last line. */
  #release(from: number): string {
    const text = this.#held.toString('latin1', from, this.#heldBytes - 2);
    this.#heldBytes = 0;
    this.#held = EMPTY;
    return text;
  }

  #tooLong(): ReadFault {
    return { isTooLong: true, found: `a response head of more than ${this.#maxHeadBytes} bytes` };
  }

  /** What is wrong already with the bytes from there on: nobody waits for the end of what will never be a head. */
  #heldFault(from: number): ReadFault | null {
    const held = this.#held;
    const bytes = this.#heldBytes;
    if (bytes > MAX_STATUS_LINE_BYTES + this.#maxHeadBytes) return this.#tooLong();
    if (this.#state === HEAD && !couldBeHttp(held, bytes)) return corrupted('what is no status line');
    for (let i = held.indexOf(LF, from); i !== -1 && i < bytes; i = held.indexOf(LF, i + 1)) {
      if (i === 0 || held[i - 1] !== CR) return corrupted('a bare LF');
    }
    return null;
  }
}

/** `HTTP/1.1 200` and what may follow, or -1. The reason is nobody's (RFC 9112 section 4), but it has no line end in it. */
function statusOf(text: string): number {
  if (!text.startsWith(HTTP_11) && !isOtherVersion(text)) return -1;
  let status = 0;
  for (let i = HTTP_11.length; i < STATUS_END; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (!(digit >= 0 && digit <= 9)) return -1;
    status = status * 10 + digit;
  }
  let at = STATUS_END;
  const after = text.charCodeAt(at);
  if (after !== SPACE && after !== CR) return -1;
  at = text.indexOf('\r', at);
  return text.charCodeAt(at + 1) === LF && text.indexOf('\n') === at + 1 ? status : -1;
}

/** Read as HTTP/1.0: framed by the same fields, and no second exchange unless it is asked for. */
function isOtherVersion(text: string): boolean {
  return text.startsWith('HTTP/1.0 ') || text.startsWith('HTTP/0.9 ') || text.startsWith('HTTP/2.0 ');
}

function beTreatedAsHttp10(fields: ResponseFields): void {
  // RFC 9112 section 6.1: chunks in HTTP/1.0 are read, and the connection closed after them
  fields.closes = fields.closes || !fields.keepsAlive || fields.isChunked;
}

function couldBeHttp(held: Buffer, bytes: number): boolean {
  for (let i = 0; i < Math.min(bytes, HTTP.length); i++) if (held[i] !== HTTP[i]) return false;
  return true;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function isLineEnd(byte: number): boolean {
  return byte === CR || byte === LF;
}

function corrupted(found: string): ReadFault {
  return { isTooLong: false, found };
}

type State =
  | typeof HEAD
  | typeof LENGTH
  | typeof CHUNK_SIZE
  | typeof CHUNK_EXTENSION
  | typeof CHUNK_SIZE_LF
  | typeof CHUNK
  | typeof CHUNK_CR
  | typeof CHUNK_LF
  | typeof TRAILERS
  | typeof UNTIL_CLOSE
  | typeof COMPLETE
  | typeof SWITCHED
  | typeof IDLE;
/** In this order: from COMPLETE on, nothing more is read. */
const HEAD = 0;
const LENGTH = 1;
const CHUNK_SIZE = 2;
const CHUNK_EXTENSION = 3;
const CHUNK_SIZE_LF = 4;
const CHUNK = 5;
const CHUNK_CR = 6;
const CHUNK_LF = 7;
const TRAILERS = 8;
const UNTIL_CLOSE = 9;
const COMPLETE = 10;
const SWITCHED = 11;
const IDLE = 12;

const NONE: readonly string[] = [];
const EMPTY = Buffer.alloc(0);
const HEAD_END = Buffer.from('\r\n\r\n');
const LINE_END = Buffer.from('\r\n');
const HTTP = Buffer.from('HTTP/');
const HTTP_11 = 'HTTP/1.1 ';
const STATUS_END = HTTP_11.length + 3;
const MAX_STATUS_LINE_BYTES = 8192; // as nginx and HAProxy allow for a line
const MAX_CHUNK_LINE_BYTES = 4096; // its extensions are nobody's, and are dropped
const MAX_CHUNK_BYTES = 2 ** 48;
const MIN_HELD_BYTES = 1024;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const SEMICOLON = 0x3b;
