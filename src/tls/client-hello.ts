// hot path: reads the first bytes of every connection. Index loops, no promise, no spread, no regex on a stranger's bytes.
import { parseHello } from './_hello-body.ts';

/** What a ClientHello says (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2). GREASE values (RFC 8701) are left out of every list; the rest keeps its order. */
export interface ClientHello {
  /** Version field of the first record: diagnostic only (RFC 8446 §5.1). */
  readonly recordVersion: number;
  readonly legacyVersion: number;
  /** supported_versions; null when the extension is absent and `legacyVersion` counts. */
  readonly supportedVersions: readonly number[] | null;
  /** With signalling values such as 0x00ff. */
  readonly cipherSuites: readonly number[];
  readonly compressionMethods: readonly number[];
  /** Extension types as sent. */
  readonly extensions: readonly number[];
  /** supported_groups; null when absent. */
  readonly groups: readonly number[] | null;
  /** Groups that a key share came for; null when the extension is absent. */
  readonly keyShares: readonly number[] | null;
  readonly pointFormats: readonly number[] | null;
  readonly signatureAlgorithms: readonly number[] | null;
  readonly signatureAlgorithmsCert: readonly number[] | null;
  /** Protocol names as latin1; a stranger's bytes. */
  readonly alpn: readonly string[] | null;
  /** Lower-cased, without a trailing dot, [a-z0-9._-] only; null when none came or it is an IP literal. */
  readonly serverName: string | null;
  /** The SNI exactly as sent: what node:tls reports as `servername` after the handshake. */
  readonly serverNameAsSent: string | null;
  /** First 16 bytes (the ticket key's name) of a session ticket (TLS <= 1.2) or of the first PSK identity; null when neither came. */
  readonly ticketKeyName: Buffer | null;
  readonly hasPreSharedKey: boolean;
  readonly hasSessionTicket: boolean;
  readonly statusRequest: boolean;
  readonly earlyData: boolean;
  /** TLS_FALLBACK_SCSV (RFC 7507) is among the suites. */
  readonly fallbackScsv: boolean;
  /** Bytes of the handshake message, its header included. */
  readonly byteLength: number;
}

/**
 * `need-more` is the only one that is not final. `plain-http`: a request line instead of TLS. `not-tls`: anything else, SSLv2-style
 * hellos included. `malformed`: TLS, but not a ClientHello that can be answered for. `too-large`: over the cap, counted in raw bytes.
 */
export type HelloStatus = 'need-more' | 'hello' | 'not-tls' | 'plain-http' | 'malformed' | 'too-large';

/**
 * Reads a ClientHello from a byte stream: incremental, linear in the bytes also for one-byte segments and one-byte records, bounded.
 * Never throws. After a final status further bytes are only kept.
 */
export class HelloReader {
  status: HelloStatus = 'need-more';
  hello: ClientHello | null = null;
  /** Why it is not a hello: fixed words and numbers, nothing of the stranger's text. Empty for `hello`. */
  detail = '';
  readonly #maxBytes: number;
  #raw: Buffer = NO_BYTES;
  #rawLength = 0;
  /** False while #raw is the caller's chunk itself. */
  #rawIsOurs = false;
  #recordStart = 0;
  #recordVersion = 0;
  /** The message, once it turned out to be split over records. */
  #message: Buffer = NO_BYTES;
  #messageLength = 0;
  /** Header and body, known after four bytes; 0 before. */
  #messageNeeds = 0;

  constructor(maxBytes: number = MAX_HELLO_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** All raw bytes so far, to be put back into the socket in one piece. */
  get bytes(): Buffer {
    return this.#rawLength === this.#raw.length ? this.#raw : this.#raw.subarray(0, this.#rawLength);
  }

  /** A copy of at most 4 KiB of the raw bytes: all of a hello that a log may keep (security rule 6). */
  get excerpt(): Buffer {
    return Buffer.from(this.#raw.subarray(0, Math.min(this.#rawLength, MAX_EXCERPT_BYTES)));
  }

  push(chunk: Buffer): HelloStatus {
    this.#keep(chunk);
    if (this.status === 'need-more' && this.#rawLength > 0) this.#read();
    return this.status;
  }

  #keep(chunk: Buffer): void {
    if (this.#rawLength === 0) {
      this.#raw = chunk;
      this.#rawLength = chunk.length;
      return;
    }
    const needed = this.#rawLength + chunk.length;
    if (!this.#rawIsOurs || needed > this.#raw.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#rawLength * 2, MIN_BUFFER_BYTES));
      this.#raw.copy(grown, 0, 0, this.#rawLength);
      this.#raw = grown;
      this.#rawIsOurs = true;
    }
    chunk.copy(this.#raw, this.#rawLength);
    this.#rawLength = needed;
  }

  #read(): void {
    if (this.#recordStart === 0 && this.#raw[0] !== HANDSHAKE) {
      this.#readForeign();
      return;
    }
    while (this.status === 'need-more') {
      if (!this.#readRecord()) break;
    }
    if (this.status === 'need-more' && this.#rawLength >= this.#maxBytes) this.#tooLarge();
  }

  /** One whole record; false: it is not all here yet. */
  #readRecord(): boolean {
    const start = this.#recordStart;
    const available = this.#rawLength - start;
    const raw = this.#raw;
    if (available >= 1 && raw[start] !== HANDSHAKE) {
      this.#end('malformed', `record of type ${raw[start]} inside the ClientHello`);
      return true;
    }
    if (available >= 2 && raw[start + 1] !== 3) {
      this.#end(start === 0 ? 'not-tls' : 'malformed', `record version ${raw[start + 1]}.x`);
      return true;
    }
    if (available < RECORD_HEADER_BYTES) return false;
    const length = raw.readUInt16BE(start + 3);
    // RFC 8446 §5.1: no empty handshake fragments, at most 2^14 bytes
    if (length === 0 || length > MAX_RECORD_BYTES) {
      this.#end('malformed', `handshake record of ${length} bytes`);
      return true;
    }
    const end = start + RECORD_HEADER_BYTES + length;
    if (start === 0) {
      this.#recordVersion = raw.readUInt16BE(1);
      if (!this.#readMessageHead(raw, RECORD_HEADER_BYTES, Math.min(this.#rawLength, end))) return true;
    }
    if (end > this.#maxBytes) {
      this.#tooLarge();
      return true;
    }
    if (this.#rawLength < end) return false;
    this.#recordStart = end;
    this.#readFragment(start + RECORD_HEADER_BYTES, end);
    return true;
  }

  #readFragment(from: number, to: number): void {
    if (this.#messageLength === 0 && this.#messageNeeds !== 0 && this.#messageNeeds <= to - from) {
      this.#finish(this.#raw, from, to); // the usual case: one record, nothing copied
      return;
    }
    const needed = this.#messageLength + (to - from);
    if (needed > this.#message.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#message.length * 2, MIN_BUFFER_BYTES));
      this.#message.copy(grown, 0, 0, this.#messageLength);
      this.#message = grown;
    }
    this.#raw.copy(this.#message, this.#messageLength, from, to);
    this.#messageLength = needed;
    if (!this.#readMessageHead(this.#message, 0, needed)) return;
    if (this.#messageNeeds !== 0 && needed >= this.#messageNeeds) this.#finish(this.#message, 0, needed);
  }

  /** Looks at type and length as soon as they are there; false: it is no ClientHello. */
  #readMessageHead(bytes: Buffer, from: number, to: number): boolean {
    if (to > from && bytes[from] !== CLIENT_HELLO) {
      this.#end('malformed', `handshake message of type ${bytes[from]} instead of a ClientHello`);
      return false;
    }
    if (this.#messageNeeds !== 0 || to - from < MESSAGE_HEADER_BYTES) return true;
    this.#messageNeeds = MESSAGE_HEADER_BYTES + bytes.readUIntBE(from + 1, 3);
    if (this.#messageNeeds + RECORD_HEADER_BYTES <= this.#maxBytes) return true;
    this.#tooLarge();
    return false;
  }

  #finish(bytes: Buffer, from: number, to: number): void {
    if (to - from !== this.#messageNeeds) {
      this.#end('malformed', 'more bytes after the ClientHello in its record'); // nothing may follow before our answer
      return;
    }
    const parsed = parseHello(bytes, from + MESSAGE_HEADER_BYTES, to, this.#recordVersion);
    this.#message = NO_BYTES;
    if (typeof parsed === 'string') {
      this.#end('malformed', parsed);
      return;
    }
    this.hello = parsed;
    this.status = 'hello';
  }

  #readForeign(): void {
    const raw = this.#raw;
    const length = this.#rawLength;
    const first = raw[0]!;
    if (first >= 20 && first <= 24) {
      if (length < 2) return;
      if (raw[1] === 3) this.#end('malformed', `record of type ${first} instead of a ClientHello`);
      else this.#end('not-tls', 'no TLS record');
      return;
    }
    if ((first & 0x80) !== 0) {
      if (length < 3) return;
      this.#end('not-tls', raw[2] === CLIENT_HELLO ? 'an SSLv2-style ClientHello' : 'no TLS record');
      return;
    }
    let undecided = false;
    for (let i = 0; i < HTTP_STARTS.length; i++) {
      const match = startsWith(raw, length, HTTP_STARTS[i]!);
      if (match === 'whole') {
        this.#end('plain-http', 'an HTTP request without TLS');
        return;
      }
      if (match === 'so-far') undecided = true;
    }
    if (!undecided) this.#end('not-tls', 'no TLS record');
  }

  #tooLarge(): void {
    this.#end('too-large', `ClientHello over ${this.#maxBytes} bytes`);
  }

  #end(status: HelloStatus, detail: string): void {
    this.status = status;
    this.detail = detail;
    this.#message = NO_BYTES;
  }
}

function startsWith(bytes: Buffer, length: number, word: string): 'no' | 'so-far' | 'whole' {
  for (let i = 0; i < word.length; i++) {
    if (i === length) return 'so-far';
    if (bytes[i] !== word.charCodeAt(i)) return 'no';
  }
  return 'whole';
}

const NO_BYTES = Buffer.alloc(0);
const HANDSHAKE = 22; // RFC 8446 §5.1
const CLIENT_HELLO = 1; // RFC 8446 §4
const RECORD_HEADER_BYTES = 5;
const MESSAGE_HEADER_BYTES = 4;
const MAX_RECORD_BYTES = 16_384; // RFC 8446 §5.1
const MAX_HELLO_BYTES = 65_536; // issue: "hello 64 KiB"; a post-quantum hello has about 1,600
const MAX_EXCERPT_BYTES = 4096;
const MIN_BUFFER_BYTES = 4096; // more than every ordinary hello
const HTTP_STARTS = ['GET ', 'HEAD ', 'POST ', 'PUT ', 'DELETE ', 'CONNECT ', 'OPTIONS ', 'TRACE ', 'PATCH ', 'PRI * '];
