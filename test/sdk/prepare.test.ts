import {existsSync, readdirSync} from 'node:fs';
import {setTimeout as sleep} from 'node:timers/promises';
import type {ExecutionContext} from 'ava';
import {SlotAllocator} from '../../src/binding/index.js';
import {Container, type RunOptions, Runtime} from '../../src/index.js';
import {ownRuntime, textOf} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();

async function prepare(options: RunOptions) {
  return Container.prepare('host-shell', options, {runtime: await own.runtime});
}

async function leavesNothing(t: ExecutionContext, id: string) {
  const {store, facts} = await own.runtime;
  t.is(store.containers.find(id), undefined);
  t.false(readdirSync(`${store.root}/transient`).some(name => name.endsWith(id)));
  const {directories} = facts.cgroups.compile({name: id, limits: {}}, new SlotAllocator());
  for (const directory of Object.values(directories)) t.false(existsSync(directory), directory);
}

asRoot('a prepared container has not run its program; started, it does', async t => {
  const prepared = await prepare({command: ['sh', '-c', 'cat /proc/1/comm; exit 4']});
  await sleep(50);
  const job = await prepared.start();
  t.is(await textOf(job.stdout!), 'sh\n');
  t.like(await job.exit, {kind: 'code', code: 4, cause: {kind: 'exit'}});
  await job.settled;
  await leavesNothing(t, prepared.id);
});

asRoot(
  'its limits, streams and deadline are those of its options, and the deadline counts from the start',
  async t => {
    const prepared = await prepare({
      command: ['sh', '-c', 'cat; sleep 60'],
      stdin: {text: 'in'},
      deadlineMs: 1000,
    });
    await sleep(1100);
    const job = await prepared.start();
    const text = textOf(job.stdout!);
    t.like(await job.exit, {cause: {kind: 'deadline', deadlineMs: 1000}});
    t.is(await text, 'in');
  },
);

asRoot('one that is disposed of never runs and leaves nothing, twice is fine', async t => {
  const prepared = await prepare({command: ['sh', '-c', 'exit 1']});
  await prepared[Symbol.asyncDispose]();
  await prepared[Symbol.asyncDispose]();
  await leavesNothing(t, prepared.id);
  await t.throwsAsync(prepared.start(), {instanceOf: TypeError});
});

asRoot('a program that is not there fails at the start, with the step named, and leaves nothing', async t => {
  const prepared = await prepare({command: ['nowhere']});
  await t.throwsAsync(prepared.start(), {
    code: 'ERR_COMMAND_NOT_FOUND',
    message: /executable file not found in \$PATH/,
  });
  await leavesNothing(t, prepared.id);
});

asRoot('what fails before exec fails when it is prepared', async t => {
  await t.throwsAsync(prepare({mounts: [{type: 'bind', source: '/nowhere', target: '/x'}]}), {
    code: 'ERR_MOUNT_SOURCE',
  });
});

asRoot('many are prepared at once while others start', async t => {
  const prepared = await Promise.all(
    Array.from({length: 8}, (_, number) => prepare({command: ['sh', '-c', `exit ${number}`]})),
  );
  t.like(await own.sh('exit 9'), {code: 9});
  const exits = await Promise.all(prepared.map(async each => (await each.start()).exit));
  t.deepEqual(
    exits.map(exit => exit.kind === 'code' && exit.code),
    [0, 1, 2, 3, 4, 5, 6, 7],
  );
});

asRoot('closing the runtime gives up what was prepared', async t => {
  const {root, runDirectory} = own;
  await own.runtime;
  const runtime = await Runtime.open({root, run: runDirectory});
  const prepared = await Container.prepare('host-shell', {command: ['sh']}, {runtime});
  await runtime.close();
  await leavesNothing(t, prepared.id);
});
