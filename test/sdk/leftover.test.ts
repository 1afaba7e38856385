/** What of a run cannot be removed at its end is not forgotten: whoever comes next tries again. */
import {execFileSync} from 'node:child_process';
import {once} from 'node:events';
import {existsSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import type {ExecutionContext} from 'ava';
import {Container, type CoracleError, pruneContainers, Runtime} from '../../src/index.js';
import {cgroupDirectories} from '../helpers/host-footprint.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();

asRoot.serial('a container of whose last run a cgroup is left is not removed, and says which', async t => {
  const {container, cgroup, free} = await stuck(t);
  const error = (await t.throwsAsync(container.remove({force: true}))) as CoracleError;
  t.is(error.code, 'ERR_REMOVAL_FAILED');
  t.is(error.message, `cannot remove container "/${container.name}": remove cgroup ${cgroup}: EBUSY`);
  t.like(error.details, {subject: cgroup, errno: 'EBUSY'});
  const warned = once(process, 'warning');
  const {deleted} = await pruneContainers({}, {runtime: await own.runtime});
  t.false(deleted.includes(container.id));
  t.like((await warned)[0], {code: 'CORACLE_LEFTOVER'});
  t.like(await container.state(), {status: 'exited', exit: {kind: 'signal', signal: 9}});
  t.true(existsSync(cgroup));
  free();
  await container.remove();
  t.false(existsSync(cgroup));
});

asRoot.serial(
  'the next program that opens the store removes it, and the container stays as it was',
  async t => {
    const {container, cgroup, free} = await stuck(t);
    free();
    t.true(existsSync(cgroup));
    const options = {root: own.root, run: own.runDirectory};
    await using runtime = await Runtime.open(options);
    t.false(existsSync(cgroup));
    const found = await Container.get(container.id, {runtime});
    t.like(await found.state(), {status: 'exited', exit: {kind: 'signal', signal: 9}});
    await found.remove();
  },
);

/** One that has ended, and whose cgroup cannot be removed while something is mounted there. */
async function stuck(t: ExecutionContext) {
  const runtime = await own.runtime;
  const container = await Container.runDetached('host-shell', {command: ['sleep', '60']}, {runtime});
  const cgroup = cgroupDirectories().find(path => path.endsWith(container.id))!;
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', cgroup]);
  let isMounted = true;
  const free = () => {
    if (isMounted) execFileSync('umount', [cgroup]);
    isMounted = false;
  };
  t.teardown(async () => {
    free();
    await container[Symbol.asyncDispose]();
  });
  await container.stop({timeoutMs: 0});
  const {directory} = runtime.placesOf(runtime.readContainer(container.id));
  while (existsSync(join(directory, 'watcher'))) await sleep(20); // the monitor tries for two seconds
  t.true(existsSync(join(directory, 'leftover')));
  return {container, cgroup, free};
}
