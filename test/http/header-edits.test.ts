import { HeaderEdits } from '#src/http/header-edits.ts';
import type { VariableSource } from '#src/http/header-variables.ts';

const source: VariableSource = {
  protocol: 'HTTP/2',
  connection: {
    id: '1',
    remoteAddress: '192.0.2.7',
    remotePort: 1,
    localAddress: '203.0.113.1',
    localPort: 443,
    targetProxy: 'web',
    forwardingRule: 'https',
    tls: null,
  },
};
const set = (name: string, text: string) => ({ header: { name, parts: [{ text }] }, replace: true });
const add = (name: string, text: string) => ({ header: { name, parts: [{ text }] }, replace: false });

test.each([
  ['removes', [{ remove: ['x-a'], add: [] }], ['x-b', '2']],
  ['removes before it adds', [{ remove: ['x-a'], add: [add('x-a', '3')] }], ['x-b', '2', 'x-a', '3']],
  ['adds beside', [{ remove: [], add: [add('x-a', '3')] }], ['x-a', '1', 'x-b', '2', 'x-a', '3']],
  ['replaces', [{ remove: [], add: [set('x-a', '3')] }], ['x-b', '2', 'x-a', '3']],
  [
    'lets a later level undo an earlier',
    [
      { remove: [], add: [set('x-c', '3')] },
      { remove: ['x-c'], add: [] },
    ],
    ['x-a', '1', 'x-b', '2'],
  ],
  [
    'lets a later level replace an earlier',
    [
      { remove: [], add: [set('x-c', '3')] },
      { remove: [], add: [set('x-c', '4')] },
    ],
    ['x-a', '1', 'x-b', '2', 'x-c', '4'],
  ],
])('%s', (_what, levels, expected) => {
  const fields = ['x-a', '1', 'x-b', '2'];
  new HeaderEdits(levels).apply(fields, source);
  expect(fields).toEqual(expected);
});

test('takes a spelling with _ for the same name', () => {
  const fields = ['x_a', '1', 'x-b', '2'];
  new HeaderEdits([{ remove: ['x-b'], add: [set('x-a', '3')] }]).apply(fields, source);
  expect(fields).toEqual(['x-a', '3']);
});

test('replaces variables', () => {
  const parts = [
    { variable: 'client_protocol' as const },
    { text: ' from ' },
    { variable: 'client_ip_address' as const },
  ];
  const fields: string[] = [];
  new HeaderEdits([{ remove: [], add: [{ header: { name: 'x', parts }, replace: true }] }]).apply(fields, source);
  expect(fields).toEqual(['x', 'HTTP/2 from 192.0.2.7']);
});
