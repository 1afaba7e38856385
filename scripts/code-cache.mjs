// The files of dist/ as bin/start.cjs runs them: one function expression, and V8's compiled form of it in a file beside
// it. Why, and what it saves: docs/decisions/0006-code-cache.md.
import {spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import {basename, dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {setFlagsFromString} from 'node:v8';
import {Script} from 'node:vm';

const {codeCacheFile, load, scripts, STAMP_LENGTH} = createRequire(import.meta.url)('../bin/start.cjs');
const self = fileURLToPath(import.meta.url);

/** The flags of everyday use: what reads them is compiled, too. */
const FLAGS = [
  '-i',
  '-m',
  '64m',
  '--cpus=0.5',
  '--pids-limit',
  '64',
  '-e',
  'A=b',
  '-v',
  '/tmp:/tmp:ro',
  '-w',
  '/',
];

/** Stands for the path of a saved container in a command line. */
const DOCUMENT = '{document}';
const SAVED = {
  Id: '0'.repeat(64),
  Created: '2026-01-01T00:00:00.123456789Z',
  Path: '/true',
  Args: [],
  State: {Status: 'running', Running: true, Pid: 1, ExitCode: 0, StartedAt: '2026-01-01T00:00:00Z'},
  Name: '/web',
  HostConfig: {NetworkMode: 'default', Memory: 0, Binds: null, PortBindings: {}},
  Mounts: [],
  Config: {Hostname: 'web', Image: 'web', Cmd: ['/true'], Env: ['A=b'], Labels: {a: 'b'}},
  NetworkSettings: {IPAddress: '172.17.0.2', Ports: {}, Networks: {bridge: {IPAddress: '172.17.0.2'}}},
};

/** The command lines that are to start quickly: what they call is in the cache, other functions are compiled on use. */
const training = {
  'cli.cjs': {
    program: 'cli.cjs',
    commandLines: [
      ['run', '--rm', 'hello-world'],
      ['run', '--rm', '--network', 'none', '--when-unavailable', 'warn', ...FLAGS, 'hello-world', '/hello'],
    ],
  },
  'cli-templates.cjs': {program: 'cli.cjs', commandLines: [['ps', '--all']]},
  'ts-inspect.cjs': {
    program: 'ts-inspect.cjs',
    commandLines: [
      ['--input', DOCUMENT, '--format', '{{.NetworkSettings.IPAddress}} {{json .Config.Labels}}'],
      [
        '--input',
        DOCUMENT,
        '--format',
        '<<range $name, $network := .NetworkSettings.Networks>><<$name>><<end>>',
      ],
    ],
  },
};
const TRAINING_MS = 20_000;

if (process.argv[1] === self) await train(process.argv[2], process.argv[3]);

/** A CommonJS module's text as a function expression, below a line that names its contents. */
export function asProgram(text) {
  const stamp = `//${createHash('sha256').update(text).digest('hex')}`.padEnd(STAMP_LENGTH);
  return `${stamp}\n(function (exports, require, module, __filename) {\n${text}\n})\n`;
}

/** The source map of a text as that of the program: two lines further down. */
export function asProgramMap(text) {
  const {version, sources, names, mappings} = JSON.parse(text);
  return JSON.stringify({version, sources, names, mappings: `;;${mappings}`});
}

/**
 * Writes a file's cache and returns its path; undefined when the file is to have none. Where the training runs fail (no
 * core yet, containers are forbidden), every function goes in: a cache that takes 2 ms longer to read.
 */
export function writeCodeCache(filename) {
  if (!Object.hasOwn(training, basename(filename))) return undefined;
  const root = mkdtempSync(join(tmpdir(), 'coracle-build-'));
  try {
    const document = join(root, 'saved.json');
    writeFileSync(document, JSON.stringify([SAVED]));
    const run = () =>
      spawnSync(process.execPath, [self, filename, document], {
        env: {
          ...process.env,
          CORACLE_ROOT: join(root, 'root'),
          CORACLE_RUN: join(root, 'run'),
          NODE_OPTIONS: '',
        },
        stdio: 'ignore',
        timeout: TRAINING_MS,
      });
    run(); // makes the image, once: what that calls is not what is to be quick
    const {status} = run();
    if (status !== 0) compileAll(filename);
  } finally {
    rmSync(root, {recursive: true, force: true});
  }
  return codeCacheFile(filename);
}

async function train(filename, document) {
  const {program, commandLines} = training[basename(filename)];
  const path = join(dirname(filename), program);
  const {main} = load(path, () => undefined);
  for (const words of commandLines) {
    process.argv = [process.execPath, path, ...words.map(word => (word === DOCUMENT ? document : word))];
    await main();
    if (process.exitCode) return;
  }
  write(filename, scripts.get(filename));
}

function compileAll(filename) {
  setFlagsFromString('--no-lazy');
  const script = new Script(readFileSync(filename, 'latin1'), {filename});
  setFlagsFromString('--lazy'); // the flags are part of the cache's key: a program starts with the default ones
  write(filename, script);
}

function write(filename, script) {
  const file = codeCacheFile(filename);
  const stamp = readFileSync(filename).subarray(0, STAMP_LENGTH);
  writeFileSync(`${file}.new`, Buffer.concat([stamp, script.createCachedData()]));
  renameSync(`${file}.new`, file);
}
