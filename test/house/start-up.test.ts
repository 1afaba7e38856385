/** What every program that imports Coracle, and every command, pays before it has done anything. */
import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {json} from 'node:stream/consumers';
import {fileURLToPath, pathToFileURL} from 'node:url';
import test from 'ava';

const root = fileURLToPath(new URL('../../', import.meta.url));
/** Each takes Node 0.2 to 4 ms to load. */
const HEAVY = ['child_process', 'crypto', 'dgram', 'http', 'https', 'net', 'stream', 'tls', 'zlib'];

const TELL = `process.on('exit', () => console.error(JSON.stringify(process.moduleLoadList)))`;

/** Which of them a program has loaded when it ends. */
async function heavyIn(...args: readonly string[]): Promise<string[]> {
  // Its output goes nowhere: for that of a socket Node would load its own streams.
  const program = spawn(process.execPath, ['--import', `data:text/javascript,${TELL}`, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const [loaded] = await Promise.all([json(program.stderr), once(program, 'close')]);
  return HEAVY.filter(name => (loaded as string[]).includes(`NativeModule ${name}`));
}

test('Node itself needs none of them for its start', async t =>
  t.deepEqual(await heavyIn('--input-type=module', '--eval', ''), []));

for (const name of ['index', 'inspect', 'sidecar']) {
  test(`importing dist/${name}.js loads none of Node's heavier modules`, async t => {
    const path = pathToFileURL(join(root, 'dist', `${name}.js`)).href;
    t.deepEqual(await heavyIn('--input-type=module', '--eval', `import '${path}'`), []);
  });
}

test('a command that opens the store loads none of them', async t => {
  t.deepEqual(await heavyIn(join(root, 'bin', 'coracle.cjs'), 'volume', 'ls', '--quiet'), []);
});

test('a file of variables for a container is not read by the Node that runs the command', t => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
  t.teardown(() => rmSync(folder, {recursive: true}));
  const file = join(folder, 'variables');
  writeFileSync(file, 'NODE_OPTIONS=--require /nowhere.cjs\n');
  for (const words of [
    [`--env-file=${file}`],
    ['--env-file', '/nowhere'],
    ['--env-file-if-exists=/nowhere'],
  ]) {
    const {status, stderr} = spawnSync(join(root, 'bin', 'coracle.cjs'), ['nonesuch', ...words], {
      encoding: 'utf8',
    });
    t.is(status, 1);
    t.is(stderr, "coracle: unknown command: coracle nonesuch\n\nRun 'coracle --help' for more information\n");
  }
});
