/** What only has long runs is found with CORACLE_TEST_LONG; a file without a test would be an error. */
export const without = process.env['CORACLE_TEST_LONG'] === undefined ? ['!**/*.long.test.*'] : [];

export default {
  files: ['test/**/*.test.ts', ...without],
  extensions: {ts: 'module'},
  nodeArguments: ['--import=./scripts/typescript.mjs'],
  workerThreads: false,
  concurrency: 2,
  timeout: '2m',
};
