import {type ChildProcess, execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, rmdirSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import type {CoracleError} from '../../src/index.js';
import {compileC} from '../helpers/compile-c.js';
import {assertNothingLeft, hostFootprint} from '../helpers/host-footprint.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {requires} from '../helpers/requires.js';

const own = ownRuntime();
const withFuse = requires('/dev/fuse', 'fuse3');

/** A file system that never answers, as one of a network whose server has gone: whoever looks at it hangs. */
const DEAD_FILE_SYSTEM = `
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>
int main(int argc, char **argv) {
        char options[100];
        int fuse = open("/dev/fuse", O_RDWR);
        if (argc != 2 || fuse < 0) return 1;
        snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse);
        if (mount("dead", argv[1], "fuse", 0, options) < 0) return 2;
        puts("mounted");
        fflush(stdout);
        pause();
        return 0;
}`;

withFuse.serial(
  'a start that hangs on a dead file system fails at its deadline, with the step named',
  async t => {
    await own.sh('true');
    const source = await deadFileSystem(t);
    const before = hostFootprint(own.folder);
    const error = (await t.throwsAsync(
      own.run({
        command: ['true'],
        startDeadlineMs: 300,
        mounts: [{type: 'bind', source: join(source, 'below'), target: '/data'}],
      }),
    )) as CoracleError;
    t.is(error.code, 'ERR_START_DEADLINE');
    t.regex(error.message, /^the start took longer than 300 ms: it hung at "mount \/data" \(.*below\)$/);
    await own.sh('true');
    await assertNothingLeft(t, own.folder, before);
  },
);

withFuse.serial('while starts hang, others start, run, are stopped and are removed', async t => {
  await own.sh('true');
  const source = await deadFileSystem(t);
  const before = hostFootprint(own.folder);
  const mounts = [{type: 'bind', source: join(source, 'below'), target: '/data'}] as const;
  // More than there are spawners at first.
  const hanging = Array.from({length: 4}, () => own.run({command: ['true'], startDeadlineMs: 1500, mounts}));
  const codes = Promise.all(
    hanging.map(start =>
      start.then(
        () => 'ran',
        (error: CoracleError) => error.code,
      ),
    ),
  );
  for (let round = 0; round < 5; round++) {
    t.like(await own.sh('exit 5'), {kind: 'code', code: 5});
  }
  const running = await own.run({command: ['sleep', '60']});
  await running.kill();
  t.like(await running.exit, {kind: 'signal', signal: 9});
  t.deepEqual(await codes, Array(4).fill('ERR_START_DEADLINE'));
  t.like(await own.sh('exit 6'), {kind: 'code', code: 6});
  await assertNothingLeft(t, own.folder, before);
});

withFuse.serial('a start that hangs can be aborted', async t => {
  await own.sh('true');
  const source = await deadFileSystem(t);
  const reason = new Error('no patience');
  const controller = new AbortController();
  const attempt = own.run({
    command: ['true'],
    signal: controller.signal,
    mounts: [{type: 'bind', source: join(source, 'below'), target: '/data'}],
  });
  setTimeout(() => controller.abort(reason), 100);
  t.is(await t.throwsAsync(attempt), reason);
});

/** Mounted until the test ends. */
async function deadFileSystem(t: ExecutionContext): Promise<string> {
  const program = compileC(own.folder, 'dead-file-system', DEAD_FILE_SYSTEM);
  const target = mkdtempSync(join(tmpdir(), 'coracle-dead-')); // elsewhere: the footprint is looked for in the own folder;
  const server: ChildProcess = spawn(program, [target], {stdio: ['ignore', 'pipe', 'inherit']});
  t.teardown(async () => {
    const gone = once(server, 'exit');
    server.kill('SIGKILL'); // everybody who waits gets ENOTCONN
    await gone;
    execFileSync('umount', ['--lazy', target]);
    rmdirSync(target);
  });
  await once(server.stdout!, 'data');
  return target;
}
