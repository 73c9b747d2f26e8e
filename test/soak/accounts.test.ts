// The account must be able to fail: one test for each thing that it says.
import type { LogLine } from '../harness/run-sallyport.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { readLog, settle } from './accounts.ts';
import { Ledger } from './ledger.ts';

const folder = makeTempFolder();
afterAll(() => folder.remove());

function line(id: number, status = 200, statusDetails = 'response_sent_by_backend'): LogLine {
  const httpRequest = { requestUrl: `https://http.proxy.test/s/small/${id}`, status };
  return { msg: 'request', level: 'info', httpRequest, statusDetails, targetProxy: 'web' };
}

/** Two requests that were answered with 200. */
function ledger(): Ledger {
  const made = new Ledger();
  for (const id of [made.begin('small'), made.begin('small')]) made.answered(id, 200);
  return made;
}

async function mistakes(of: Ledger, lines: readonly LogLine[], others: readonly LogLine[] = []) {
  const file = folder.write('access.log', lines.map((one) => `${JSON.stringify(one)}\n`).join(''));
  return settle(of, await readLog(file, others)).mistakes;
}

test('one line each, with the status that the client saw: nothing to say', async () => {
  expect(await mistakes(ledger(), [line(0), line(1)])).toEqual([]);
});

test.each<[string, readonly LogLine[], string]>([
  ['a line is missing', [line(0)], 'request 1 (small) has no line, and its client saw 200'],
  ['a line is there twice', [line(0), line(1), line(1)], 'request 1 (small) has 2 lines, expected one'],
  [
    'another status is logged',
    [line(0), line(1, 502, 'backend_timeout')],
    'request 1 (small) is logged with 502 backend_timeout, and its client saw 200',
  ],
  ['a line about nothing', [line(0), line(1), line(7)], 'a line is about request 7, which nobody sent'],
  ['an internal error', [line(0), line(1, 200, 'internal_error')], "1 lines say 'web internal_error'"],
  [
    'a head that was no request',
    [line(0), line(1), { msg: 'request', httpRequest: { status: 400 }, statusDetails: 'x', targetProxy: 'web' }],
    '0 heads were refused, and 1 lines say so',
  ],
  [
    'a stream that was none',
    [line(0), line(1), { msg: 'connection', statusDetails: 'connection_closed', targetProxy: 'secure' }],
    '0 streams (and 0 that may not have begun), and 1 lines',
  ],
])('%s', async (_what, lines, mistake) => {
  expect(await mistakes(ledger(), lines)).toEqual([mistake]);
});

test('who left before anybody knew may have a line or none, and who waited is answered', async () => {
  const left = ledger();
  left.failed(left.begin('hang (left at-once)'), 'ECONNRESET');
  expect(await mistakes(left, [line(0), line(1)])).toEqual([]);
  expect(await mistakes(left, [line(0), line(1), line(2, 499)])).toEqual([]);
  left.seen(2);
  expect(await mistakes(left, [line(0), line(1)])).toEqual([
    'request 2 (hang (left at-once)) has no line, and its client saw nothing yet',
  ]);
  const waiting = ledger();
  waiting.failed(waiting.begin('small'), 'ECONNRESET');
  expect(await mistakes(waiting, [line(0), line(1)])).toEqual(['request 2 (small) got no answer: ECONNRESET']);
});

test('failed handshakes are counted with those that a line stands for', async () => {
  const file = folder.write('access.log', '');
  const others = [{ msg: 'handshake' }, { msg: 'handshake', suppressed: 4 }, { msg: 'handshakes', suppressed: 2 }];
  expect((await readLog(file, others)).handshakeFailures).toBe(8);
});
