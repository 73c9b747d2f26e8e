// llhttp's own request tests and a sample of smuggler's mutations, sent to a real front door. What counts is which requests are
// taken for forwarding. A divergence from the strict reading needs an entry in exceptions/, and one that no longer applies fails.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type PlainDoor, startPlainDoor } from '../frontend/_plain-door.ts';

test('takes exactly what a strict reading allows, or what an exception explains', () => {
  const unexplained: string[] = [];
  for (const { id, expected, taken } of outcomes) {
    if (EXCEPTIONS[id] === undefined && taken.length !== expected)
      unexplained.push(`${id}: expected ${expected}, took ${taken.join(', ')}`);
  }
  expect(unexplained).toEqual([]);
});

test('has no exception that no longer applies', () => {
  const stale = new Set(Object.keys(EXCEPTIONS));
  for (const { id, expected, taken } of outcomes) {
    if (taken.length !== expected && taken.length === EXCEPTIONS[id]?.taken) stale.delete(id);
  }
  expect([...stale]).toEqual([]);
});

test('a body that breaks is never complete', () => {
  const broken = outcomes.filter(({ id }) => EXCEPTIONS[id]?.reason.startsWith('The body breaks'));
  expect(broken.length).toBe(9);
  expect(broken.filter(({ completed }) => completed > 0)).toEqual([]);
});

test('no mutation of a smuggling attack is taken, whole or in part', () => {
  const smuggled = outcomes.filter(({ source, taken }) => source === 'smuggler' && taken.length > 0);
  expect(smuggled).toEqual([]);
  expect(outcomes.filter(({ source }) => source === 'smuggler').length).toBe(129);
});

test('every vector ends: the connection is answered or closed', () => {
  expect(outcomes.length).toBe(339);
  expect(outcomes.filter(({ taken, answered, closed }) => !closed || (taken.length === 0 && answered > 1))).toEqual([]);
});

interface Vector {
  readonly id: string;
  readonly source: 'llhttp' | 'smuggler';
  /** Base64. */
  readonly raw: string;
  readonly mode?: string;
  readonly llhttp?: 'ok' | 'error';
}

interface Outcome {
  readonly id: string;
  readonly source: string;
  readonly expected: number;
  /** 'METHOD target' of the exchanges without rejection. */
  readonly taken: readonly string[];
  /** How many of them came with their whole body. */
  readonly completed: number;
  readonly answered: number;
  readonly closed: boolean;
}

let door: PlainDoor;
const outcomes: Outcome[] = [];

beforeAll(async () => {
  door = await startPlainDoor();
  const lines = readFileSync(join(import.meta.dirname, 'data/h1-vectors.jsonl'), 'utf8')
    .trim()
    .split('\n');
  for (const line of lines) outcomes.push(await outcomeOf(JSON.parse(line) as Vector));
});

afterAll(() => door.close());

async function outcomeOf(vector: Vector): Promise<Outcome> {
  const raw = Buffer.from(vector.raw, 'base64');
  const before = door.recorder.exchanges.length;
  const socket = connect({ port: door.port, host: '127.0.0.1', allowHalfOpen: true });
  const closed = once(socket, 'close').then(
    () => true,
    () => true, // a reset closes as well
  );
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.end(raw); // the half-close ends what waits for more of a body
  const isClosed = await closed;
  const taken = door.recorder.exchanges.slice(before).filter(({ exchange }) => exchange.rejection === null);
  return {
    id: vector.id,
    source: vector.source,
    expected: strictCount(vector, raw.toString('latin1')),
    taken: taken.map(({ exchange }) => `${exchange.method} ${exchange.target}`),
    completed: taken.filter(({ trailers }) => trailers !== null).length,
    answered: text.split(/^HTTP\/1\.1 /m).length - 1,
    closed: isClosed,
  };
}

/** One request where llhttp, not lenient, finds no error and the first head has what RFC 9112 section 3.2 wants; else none. */
function strictCount({ llhttp, mode }: Vector, raw: string): number {
  if (llhttp !== 'ok' || (mode !== 'request' && mode !== 'request-finish')) return 0;
  const head = raw.slice(0, raw.indexOf('\r\n\r\n'));
  const hosts = head.match(/^host:/gim)?.length ?? 0;
  return hosts === 1 || (hosts === 0 && / HTTP\/1\.0(\r\n|$)/.test(head)) ? 1 : 0;
}

const EXCEPTIONS = JSON.parse(
  readFileSync(join(import.meta.dirname, 'exceptions/h1-vectors.json'), 'utf8'),
) as Readonly<Record<string, { readonly taken: number; readonly reason: string }>>;
