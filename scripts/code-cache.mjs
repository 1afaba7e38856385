// The programs of dist/ as bin/start.cjs runs them: one function expression, and V8's compiled form of it in a file
// beside it. Why and what it saves: docs/decisions/0006-code-cache.md.
import {createHash} from 'node:crypto';
import {createRequire} from 'node:module';
import {setFlagsFromString} from 'node:v8';
import {Script} from 'node:vm';

export const {codeCacheFile, STAMP_LENGTH} = createRequire(import.meta.url)('../bin/start.cjs');

/** A CommonJS module's text as a function expression, below a line that names its contents. */
export function asProgram(text) {
  const stamp = `//${createHash('sha256').update(text).digest('hex')}`;
  return `${stamp}\n(function (exports, require, module, __filename) {${text}\n})\n`;
}

/** What this very Node compiles a program to, every function of it: nothing is left to compile at its start. */
export function codeCache(filename, program) {
  setFlagsFromString('--no-lazy');
  const script = new Script(program, {filename});
  setFlagsFromString('--lazy'); // the flags are part of the cache's key: a program starts with the default ones
  return Buffer.concat([Buffer.from(program.slice(0, STAMP_LENGTH), 'latin1'), script.createCachedData()]);
}
