import {execFile} from 'node:child_process';
import {readlinkSync} from 'node:fs';
import {hostname} from 'node:os';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import test from 'ava';
import {asRoot} from '../helpers/requires.js';

const run = promisify(execFile);
const hello = fileURLToPath(new URL('../../native/build/hello', import.meta.url));

test("hello-world's program greets, says what it sees, and fits on a screen", async t => {
  const {stdout} = await run(hello, {env: {}});
  t.regex(stdout, /^Hello from Coracle!\n/);
  const lines = stdout.trimEnd().split('\n');
  t.true(lines.length < 25, `${lines.length} lines`);
  t.deepEqual(
    lines.filter(line => line.length > 80),
    [],
  );
  t.regex(stdout, /^ {2}pid {9}\d+, and it can see \d+ processes$/m);
  t.true(stdout.includes(`\n  hostname    ${hostname()}\n`));
  for (const name of ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts']) {
    t.true(stdout.includes(readlinkSync(`/proc/self/ns/${name}`).replace(':[', ' ').replace(']', '')), name);
  }
});

asRoot('alone in a pid namespace it is pid 1 and sees itself', async t => {
  const {stdout} = await run('unshare', ['--pid', '--fork', '--mount-proc', hello]);
  t.regex(stdout, /^ {2}pid {9}1, and it can see 1 process: itself$/m);
});

test('it measures its start from the moment it was asked for', async t => {
  const threeSecondsAgo = process.hrtime.bigint() - 3_000_000_000n;
  const {stdout} = await run(hello, {env: {CORACLE_REQUESTED_NS: String(threeSecondsAgo)}});
  const [, milliseconds] = /^ {2}started {5}(\d+\.\d\d) ms after it was asked for/m.exec(stdout) ?? [];
  t.true(Number(milliseconds) >= 3_000, milliseconds);
});

test('it leaves the start out when nobody said when that was, or says it is still to come', async t => {
  for (const env of [{}, {CORACLE_REQUESTED_NS: String(process.hrtime.bigint() + 10n ** 12n)}]) {
    const {stdout} = await run(hello, {env});
    t.notRegex(stdout, /started/);
  }
});

test('it fails when nobody can read what it writes', async t => {
  const error = await t.throwsAsync(run('sh', ['-c', '"$0" >/dev/full', hello]));
  t.like(error, {code: 1});
});
