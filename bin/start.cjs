'use strict';
// Runs a program of dist/ with V8's code cache, made at build time: docs/decisions/0006-code-cache.md.
// Apart from the version check, since old Nodes refuse newer syntax before they run a line of it.
const {readFileSync} = require('node:fs');
const {dirname, join} = require('node:path');
const {Script} = require('node:vm');

/** A program's first line is a comment of this many characters that names its contents; so does its cache's beginning. */
const STAMP_LENGTH = 66; // '//' and a SHA-256

module.exports = {start, codeCacheFile, STAMP_LENGTH};

/** Runs `dist/NAME.cjs` up to the end of its `main`, which sets the exit code. */
async function start(name) {
  const root = dirname(__dirname);
  const filename = join(root, 'dist', `${name}.cjs`);
  const source = read(filename)?.latin1Slice(); // it is ASCII
  if (source === undefined) {
    console.error(`coracle is not built: run "npm run build" in ${root}`);
    process.exitCode = 1;
    return;
  }
  const cachedData = codeCacheOf(filename, source);
  // V8 refuses the cache of another V8 or of other flags, and compiles as if there were none.
  const script = new Script(source, {filename, ...(cachedData && {cachedData})});
  const program = {exports: {}};
  script.runInThisContext()(program.exports, require, program, filename);
  await program.exports.main();
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
