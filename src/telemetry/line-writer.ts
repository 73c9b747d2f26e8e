// hot path: line() runs once a request; it copies the line into the current batch and returns.
import { closeSync, constants, fstatSync, openSync, write, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { asciiJson } from './escape.ts';

/** Where lines go: the log and the access log share one writer when both go to standard output. */
export interface LineSink {
  /** One line of printable ASCII (escape.ts makes it that) without its line feed; never blocks, never throws. */
  line(text: string): void;
}

/**
 * Writes lines to a file descriptor without ever blocking the event loop and without tearing them:
 *
 *   line() → batch ──full, or 100 ms old──▶ queue ──one write at a time──▶ descriptor
 *
 * A batch holds whole lines; a line longer than a batch is one of its own. When the reader is too slow, lines beyond
 * MAX_WAITING_BYTES are dropped and counted, and a notice with the count is written as soon as there is room.
 *
 * Pipes: two processes tear each other's lines in writes above PIPE_BUF (reproduced: 564 of 54,600 lines at 65 kB, none at
 * 4,096 bytes), so batches stay within it, and what is no file is written to as non-blocking: a write in the thread pool on a
 * pipe that nobody reads would hang process.exit() for ever (reproduced on Node 26.10: it joins the pool's threads).
 */
export class LineWriter implements LineSink {
  #fd: number;
  readonly #ownsDescriptor: boolean;
  readonly #mode: WriteMode;
  readonly #path: string | null;
  readonly #batchBytes: number;
  #batch: Buffer;
  #used = 0;
  #batchLines = 0;
  #queue: Batch[] = [];
  #queuedBytes = 0;
  /** What is under way or waits for a full pipe; null when nothing does. */
  #current: Batch | null = null;
  #busy = false;
  #timer: NodeJS.Timeout | null = null;
  #dropped = 0;
  /** What the last notice said, and whether the write of one failed since a batch last succeeded. */
  #droppedNoticed = 0;
  #noticeFailed = false;
  #closed = false;
  #idleWaiters: (() => void)[] = [];

  /** Writes to an open descriptor that stays open, for instance 1. */
  static toDescriptor(fd: number): LineWriter {
    const stat = fstatSync(fd);
    if (stat.isFile()) return new LineWriter(fd, 'thread-pool', null, FILE_BATCH_BYTES, 'borrowed');
    const reopened = stat.isSocket() ? null : reopenNonBlocking(fd);
    if (reopened !== null) return new LineWriter(reopened, 'non-blocking', null, PIPE_BATCH_BYTES);
    const isNonBlocking = (stat.isSocket() || stat.isFIFO()) && makeNonBlocking(fd);
    return new LineWriter(fd, isNonBlocking ? 'non-blocking' : 'thread-pool', null, PIPE_BATCH_BYTES, 'borrowed');
  }

  /**
   * Appends to a file, made 0600 when new. A symbolic link as the last part of the path is refused (ELOOP).
   * @throws the system error of open(2), with code and path.
   */
  static toFile(path: string): LineWriter {
    const fd = openLogFile(path);
    if (fstatSync(fd).isFile()) return new LineWriter(fd, 'thread-pool', path, FILE_BATCH_BYTES);
    return new LineWriter(fd, 'non-blocking', path, PIPE_BATCH_BYTES);
  }

  private constructor(
    fd: number,
    mode: WriteMode,
    path: string | null,
    batchBytes: number,
    owner: 'own' | 'borrowed' = 'own',
  ) {
    this.#fd = fd;
    this.#ownsDescriptor = owner === 'own';
    this.#mode = mode;
    this.#path = path;
    this.#batchBytes = batchBytes;
    this.#batch = Buffer.allocUnsafeSlow(batchBytes);
  }

  /** Lines lost since the start because the reader was too slow or a write failed. */
  get droppedLines(): number {
    return this.#dropped;
  }

  line(text: string): void {
    const length = text.length + 1;
    if (length > this.#batchBytes - this.#used) {
      if (this.#closed || this.#queuedBytes + length > MAX_WAITING_BYTES) {
        this.#dropped++;
        return;
      }
      this.#sealBatch();
      if (length > this.#batchBytes) {
        this.#enqueue(Buffer.from(`${text}\n`, 'latin1'), 1);
        return;
      }
    }
    // ASCII: one byte a character, so that latin1 is a plain copy.
    this.#batch.write(text, this.#used, 'latin1');
    this.#used += length;
    this.#batch[this.#used - 1] = LINE_FEED;
    this.#batchLines++;
    this.#timer ??= setTimeout(this.#onTimer, FLUSH_AFTER_MS).unref();
  }

  /**
   * Goes on in a new file at the same path (SIGUSR2, after a rotation renamed the old one) once what was given so far is in
   * the old one. False for a descriptor, which has no path. If it cannot be opened the old one stays in use and says so.
   */
  reopen(): boolean {
    if (this.#path === null) return false;
    this.#sealBatch();
    this.#queue.push(REOPEN);
    if (!this.#busy) this.#writeNext();
    return true;
  }

  /** Resolves when every line given so far is written or counted as dropped, or after `timeoutMs`. */
  async drain(timeoutMs: number): Promise<void> {
    if (this.#closed) return;
    this.#sealBatch();
    if (!this.#busy) this.#writeNext();
    if (!this.#busy) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeoutMs);
    this.#idleWaiters.push(resolve);
    await promise;
    clearTimeout(timer);
  }

  /** Writes what waits, now: for process 'exit', where nothing asynchronous runs any more. Gives a slow reader 200 ms. */
  flushSync(): void {
    if (this.#closed) return;
    this.#sealBatch();
    // What the thread pool has already is finished by it: process.exit() joins its threads (measured, 5 of 5).
    if (this.#current !== null && this.#mode === 'non-blocking') this.#queue.unshift(this.#current);
    this.#current = null;
    this.#queue = this.#queue.filter((batch) => batch !== REOPEN); // the pool may still be writing to the old file
    const deadlineMs = performance.now() + FLUSH_SYNC_MS;
    for (let batch = this.#takeNext(); batch !== null; batch = this.#takeNext()) {
      if (batch.notice > 0) this.#droppedNoticed = batch.notice;
      while (batch.bytes.length > 0) {
        try {
          batch.bytes = batch.bytes.subarray(writeSync(this.#fd, batch.bytes));
        } catch (error) {
          if (!isAgain(error) || performance.now() > deadlineMs) return;
          Atomics.wait(PAUSE, 0, 0, 5); // the loop has ended: waiting blocks nobody
        }
      }
    }
  }

  /** Drains and closes; later lines count as dropped. */
  async close(timeoutMs: number): Promise<void> {
    await this.drain(timeoutMs);
    if (this.#closed) return;
    this.#closed = true;
    this.#used = this.#batchBytes; // no line fits any more
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (!this.#busy && this.#ownsDescriptor) closeSync(this.#fd);
  }

  readonly #onTimer = (): void => {
    this.#timer = null;
    this.#sealBatch();
  };

  #sealBatch(): void {
    if (this.#used === 0 || this.#closed) return;
    const bytes = this.#batch.subarray(0, this.#used);
    this.#batch = Buffer.allocUnsafeSlow(this.#batchBytes);
    this.#used = 0;
    const lines = this.#batchLines;
    this.#batchLines = 0;
    this.#enqueue(bytes, lines);
  }

  #enqueue(bytes: Buffer, lines: number): void {
    this.#queue.push({ bytes, lines, notice: 0 });
    this.#queuedBytes += bytes.length;
    if (!this.#busy) this.#writeNext();
  }

  /** The notice of dropped lines goes first: it stands where they are missing. */
  #takeNext(): Batch | null {
    if (this.#dropped > this.#droppedNoticed && !this.#noticeFailed) {
      return { bytes: Buffer.from(droppedNotice(this.#dropped)), lines: 0, notice: this.#dropped };
    }
    while (this.#queue[0] === REOPEN) {
      this.#queue.shift();
      this.#reopenNow();
    }
    const batch = this.#queue.shift() ?? null; // 2,000 batches at the most: shift() is a memmove
    if (batch !== null) this.#queuedBytes -= batch.bytes.length;
    return batch;
  }

  #writeNext(): void {
    this.#busy = true;
    // A turn writes up to 64 KiB to a pipe, then lets the loop go on.
    for (let turn = 0; turn < PIPE_BATCHES_PER_TURN; turn++) {
      this.#current ??= this.#takeNext();
      if (this.#current === null) {
        this.#becomeIdle();
        return;
      }
      if (this.#mode === 'thread-pool') {
        write(this.#fd, this.#current.bytes, this.#onWritten);
        return;
      }
      try {
        this.#advance(writeSync(this.#fd, this.#current.bytes));
      } catch (error) {
        if (this.#failed(error as NodeJS.ErrnoException) === 'wait') return;
      }
    }
    setImmediate(this.#continue);
  }

  readonly #onWritten = (error: NodeJS.ErrnoException | null, written: number): void => {
    if (error === null) this.#advance(written);
    else if (this.#failed(error) === 'wait') return;
    this.#writeNext();
  };

  readonly #continue = (): void => this.#writeNext();

  #advance(written: number): void {
    const current = this.#current;
    if (current === null) return; // flushSync() took over
    current.bytes = current.bytes.subarray(written);
    if (current.bytes.length > 0) return;
    if (current.notice > 0) this.#droppedNoticed = current.notice;
    this.#noticeFailed = false;
    this.#current = null;
  }

  #failed(error: NodeJS.ErrnoException): 'wait' | 'go on' {
    if (isAgain(error)) {
      setTimeout(this.#continue, RETRY_AFTER_MS).unref();
      return 'wait';
    }
    // EPIPE, ENOSPC, EIO: this batch is lost, later ones may succeed.
    this.#dropped += this.#current?.lines ?? 0;
    this.#noticeFailed = (this.#current?.notice ?? 0) > 0;
    this.#current = null;
    return 'go on';
  }

  #becomeIdle(): void {
    this.#busy = false;
    const waiters = this.#idleWaiters;
    this.#idleWaiters = [];
    for (const resolve of waiters) resolve();
  }

  #reopenNow(): void {
    try {
      const fd = openLogFile(this.#path!);
      closeSync(this.#fd);
      this.#fd = fd;
    } catch (error) {
      this.#enqueue(Buffer.from(reopenNotice(this.#path!, error as NodeJS.ErrnoException)), 1);
    }
  }
}

type WriteMode = 'thread-pool' | 'non-blocking';

interface Batch {
  bytes: Buffer;
  readonly lines: number;
  /** The count that it reports, if it is the notice of dropped lines; else 0. */
  readonly notice: number;
}

/** A second open file description of the same pipe or terminal: O_NONBLOCK on it leaves our parent's untouched. Linux only. */
function reopenNonBlocking(fd: number): number | null {
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return null; // no /proc, or the pipe belongs to another user: the thread pool does it
  }
}

/** Sockets (a service manager's, or the pipes that Node makes) have no second description: libuv sets O_NONBLOCK on ours. */
function makeNonBlocking(fd: number): boolean {
  try {
    NEVER_CLOSED.push(new Socket({ fd, readable: false, writable: true }).unref());
    return true;
  } catch {
    return false;
  }
}

function openLogFile(path: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW, O_NOCTTY, O_NONBLOCK } = constants;
  // O_NONBLOCK: opening a named pipe that nobody reads fails (ENXIO) instead of waiting for a reader.
  return openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0o600);
}

function isAgain(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EAGAIN';
}

function droppedNotice(droppedLines: number): string {
  const time = new Date().toISOString();
  return `{"time":"${time}","level":"warn","msg":"log lines were dropped: the reader is too slow","droppedLines":${droppedLines}}\n`;
}

function reopenNotice(path: string, error: NodeJS.ErrnoException): string {
  const msg = `Cannot reopen the log file '${path}': ${error.code ?? error.message}; the old one stays in use`;
  return `${asciiJson(JSON.stringify({ time: new Date().toISOString(), level: 'error', msg }))}\n`;
}

/** Stands in the queue where the file is to be changed. */
const REOPEN: Batch = { bytes: Buffer.alloc(0), lines: 0, notice: 0 };
const NEVER_CLOSED: Socket[] = []; // collected, they would close our standard output
const LINE_FEED = 0x0a;
const PAUSE = new Int32Array(new SharedArrayBuffer(4));
const PIPE_BATCH_BYTES = 4096; // PIPE_BUF on Linux (pipe(7)): writes up to it are atomic
const FILE_BATCH_BYTES = 65_536; // O_APPEND writes to a regular file do not interleave; this many lines share one system call
const PIPE_BATCHES_PER_TURN = 16; // the default capacity of a pipe is 64 KiB
const MAX_WAITING_BYTES = 8 * 1024 * 1024; // some 10,000 lines
const FLUSH_AFTER_MS = 100; // what a person tailing the log does not notice
const RETRY_AFTER_MS = 10; // a live reader empties a full pipe well within this
const FLUSH_SYNC_MS = 200;
