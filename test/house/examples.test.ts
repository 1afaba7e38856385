import {execFile} from 'node:child_process';
import {readdirSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import test, {type ExecutionContext} from 'ava';
import {ownNetwork} from '../helpers/own-network.js';
import {ownRoot} from '../helpers/own-root.js';
import {asRoot} from '../helpers/requires.js';

ownNetwork();
const run = promisify(execFile);
const folder = fileURLToPath(new URL('../../examples/', import.meta.url));

asRoot('limited-worker.mjs is killed at its deadline and says so', async t => {
  const {stdout} = await example(t, 'limited-worker.mjs');
  t.regex(stdout, /^ended by its deadline after \d+ ms\nused at most \d+ KiB\n$/);
});

asRoot('stdin-to-stdout.mjs sorts what it is given, a megabyte too', async t => {
  const lines = Array.from({length: 100_000}, (_, n) => `${(n * 7919) % 100_000}`.padStart(10, '0'));
  const {stdout} = await example(t, 'stdin-to-stdout.mjs', `${lines.join('\n')}\n`);
  t.true(stdout === `${lines.sort().join('\n')}\n`);
});

asRoot('many-workers.mjs gets an answer from each of its twenty workers', async t => {
  const {stdout} = await example(t, 'many-workers.mjs');
  t.is(stdout, `${Array.from({length: 20}, (_, n) => n * n).join(' ')}\n`);
});

asRoot('isolated-node.mjs gets its sum from a Node that is pid 1, nobody, and sees no /home', async t => {
  const {stdout} = await example(t, 'isolated-node.mjs');
  t.deepEqual(JSON.parse(stdout), {sum: 42, seen: {pid: 1, uid: 65534, home: false}});
});

asRoot('prepared-container.mjs starts what it had prepared', async t => {
  const {stdout, stderr} = await example(t, 'prepared-container.mjs');
  t.is(stdout, 'hello, sailor\n');
  t.regex(stderr, /^started \d+\.\d\d ms after it was asked for; ended with 0\n$/);
});

asRoot('two-services.mjs finds its server by name', async t => {
  const {stdout} = await example(t, 'two-services.mjs');
  t.is(stdout, 'hello, sailor\n');
});

asRoot('backup-volume.mjs saves a volume that is written to, and reads what it restored', async t => {
  const {stdout} = await example(t, 'backup-volume.mjs');
  t.is(stdout, '2 entries saved and read back, 1 container stood still\nkept\n');
});

asRoot('backup-repository.mjs proves what it saved, and brings it back', async t => {
  const {stdout} = await example(t, 'backup-repository.mjs');
  t.is(stdout, 'the drill passed: 2 steps\n2 entries came back\nsecond\n1 older snapshot was forgotten\n');
});

asRoot('command-in-container.mjs runs two commands in one container', async t => {
  const {stdout} = await example(t, 'command-in-container.mjs');
  t.is(stdout, "{ exitCode: 0, stdout: 'file\\n' }\na\nb\n{ kind: 'exit' }\n");
});

asRoot('build-image.mjs builds an image and runs it', async t => {
  const {stdout} = await example(t, 'build-image.mjs');
  t.is(stdout, 'hello Coracle\n');
});

asRoot('wait-until-ready.mjs goes on once its service is ready and healthy', async t => {
  const {stdout} = await example(t, 'wait-until-ready.mjs');
  t.is(stdout, 'running healthy\n');
});

test('each example has a test here', t => {
  t.deepEqual(
    readdirSync(folder)
      .filter(name => name.endsWith('.mjs'))
      .sort(),
    [
      'backup-repository.mjs',
      'backup-volume.mjs',
      'build-image.mjs',
      'command-in-container.mjs',
      'isolated-node.mjs',
      'limited-worker.mjs',
      'many-workers.mjs',
      'prepared-container.mjs',
      'stdin-to-stdout.mjs',
      'two-services.mjs',
      'wait-until-ready.mjs',
    ],
  );
});

async function example(t: ExecutionContext, name: string, input = '') {
  const child = run(process.execPath, [name], {cwd: folder, env: ownRoot(t), maxBuffer: 2 ** 24});
  child.child.stdin!.end(input);
  return child;
}
