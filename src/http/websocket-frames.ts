// hot path: push() runs per chunk of a WebSocket; it looks at frame headers and skips payloads.

/** Where one direction of a WebSocket stands between its frames (RFC 6455 section 5.2); extensions do not change the framing. */
export class WebSocketFrames {
  /** A close frame has begun: no frame may follow it. */
  hasClose = false;
  /** Bytes of the current header so far, and of the whole header; the latter is known after two. */
  #seen = 0;
  #needs = 2;
  #lengthEnd = 2;
  #length = 0;
  #opcode = 0;
  /** Payload bytes to come. */
  #rest = 0;

  /** All that has passed is whole frames: another may be put in here. */
  get isAtBoundary(): boolean {
    return this.#seen === 0 && this.#rest === 0;
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#rest > 0) {
        const skipped = Math.min(this.#rest, chunk.length - at);
        this.#rest -= skipped;
        at += skipped;
      } else {
        this.#readHeaderByte(chunk[at]!);
        at++;
      }
    }
  }

  #readHeaderByte(byte: number): void {
    if (this.#seen === 0) {
      this.#opcode = byte & 0x0f;
    } else if (this.#seen === 1) {
      const length = byte & 0x7f;
      this.#length = length < 126 ? length : 0;
      this.#lengthEnd = length < 126 ? 2 : length === 126 ? 4 : 10;
      this.#needs = this.#lengthEnd + ((byte & 0x80) === 0 ? 0 : MASK_BYTES);
    } else if (this.#seen < this.#lengthEnd) {
      this.#length = this.#length * 256 + byte; // beyond 2^53 it is not exact, and nobody sees its end
    }
    this.#seen++;
    if (this.#seen < this.#needs || this.#seen < 2) return;
    if (this.#opcode === CLOSE) this.hasClose = true;
    this.#rest = this.#length;
    this.#seen = 0;
    this.#needs = 2;
  }
}

/** 1001, going away; `mask`: four unpredictable bytes, for frames towards a server (RFC 6455 sections 5.3 and 7.4.1). */
export function goingAwayFrame(mask: Uint8Array | null): Buffer {
  if (mask === null) return Buffer.from([0x80 | CLOSE, 2, 0x03, 0xe9]);
  return Buffer.from([0x80 | CLOSE, 0x80 | 2, ...mask, 0x03 ^ mask[0]!, 0xe9 ^ mask[1]!]);
}

const CLOSE = 0x8;
const MASK_BYTES = 4;
