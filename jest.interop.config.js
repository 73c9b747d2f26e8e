/** Tests against real counterparts from Debian packages (`.ci/run` installs them). One at a time: they measure memory and hold many sockets. */
/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  testMatch: ['<rootDir>/test/interop/**/*.test.ts'],
  transform: { '\\.ts$': '<rootDir>/test/strip-types.cjs' },
  testTimeout: 120_000,
  maxWorkers: 1,
};
