import { closeSync, constants, fstatSync, openSync, write, writeSync } from 'node:fs';

/** Where lines go: the log and the access log share one writer when both go to standard output. */
export interface LineSink {
  /** One line without its line feed; never blocks, never throws. */
  line(text: string): void;
}

/**
 * Writes lines to a file descriptor without ever blocking the event loop and without tearing them: lines are gathered for
 * up to 100 ms or one batch, one write is under way at a time, and no write but that of a single longer line ends inside a
 * line. When the reader is too slow, lines beyond MAX_PENDING are dropped, counted, and the count is logged once there is room.
 *
 * Pipes: two processes tear each other's lines in writes above PIPE_BUF (reproduced: 564 of 54,600 lines at 65 kB, none at
 * 4,096 bytes), so batches stay below it, and the pipe is opened a second time as non-blocking: a write in the thread pool
 * on a pipe that nobody reads would otherwise hang process.exit() for ever (reproduced on Node 26.10, libuv joins its threads).
 */
export class LineWriter implements LineSink {
  #fd: number;
  #ownsFd: boolean;
  readonly #mode: WriteMode;
  readonly #batchBytes: number;
  readonly #path: string | null;
  /** A queue: lines before #head are taken. */
  #pending: string[] = [];
  #head = 0;
  #pendingUnits = 0;
  /** Bytes taken from #pending and not yet written: the rest of a partial write, or what is under way. */
  #chunk: Buffer = EMPTY;
  #chunkLines = 0;
  #writing = false;
  #timer: NodeJS.Timeout | null = null;
  #dropped = 0;
  /** What the last notice in the output said. */
  #droppedNoticed = 0;
  #reopenWanted = false;
  #closed = false;
  #idleWaiters: (() => void)[] = [];

  /** Writes to an open descriptor that stays open, for instance 1. */
  static toDescriptor(fd: number): LineWriter {
    const stat = fstatSync(fd);
    const nonBlocking = stat.isFIFO() ? reopenNonBlocking(fd) : null;
    if (nonBlocking !== null) return new LineWriter(nonBlocking, 'non-blocking', PIPE_BATCH_BYTES, null);
    return new LineWriter(fd, 'thread-pool', stat.isFile() ? FILE_BATCH_BYTES : PIPE_BATCH_BYTES, null);
  }

  /**
   * Appends to a file, made 0600 when new. A symbolic link as its last part is refused (ELOOP).
   * @throws the system error of open(2), with code and path.
   */
  static toFile(path: string): LineWriter {
    const fd = openLogFile(path);
    const stat = fstatSync(fd);
    return new LineWriter(fd, 'thread-pool', stat.isFile() ? FILE_BATCH_BYTES : PIPE_BATCH_BYTES, path);
  }

  private constructor(fd: number, mode: WriteMode, batchBytes: number, path: string | null) {
    this.#fd = fd;
    this.#ownsFd = path !== null || mode === 'non-blocking';
    this.#mode = mode;
    this.#batchBytes = batchBytes;
    this.#path = path;
  }

  /** Lines lost since the start because the reader was too slow or a write failed. */
  get droppedLines(): number {
    return this.#dropped;
  }

  line(text: string): void {
    if (this.#closed || this.#pendingUnits + text.length > MAX_PENDING_UNITS) {
      this.#dropped++;
      return;
    }
    this.#pending.push(text);
    this.#pendingUnits += text.length + 1;
    if (this.#writing) return;
    if (this.#pendingUnits >= this.#batchBytes) this.#writeNext();
    else this.#timer ??= setTimeout(this.#onTimer, FLUSH_AFTER_MS).unref();
  }

  /**
   * Goes on in a new file at the same path (SIGUSR2, after a rotation renamed the old one) once the write under way is
   * done. Returns false for a descriptor, which has no path. A file that cannot be opened keeps the old one in use and is reported in it.
   */
  reopen(): boolean {
    if (this.#path === null) return false;
    this.#reopenWanted = true;
    if (!this.#writing) this.#reopenNow();
    return true;
  }

  /** Resolves when every line given so far is written or counted as dropped, or after `timeoutMs`. */
  async drain(timeoutMs: number): Promise<void> {
    if (!this.#writing) this.#writeNext();
    if (this.#isIdle()) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeoutMs);
    this.#idleWaiters.push(resolve);
    await promise;
    clearTimeout(timer);
  }

  /** Writes what waits, now: for process 'exit', where nothing asynchronous runs any more. Gives a slow reader 200 ms. */
  flushSync(): void {
    // What the thread pool has already is finished by it: process.exit() joins its threads (measured, 5 of 5).
    let rest = this.#writing && this.#mode === 'thread-pool' ? EMPTY : this.#chunk;
    this.#chunk = EMPTY;
    const deadline = performance.now() + FLUSH_SYNC_MS;
    for (;;) {
      if (rest.length === 0) rest = this.#takeBatch();
      if (rest.length === 0) return;
      try {
        rest = rest.subarray(writeSync(this.#fd, rest));
      } catch (error) {
        if (!isAgain(error) || performance.now() > deadline) {
          this.#dropped += this.#chunkLines + this.#pending.length - this.#head;
          this.#clearPending();
          return;
        }
        Atomics.wait(PAUSE, 0, 0, 5); // the loop has ended: waiting blocks nobody
      }
    }
  }

  /** Drains and closes; later lines count as dropped. */
  async close(timeoutMs: number): Promise<void> {
    await this.drain(timeoutMs);
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#ownsFd && !this.#writing) closeSync(this.#fd);
    this.#ownsFd = false;
  }

  readonly #onTimer = (): void => {
    this.#timer = null;
    if (!this.#writing) this.#writeNext();
  };

  #writeNext(): void {
    if (this.#closed) return;
    if (this.#chunk.length === 0) this.#chunk = this.#takeBatch();
    if (this.#chunk.length === 0) {
      this.#settleIdle();
      return;
    }
    this.#writing = true;
    if (this.#mode === 'non-blocking') {
      try {
        this.#chunk = this.#chunk.subarray(writeSync(this.#fd, this.#chunk));
      } catch (error) {
        this.#onWritten(error as NodeJS.ErrnoException, 0);
        return;
      }
      // The next batch in a later turn, so that a burst of lines does not hold the loop for all of them.
      setImmediate(this.#onWritten, null, 0);
      return;
    }
    write(this.#fd, this.#chunk, this.#onWritten);
  }

  readonly #onWritten = (error: NodeJS.ErrnoException | null, written: number): void => {
    this.#writing = false;
    if (error !== null && isAgain(error)) {
      this.#writing = true;
      setTimeout(this.#retry, RETRY_AFTER_MS).unref();
      return;
    }
    if (error === null) {
      this.#chunk = this.#chunk.subarray(written);
    } else {
      this.#dropped += this.#chunkLines; // EPIPE, ENOSPC, EIO: this batch is lost, later ones may succeed
      this.#chunk = EMPTY;
    }
    if (this.#reopenWanted && this.#chunk.length === 0) this.#reopenNow();
    // After a partial write the rest goes at once; otherwise a new batch gathers, unless one is full or somebody waits.
    if (this.#chunk.length > 0 || this.#pendingUnits >= this.#batchBytes || this.#idleWaiters.length > 0) {
      this.#writeNext();
    } else if (this.#head < this.#pending.length) {
      this.#timer ??= setTimeout(this.#onTimer, FLUSH_AFTER_MS).unref();
    }
  };

  readonly #retry = (): void => {
    this.#writing = false;
    this.#writeNext();
  };

  /** Whole lines of at most one batch (a longer line goes alone), with the notice of dropped ones first. */
  #takeBatch(): Buffer {
    let text = '';
    if (this.#dropped > this.#droppedNoticed) {
      text = `${droppedNotice(this.#dropped)}\n`;
      this.#droppedNoticed = this.#dropped;
    }
    let bytes = text.length;
    this.#chunkLines = 0;
    while (this.#head < this.#pending.length) {
      const line = this.#pending[this.#head]!;
      bytes += Buffer.byteLength(line) + 1;
      if (bytes > this.#batchBytes && text !== '') break;
      text += `${line}\n`;
      this.#pendingUnits -= line.length + 1;
      this.#head++;
      this.#chunkLines++;
    }
    if (this.#head === this.#pending.length) this.#clearPending();
    return text === '' ? EMPTY : Buffer.from(text);
  }

  #reopenNow(): void {
    this.#reopenWanted = false;
    try {
      const fd = openLogFile(this.#path!);
      closeSync(this.#fd);
      this.#fd = fd;
    } catch (error) {
      this.line(reopenNotice(this.#path!, error as NodeJS.ErrnoException));
    }
  }

  #isIdle(): boolean {
    return !this.#writing && this.#chunk.length === 0 && this.#head === this.#pending.length;
  }

  #settleIdle(): void {
    const waiters = this.#idleWaiters;
    this.#idleWaiters = [];
    for (const resolve of waiters) resolve();
  }

  #clearPending(): void {
    this.#pending = [];
    this.#head = 0;
    this.#pendingUnits = 0;
  }
}

type WriteMode = 'thread-pool' | 'non-blocking';

/** A second open file description of the same pipe: O_NONBLOCK on it leaves our parent's untouched. Linux only; null elsewhere. */
function reopenNonBlocking(fd: number): number | null {
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return null; // no /proc, or the pipe belongs to another user: the thread pool does it
  }
}

function openLogFile(path: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW, O_NOCTTY } = constants;
  return openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NOCTTY, 0o600);
}

function isAgain(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EAGAIN';
}

function droppedNotice(droppedLines: number): string {
  const time = new Date().toISOString();
  return `{"time":"${time}","level":"warn","msg":"log lines were dropped: the reader is too slow","droppedLines":${droppedLines}}`;
}

function reopenNotice(path: string, error: NodeJS.ErrnoException): string {
  const msg = `Cannot reopen the log file '${path}': ${error.code ?? error.message}; the old one stays in use`;
  return JSON.stringify({ time: new Date().toISOString(), level: 'error', msg });
}

const EMPTY = Buffer.alloc(0);
const PAUSE = new Int32Array(new SharedArrayBuffer(4));
const PIPE_BATCH_BYTES = 4096; // PIPE_BUF on Linux (pipe(7)): writes up to it are atomic
const FILE_BATCH_BYTES = 65_536; // O_APPEND writes to a regular file do not interleave; this many lines share one system call
const MAX_PENDING_UNITS = 4 * 1024 * 1024; // 8 MiB of memory at most, some 8,000 lines: seconds of a busy proxy
const FLUSH_AFTER_MS = 100; // what a person tailing the log does not notice
const RETRY_AFTER_MS = 10; // a full pipe is 64 KiB: a live reader empties it well within this
const FLUSH_SYNC_MS = 200;
