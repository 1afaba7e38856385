export default {
  files: ['test/**/*.test.ts'],
  extensions: {ts: 'module'},
  nodeArguments: ['--import=./scripts/typescript.mjs'],
  workerThreads: false,
  concurrency: 2,
  timeout: '2m',
};
