// The programs of dist/ as bin/start.cjs runs them: one function expression, and V8's compiled form of it in a file
// beside it. Why, and what it saves: docs/decisions/0006-code-cache.md.
import {spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import {basename, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {setFlagsFromString} from 'node:v8';
import {Script} from 'node:vm';

const {codeCacheFile, load, STAMP_LENGTH} = createRequire(import.meta.url)('../bin/start.cjs');
const self = fileURLToPath(import.meta.url);

/** The command lines that are to start quickly: what they call is in the cache, other functions are compiled on use. */
const training = {
  'cli.cjs': [['run', '--rm', 'hello-world']],
  'ts-inspect.cjs': [
    ['--input', join(self, '..', '..', 'package.json'), '--format', '{{.name}} {{json .bin}}'],
  ],
};
const TRAINING_MS = 20_000;

if (process.argv[1] === self) await train(process.argv[2]);

/** A CommonJS module's text as a function expression, below a line that names its contents. */
export function asProgram(text) {
  const stamp = `//${createHash('sha256').update(text).digest('hex')}`;
  return `${stamp}\n(function (exports, require, module, __filename) {${text}\n})\n`;
}

/**
 * Writes a program's cache and returns its path. Where the training runs fail (no core yet, containers are forbidden),
 * every function goes in: a cache that takes 2 ms longer to read.
 */
export function writeCodeCache(filename) {
  const root = mkdtempSync(join(tmpdir(), 'coracle-build-'));
  try {
    const {status} = spawnSync(process.execPath, [self, filename], {
      env: {
        ...process.env,
        CORACLE_ROOT: join(root, 'root'),
        CORACLE_RUN: join(root, 'run'),
        NODE_OPTIONS: '',
      },
      stdio: 'ignore',
      timeout: TRAINING_MS,
    });
    if (status !== 0) compileAll(filename);
  } finally {
    rmSync(root, {recursive: true, force: true});
  }
  return codeCacheFile(filename);
}

async function train(filename) {
  const source = readFileSync(filename, 'latin1');
  const {main, script} = load(filename, source, undefined);
  for (const words of training[basename(filename)]) {
    process.argv = [process.execPath, filename, ...words];
    await main();
    if (process.exitCode) return;
  }
  write(filename, source, script);
}

function compileAll(filename) {
  const source = readFileSync(filename, 'latin1');
  setFlagsFromString('--no-lazy');
  const script = new Script(source, {filename});
  setFlagsFromString('--lazy'); // the flags are part of the cache's key: a program starts with the default ones
  write(filename, source, script);
}

function write(filename, source, script) {
  const file = codeCacheFile(filename);
  const stamp = Buffer.from(source.slice(0, STAMP_LENGTH), 'latin1');
  writeFileSync(`${file}.new`, Buffer.concat([stamp, script.createCachedData()]));
  renameSync(`${file}.new`, file);
}
