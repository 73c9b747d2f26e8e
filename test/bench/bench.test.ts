import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpuSeconds, parseStat } from '../../bench/cpu-time.ts';
import { parseH2load, parseWrk } from '../../bench/load.ts';
import { PROXY_NAMES, parseOptions, ROW_NAMES, USAGE } from '../../bench/options.ts';
import { type Cell, formatAim, formatDoubts, formatTable, type Results } from '../../bench/report.ts';
import { median, quantile, spread } from '../../bench/statistics.ts';

const WRK = `Running 3s test @ https://localhost:8443/small
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.50ms  512.00us   9.91ms   91.02%
    Req/Sec    21.50k     1.10k   23.10k    80.00%
  64512 requests in 3.02s, 20.11MB read
Requests/sec:  21361.59
Transfer/sec:      6.66MB
`;
const H2LOAD = `finished in 2.00s, 12345.50 req/s, 1.50MB/s
requests: 24691 total, 24900 started, 24691 done, 24691 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 24691 2xx, 0 3xx, 0 4xx, 0 5xx
`;

describe('parseWrk()', () => {
  test('reads requests and rate', () => {
    expect(parseWrk(WRK)).toEqual({ requests: 64_512, perSecond: 64_512 / 3.02 });
    expect(parseWrk(WRK.replace('3.02s', '500.00ms')).perSecond).toBe(129_024);
  });

  test.each(['  Socket errors: connect 0, read 12, write 0, timeout 0', '  Non-2xx or 3xx responses: 7'])(
    'refuses a measurement with %p',
    (line) => {
      expect(() => parseWrk(WRK.replace('Requests/sec', `${line}\nRequests/sec`))).toThrow(line.trim());
    },
  );

  test('refuses a measurement without an answer', () => {
    expect(() => parseWrk(WRK.replace('64512 requests', '0 requests'))).toThrow('no answered request');
  });

  test('refuses output that it does not know', () => {
    expect(() => parseWrk('unable to connect to localhost:8443 Connection refused')).toThrow('Connection refused');
  });
});

describe('parseH2load()', () => {
  test('reads requests and rate', () => {
    expect(parseH2load(H2LOAD)).toEqual({ requests: 24_691, perSecond: 12_345.5 });
  });

  test.each([
    ['a failed request', H2LOAD.replace('0 failed', '1 failed')],
    ['an errored request', H2LOAD.replace('0 errored', '1 errored')],
    ['a 502', H2LOAD.replace('24691 2xx', '24690 2xx')],
    ['no answer', H2LOAD.replaceAll('24691', '0')],
  ])('refuses a measurement with %s', (_what, output) => {
    expect(() => parseH2load(output)).toThrow('Cannot count this measurement');
  });
});

describe('cpuSeconds()', () => {
  test('`parseStat()` is not misled by the name of the command', () => {
    const fields = ['S', '7', ...Array<string>(9).fill('0'), '100', '20', '3', '1', '0'];
    expect(parseStat(`42 (a) R (1 2) ${fields.join(' ')}`)).toEqual({ pid: 42, parent: 7, ticks: 124 });
  });

  test('counts what a child of the process burns', async () => {
    const burn =
      'const end = process.cpuUsage().user + 300_000; while (process.cpuUsage().user < end); setInterval(() => {}, 1000); console.log("burnt")';
    // The shell waits; the work is its child's.
    const shell = spawn('sh', ['-c', `'${process.execPath}' -e '${burn}'; true`], {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    await once(shell.stdout, 'data');
    try {
      expect(cpuSeconds(shell.pid!)).toBeGreaterThanOrEqual(0.25);
    } finally {
      process.kill(-shell.pid!, 'SIGKILL');
      await once(shell, 'exit');
    }
  });
});

describe('parseOptions()', () => {
  test('measures everything unless told otherwise', () => {
    expect(parseOptions([])).toMatchObject({ rows: ROW_NAMES, proxies: PROXY_NAMES, rounds: 10 });
    expect(parseOptions(['--quick', '--rows', 'h2-small,small', '--proxies', 'sallyport,nginx'])).toEqual({
      rows: ['small', 'h2-small'],
      proxies: ['nginx', 'sallyport'],
      rounds: 2,
      seconds: 1,
      warmUpSeconds: { small: 1, '100k': 1, 'h2-small': 1, handshake: 1 },
    });
  });

  test('a quick run measures for less than two minutes', () => {
    const { rows, proxies, rounds, seconds, warmUpSeconds } = parseOptions(['--quick']);
    const perProxy = rows.reduce((sum, row) => sum + warmUpSeconds[row] + rounds * seconds, 0);
    expect(proxies.length * perProxy).toBeLessThan(90); // the rest is starting and stopping
  });

  test.each([
    [['--rows', 'big'], "Cannot measure row 'big': expected some of small,100k,h2-small,handshake"],
    [['--proxies', 'envoy'], "Cannot measure proxy 'envoy'"],
    [['--rounds', '0'], 'Cannot run 0 rounds'],
    [['--rounds', 'x'], 'Cannot run x rounds'],
    [['--fast'], '--fast'],
  ])('refuses %p', (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });
});

test('`--help` prints the usage and measures nothing', async () => {
  const child = spawn(process.execPath, ['bench/main.ts', '--help'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const [code] = (await once(child, 'close')) as [number];
  expect(code).toBe(0);
  expect(output.trim()).toBe(USAGE);
});

describe('the report', () => {
  const cell = (facts: Partial<Cell>): Cell => ({
    row: 'small',
    proxy: 'nginx',
    cpuMicroseconds: [10],
    requestsPerSecond: [1],
    failure: null,
    ...facts,
  });
  const results = (cells: readonly Cell[]): Results => ({
    startedAt: '',
    machine: { cpu: '', cores: 2, kernel: '' },
    loadAverage: { before: [0], after: [0] },
    versions: {},
    observes: {},
    rounds: 1,
    secondsPerRound: 1,
    cells,
  });

  test('is a table of medians with ratios to nginx, taken round by round', () => {
    const table = formatTable(
      results([
        cell({ cpuMicroseconds: [16, 20, 18] }),
        cell({ proxy: 'sallyport', cpuMicroseconds: [48, 44.9, 45] }), // 3, 2.245 and 2.5 of nginx
        cell({ row: 'handshake', cpuMicroseconds: [250, 270] }),
        cell({ row: 'handshake', proxy: 'sallyport', cpuMicroseconds: [], failure: 'it broke' }),
        cell({ row: 'h2-small', proxy: 'sallyport', cpuMicroseconds: [44] }),
      ]),
    );
    expect(table.split('\n')).toEqual([
      'CPU µs per request                nginx    sallyport',
      'HTTP/1.1 keep-alive, small  18.0 (1.00)  45.0 (2.50)',
      'full handshake + request     260 (1.00)       failed',
      'HTTP/2, small                         –         44.0',
    ]);
  });

  test('says what sallyport costs in prototypes, where both have figures', () => {
    const aim = formatAim(
      results([
        cell({ proxy: 'prototype', cpuMicroseconds: [10, 20, 40] }), // the host slows down
        cell({ proxy: 'sallyport', cpuMicroseconds: [9, 20, 44] }),
        cell({ row: 'h2-small', proxy: 'prototype', cpuMicroseconds: [], failure: 'it broke' }),
        cell({ row: 'h2-small', proxy: 'sallyport' }),
        cell({ row: 'handshake', proxy: 'prototype' }),
        cell({ row: 'handshake', proxy: 'sallyport', cpuMicroseconds: [], failure: 'it broke' }),
        cell({ row: '100k', proxy: 'sallyport' }),
      ]),
    );
    expect(aim).toEqual([
      'HTTP/1.1 keep-alive, small: sallyport costs 1.00 of the prototype (half of the rounds between 0.95 and 1.05)',
    ]);
  });

  test('names what to doubt: rounds that are far apart', () => {
    const doubts = formatDoubts(
      results([cell({ cpuMicroseconds: [10, 10.5] }), cell({ proxy: 'fastify', cpuMicroseconds: [10, 14] })]),
    );
    expect(doubts).toEqual(['HTTP/1.1 keep-alive, small, fastify: rounds differ by 33 % (10.0 14.0)']);
  });

  test('`median()`, `quantile()` and `spread()`', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(median([])).toBeNaN();
    expect([0, 0.25, 0.75, 1].map((part) => quantile([5, 1, 2, 4, 3], part))).toEqual([1, 2, 4, 5]);
    expect(quantile([1, 2], 0.25)).toBe(1.25);
    expect(spread([9, 10, 11])).toBeCloseTo(0.2);
  });
});
