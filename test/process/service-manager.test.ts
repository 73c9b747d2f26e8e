import { inheritedSocketsWarning } from '#src/process/service-manager.ts';

test.each([
  [{ LISTEN_FDS: '2', LISTEN_PID: '7' }, expect.stringContaining('LISTEN_FDS=2')],
  [{ LISTEN_FDS: '2', LISTEN_PID: '8' }, null], // of a parent that did not take them out
  [{ LISTEN_FDS: '2' }, null],
  [{}, null],
])('of sockets handed over by %j `inheritedSocketsWarning()` says %p', (env, expected) => {
  expect(inheritedSocketsWarning(env, [7, 6])).toEqual(expected);
});
