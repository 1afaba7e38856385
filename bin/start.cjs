'use strict';
// Runs a program of dist/ with V8's code cache, made at build time: docs/decisions/0006-code-cache.md.
// Apart from the version check, since old Nodes refuse newer syntax before they run a line of it.
const {closeSync, fstatSync, openSync, readFileSync, readSync} = require('node:fs');
const {dirname, join, resolve} = require('node:path');
const {Script} = require('node:vm');

/**
 * A program's first line is a comment of this many characters that names its contents; so does its cache's beginning.
 * '//', a SHA-256 and blanks up to a multiple of 8: V8 would copy cached data that lies anywhere else.
 */
const STAMP_LENGTH = 72;

/** What `load` has compiled, by path. */
const scripts = new Map();

/** Runs `dist/NAME.cjs` up to the end of its `main`, which sets the exit code. */
async function start(name) {
  Error.prepareStackTrace = readableStack;
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
  const requirePart = name => (name.startsWith('./') ? loadPart(name) : requireLazily(name));
  const loadPart = name => {
    const part = load(join(dirname(filename), name), cacheOf);
    if (part === undefined)
      throw new Error(`${join(dirname(filename), name)} is missing: run "npm run build"`);
    return part;
  };
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

/** Where files are read, one after the other: each page of new memory takes as long as reading its contents. */
let space = Buffer.alloc(0);

/** What a file holds, until the next call; undefined when it is missing. */
function read(path) {
  let fd;
  try {
    fd = openSync(path);
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const {size} = fstatSync(fd);
    // Twice as much: a cache is larger than its program, and memory that is not written costs nothing.
    if (space.length < size) space = Buffer.allocUnsafeSlow(size * 2);
    let length = 0;
    for (let more = 1; more > 0 && length < size; length += more)
      more = readSync(fd, space, length, size - length);
    return space.subarray(0, length);
  } finally {
    closeSync(fd);
  }
}

/** Modules of Node's that take 0.2-2 ms each to load. Many commands do without; `run` has time once its start was sent. */
const LOADED_ON_USE = new Set([
  'node:child_process',
  'node:crypto',
  'node:dgram',
  'node:dns/promises',
  'node:fs/promises',
  'node:http',
  'node:https',
  'node:net',
  'node:readline',
  'node:stream',
  'node:stream/consumers',
  'node:stream/promises',
  'node:timers/promises',
  'node:tls',
  'node:tty',
  'node:zlib',
]);

module.exports = {start, load, scripts, codeCacheFile, readableStack, STAMP_LENGTH, LOADED_ON_USE};

/** Their functions are looked up at each call (esbuild writes `crypto.createHash()`): the first call loads the module. */
function requireLazily(name) {
  if (!LOADED_ON_USE.has(name)) return require(name);
  return new Proxy({}, {get: (_, key) => require(name)[key]});
}

/** An error's stack in terms of the sources: names in the programs are short, their source maps know the long ones. */
function readableStack(error, frames) {
  let text;
  try {
    text = String(error);
  } catch {
    text = '<error>';
  }
  const places = frames.map(sourceOf);
  return [
    text,
    ...frames.map((frame, index) => {
      const place = places[index];
      if (place === undefined) return String(frame);
      // A function's own name is short, unless it is a method's: the long one is where it is called.
      const method = frame.getMethodName();
      const name = method && !method.startsWith('#') ? method : (places[index + 1]?.name ?? method);
      const at = `${place.file}:${place.line}:${place.column}`;
      return name ? `${frame.isAsync() ? 'async ' : ''}${name} (${at})` : at;
    }),
  ].join('\n    at ');
}

/** Source maps by program; undefined where there is none. */
const maps = new Map();

function sourceOf(frame) {
  const program = frame.getFileName();
  if (!scripts.has(program)) return undefined;
  if (!maps.has(program)) maps.set(program, mapOf(program));
  const entry = maps.get(program)?.findEntry(frame.getLineNumber() - 1, frame.getColumnNumber() - 1);
  if (entry?.originalSource === undefined) return undefined;
  return {
    file: resolve(dirname(program), entry.originalSource),
    line: entry.originalLine + 1,
    column: entry.originalColumn + 1,
    name: entry.name,
  };
}

function mapOf(program) {
  try {
    const {SourceMap} = require('node:module');
    return new SourceMap(JSON.parse(readFileSync(`${program}.map`, 'utf8')));
  } catch {
    return undefined; // the stack is shown as it is
  }
}
