// Hooks of typescript.mjs: they run in a thread of their own. https://nodejs.org/docs/latest-v20.x/api/module.html#hooks
import {createHash} from 'node:crypto';
import {existsSync, mkdirSync, readFileSync, renameSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

const root = dirname(import.meta.dirname);
const require = createRequire(import.meta.url);
const cache = join(root, 'node_modules', '.cache', `typescript-${require('esbuild/package.json').version}`);

/** A module says `./x.js`, as TypeScript wants it to; x.ts is what there is. */
export async function resolve(specifier, context, next) {
  if (/^\.{1,2}\/.*\.js$/.test(specifier) && context.parentURL?.startsWith('file:')) {
    const url = new URL(`${specifier.slice(0, -3)}.ts`, context.parentURL);
    if (existsSync(url)) return {url: url.href, format: 'module', shortCircuit: true};
  }
  return next(specifier, context);
}

export async function load(url, context, next) {
  if (!/^file:.*\.ts$/.test(url)) return next(url, context);
  return {source: readJavaScript(fileURLToPath(url)), format: 'module', shortCircuit: true};
}

function readJavaScript(path) {
  const source = readFileSync(path);
  const made = join(cache, `${createHash('sha256').update(path).update(source).digest('hex')}.js`);
  if (existsSync(made)) return readFileSync(made);
  const options = {loader: 'ts', format: 'esm', target: 'node20', sourcemap: 'inline', sourcefile: path};
  const {code} = require('esbuild').transformSync(source.toString(), options);
  mkdirSync(cache, {recursive: true});
  const half = `${made}.${process.pid}`;
  writeFileSync(half, code);
  renameSync(half, made);
  return code;
}
