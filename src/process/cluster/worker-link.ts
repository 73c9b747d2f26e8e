import type { Worker } from 'node:cluster';
import {
  type PrepareMessage,
  type PrimaryMessage,
  parseWorkerMessage,
  type Question,
  type WorkerMessage,
} from './messages.ts';
import { watchHandover } from './unaccepted-handles.ts';

export interface WorkerEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export type Vote =
  | { readonly kind: 'prepared' }
  | { readonly kind: 'refused'; readonly message: string }
  /** It ended before it answered. */
  | { readonly kind: 'gone' };

export interface LinkEvents {
  onMetrics(link: WorkerLink, text: string): void;
  /** It sent what no worker sends. */
  onMisbehaviour(link: WorkerLink): void;
}

/** One worker as the primary sees it. */
export class WorkerLink {
  /** Never used again. */
  readonly id: number;
  /** 0 to workers − 1: a replacement has the slot of the one it replaces. */
  readonly slot: number;
  readonly pid: number;
  readonly ended: Promise<WorkerEnd>;
  /** starting ─▶ running (it has committed a configuration) ─▶ leaving (told to drain, or ended) */
  state: 'starting' | 'running' | 'leaving' = 'starting';
  /** The configuration that it runs; 0: none yet. */
  version = 0;
  connections = 0;
  readonly #worker: Worker;
  readonly #events: LinkEvents;
  #hasEnded = false;
  #silentTicks = 0;
  #vote: { readonly version: number; readonly resolve: (vote: Vote) => void } | null = null;
  #commit: { readonly version: number; readonly resolve: (isDone: boolean) => void } | null = null;
  readonly #questions = new Map<number, (text: string | null) => void>();
  #lastQuestion = 0;

  constructor(worker: Worker, slot: number, events: LinkEvents) {
    this.id = worker.id;
    this.slot = slot;
    this.pid = worker.process.pid ?? -1;
    this.#worker = worker;
    this.#events = events;
    const closeUnaccepted = watchHandover(worker);
    this.ended = endOf(worker).then((end) => {
      closeUnaccepted();
      this.#settle();
      return end;
    });
    worker.on('message', (message: unknown) => this.#onMessage(message));
  }

  get stdout() {
    return this.#worker.process.stdout;
  }

  /** Never rejects. */
  prepare(message: PrepareMessage): Promise<Vote> {
    if (this.#hasEnded) return Promise.resolve({ kind: 'gone' });
    return new Promise((resolve) => {
      this.#vote = { version: message.version, resolve };
      this.#send(message);
    });
  }

  /** false: it ended before it said that it had. */
  commit(version: number): Promise<boolean> {
    if (this.#hasEnded) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#commit = { version, resolve };
      this.#send({ type: 'commit', version });
    });
  }

  abort(version: number): void {
    this.#send({ type: 'abort', version });
  }

  /** null: it did not answer in time. */
  ask(what: Question, timeoutMs: number): Promise<string | null> {
    if (this.#questions.size >= MOST_QUESTIONS || this.state !== 'running') return Promise.resolve(null);
    const id = ++this.#lastQuestion;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#questions.get(id)?.(null), timeoutMs);
      this.#questions.set(id, (text) => {
        clearTimeout(timer);
        this.#questions.delete(id);
        resolve(text);
      });
      this.#send({ type: 'ask', id, what });
    });
  }

  tell(type: 'drain' | 'go-away' | 'close-now' | 'reopen-access-log'): void {
    if (type !== 'reopen-access-log') this.state = 'leaving';
    this.#send({ type });
  }

  kill(): void {
    this.#worker.process.kill('SIGKILL');
  }

  /**
   * To be called once a second; true: it has been silent for too long. Ticks are counted instead of time, so that a primary that was
   * stopped, or a machine that slept, does not take its own absence for theirs.
   */
  tick(): boolean {
    const isBusy = this.state === 'starting' || this.#vote !== null || this.#commit !== null;
    return ++this.#silentTicks > (isBusy ? MOST_SILENT_TICKS_PREPARING : MOST_SILENT_TICKS);
  }

  #onMessage(value: unknown): void {
    this.#silentTicks = 0;
    const message = parseWorkerMessage(value);
    if (message === null || !this.#accept(message)) this.#events.onMisbehaviour(this);
  }

  /** false: nobody asked for it. */
  #accept(message: WorkerMessage): boolean {
    switch (message.type) {
      case 'prepared':
        return this.#answerVote(message.version, { kind: 'prepared' });
      case 'refused':
        return this.#answerVote(message.version, { kind: 'refused', message: message.message });
      case 'committed': {
        const commit = this.#commit;
        if (commit?.version !== message.version) return false;
        this.#commit = null;
        this.version = message.version;
        if (this.state === 'starting') this.state = 'running';
        commit.resolve(true);
        return true;
      }
      case 'metrics':
        this.connections = message.connections;
        this.#events.onMetrics(this, message.text);
        this.#questions.get(message.id)?.(message.text);
        return true;
      case 'status':
        this.#questions.get(message.id)?.(message.text); // late: its question timed out
        return true;
    }
  }

  #answerVote(version: number, vote: Vote): boolean {
    const asked = this.#vote;
    if (asked?.version !== version) return false;
    this.#vote = null;
    asked.resolve(vote);
    return true;
  }

  #settle(): void {
    this.#hasEnded = true;
    this.state = 'leaving';
    this.connections = 0;
    this.#vote?.resolve({ kind: 'gone' });
    this.#commit?.resolve(false);
    this.#vote = null;
    this.#commit = null;
    for (const answer of this.#questions.values()) answer(null);
  }

  #send(message: PrimaryMessage): void {
    if (this.#worker.isConnected()) this.#worker.send(message);
  }
}

/** Also everything that it said has been read by then. */
async function endOf(worker: Worker): Promise<WorkerEnd> {
  const disconnected = new Promise<void>((resolve) => {
    worker.once('disconnect', resolve);
  });
  const exited = new Promise<WorkerEnd>((resolve) => {
    worker.once('exit', (code, signal) => resolve({ code, signal: (signal || null) as NodeJS.Signals | null }));
    // EPIPE while it ends, which the exit says; without a pid it never began (EAGAIN, ENOMEM), and there is no exit
    worker.on('error', () => {
      if (worker.process.pid === undefined) resolve({ code: null, signal: null });
    });
  });
  const end = await exited;
  if (worker.isConnected()) await disconnected;
  return end;
}

const MOST_QUESTIONS = 8; // of a worker that does not answer: scrapers come again every few seconds
const MOST_SILENT_TICKS = 10; // it speaks every second; ten seconds without a turn of the loop have lost its clients anyway
const MOST_SILENT_TICKS_PREPARING = 60; // thousands of certificates are parsed in one go, 1 ms each
