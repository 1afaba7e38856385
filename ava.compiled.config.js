import config, {without} from './ava.config.js';

/** What `npm test` runs: see scripts/compile-tests.mjs. */
export default {
  ...config,
  files: ['compiled-tests/test/**/*.test.js', ...without],
  extensions: ['js'],
  nodeArguments: ['--enable-source-maps'],
};
