'use strict';
// Runs a program of dist/ with V8's code cache, made at build time: docs/decisions/0006-code-cache.md.
// Apart from the version check, since old Nodes refuse newer syntax before they run a line of it.
const {readFileSync} = require('node:fs');
const {dirname, join} = require('node:path');
const {Script} = require('node:vm');

/**
 * A program's first line is a comment of this many characters that names its contents; so does its cache's beginning.
 * '//', a SHA-256 and blanks up to a multiple of 8: V8 would copy cached data that lies anywhere else.
 */
const STAMP_LENGTH = 72;

/** What `load` has compiled, by path. */
const scripts = new Map();

module.exports = {start, load, scripts, codeCacheFile, STAMP_LENGTH};

/** Runs `dist/NAME.cjs` up to the end of its `main`, which sets the exit code. */
async function start(name) {
  const root = dirname(__dirname);
  const program = load(join(root, 'dist', `${name}.cjs`), codeCacheOf);
  if (program === undefined) {
    console.error(`coracle is not built: run "npm run build" in ${root}`);
    process.exitCode = 1;
    return;
  }
  await program.main();
  // Node's own way out, waiting for handles and taking itself apart, takes milliseconds.
  if (program.isEverythingWritten()) process.exit();
}

/** What a file of dist/ exports; undefined when it is missing. */
function load(filename, cacheOf) {
  const source = read(filename)?.latin1Slice(); // it is ASCII
  if (source === undefined) return undefined;
  // V8 refuses the cache of another V8 or of other flags, and compiles as if there were none.
  const cachedData = cacheOf(filename, source);
  const script = new Script(source, {filename, ...(cachedData && {cachedData})});
  scripts.set(filename, script);
  const module = {exports: {}};
  const requirePart = name =>
    name.startsWith('./') ? load(join(dirname(filename), name), cacheOf) : requireLazily(name);
  script.runInThisContext()(module.exports, requirePart, module, filename);
  return module.exports;
}

/** V8 itself compares the length of the source only: a cache of other contents is none. */
function codeCacheOf(filename, source) {
  const cache = read(codeCacheFile(filename));
  if (cache?.latin1Slice(0, STAMP_LENGTH) !== source.slice(0, STAMP_LENGTH)) return undefined;
  return cache.subarray(STAMP_LENGTH);
}

/** Each Node has its own. */
function codeCacheFile(program) {
  return `${program}.${process.version}-${process.arch}.cache`;
}

function read(path) {
  try {
    return readFileSync(path);
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Modules of Node's that take 0.2-2 ms each to load. Many commands do without; `run` has time once its start was sent. */
const LAZY = new Set([
  'node:child_process',
  'node:crypto',
  'node:fs/promises',
  'node:net',
  'node:stream',
  'node:stream/promises',
  'node:timers/promises',
  'node:zlib',
]);

/** Their functions are looked up at each call (esbuild writes `crypto.createHash()`): the first call loads the module. */
function requireLazily(name) {
  if (!LAZY.has(name)) return require(name);
  return new Proxy({}, {get: (_, key) => require(name)[key]});
}
