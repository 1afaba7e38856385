import {mkdirSync, renameSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {Container, type CoracleError, Runtime} from '../../src/index.js';
import {ownRuntime, textOf} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();

asRoot('a created container has not run, runs when it is started, and stays when it has ended', async t => {
  const container = await own.create({command: ['sh', '-c', 'echo ran; exit 4']});
  t.deepEqual(await container.state(), {status: 'created'});
  const running = await container.start();
  t.is(await textOf(running.stdout!), 'ran\n');
  t.like(await running.exit, {kind: 'code', code: 4});
  t.like(await container.state(), {status: 'exited', exit: {kind: 'code', code: 4}});
  await container.remove();
  await t.throwsAsync(container.state(), {code: 'ERR_CONTAINER_NOT_FOUND'});
});

asRoot('a container that ended can be started again and finds what it wrote', async t => {
  const container = await own.create({command: ['sh', '-c', 'cat /note; echo again >>/note']});
  const outputs: string[] = [];
  for (let round = 0; round < 3; round++) {
    const running = await container.start();
    outputs.push(await textOf(running.stdout!));
    await running.exit;
  }
  t.deepEqual(outputs, ['', 'again\n', 'again\nagain\n']);
  await container.remove();
});

asRoot('a start that fails leaves what is known of the run before it', async t => {
  const source = join(own.folder, 'comes-and-goes');
  const hidden = `${source}-hidden`;
  mkdirSync(source);
  const container = await own.create({
    command: ['sh', '-c', 'test -e /data/second && sleep 60; exit 3'],
    mounts: [{type: 'bind', source, target: '/data'}],
  });
  await (await container.start()).exit;
  const ended = await container.state();
  t.like(ended, {status: 'exited', exit: {kind: 'code', code: 3}});
  renameSync(source, hidden);
  await t.throwsAsync(container.start(), {code: 'ERR_MOUNT_SOURCE'});
  t.like(await container.state(), ended);
  t.like(await container.wait(), {kind: 'code', code: 3});
  t.like((await container.inspect()).State, {Status: 'exited', ExitCode: 3});
  renameSync(hidden, source);
  writeFileSync(join(source, 'second'), '');
  const running = await container.start();
  t.is((await container.state()).status, 'running');
  await running.kill();
  t.like(await running.exit, {kind: 'signal', signal: 9});
  t.like(await container.state(), {status: 'exited', exit: {kind: 'signal', signal: 9}});
  await container.remove();
});

asRoot('a running container says since when, and under which pid of the host', async t => {
  const before = Date.now();
  await using container = await own.run({command: ['sleep', '60'], autoRemove: false});
  const state = await container.state();
  t.is(state.status, 'running');
  if (state.status !== 'running') return;
  t.is(state.pid, container.pid);
  const startedAt = Date.parse(state.startedAt);
  // The kernel counts starts in ticks of 10 ms.
  t.true(startedAt > before - 1000 && startedAt < Date.now() + 1000, state.startedAt);
});

asRoot('a container that runs cannot be started, nor removed without force', async t => {
  const container = await own.run({command: ['sleep', '60'], autoRemove: false});
  await t.throwsAsync(container.start(), {code: 'ERR_CONTAINER_RUNNING'});
  const found = await Container.get(container.id, {runtime: await own.runtime});
  await t.throwsAsync(found.remove(), {
    code: 'ERR_CONTAINER_RUNNING',
    message: /^You cannot remove a running container [0-9a-f]{64}\. Stop the container/,
  });
  await found.remove({force: true});
  t.like(await container.exit, {kind: 'signal', signal: 9});
  await t.throwsAsync(found.state(), {code: 'ERR_CONTAINER_NOT_FOUND'});
});

asRoot('a container that does not run cannot be killed; to stop it does nothing', async t => {
  const container = await own.create({command: ['true']});
  await t.throwsAsync(container.kill(), {
    code: 'ERR_CONTAINER_NOT_RUNNING',
    message: `Container ${container.id} is not running`,
  });
  await container.stop();
  t.is((await container.state()).status, 'created');
  await container.remove();
});

asRoot('wait resolves with the exit, and with undefined for one that never ran', async t => {
  const container = await own.create({command: ['sh', '-c', 'sleep 0.05; exit 6']});
  t.is(await container.wait(), undefined);
  await container.start();
  t.like(await container.wait(), {kind: 'code', code: 6});
  await container.remove();
});

asRoot('to wait can be given up, with the reason of the signal', async t => {
  await using container = await own.run({command: ['sleep', '60'], autoRemove: false});
  const found = await Container.get(container.id, {runtime: await own.runtime});
  const waits = [
    (signal: AbortSignal) => found.wait({signal}),
    (signal: AbortSignal) => container.wait({signal}),
    (signal: AbortSignal) => found.stop({timeoutMs: -1, stopSignal: 'SIGURG', signal}),
  ];
  for (const wait of waits) {
    const controller = new AbortController();
    const reason = new Error('enough');
    const waited = wait(controller.signal);
    setTimeout(() => controller.abort(reason), 20);
    t.is(await t.throwsAsync(waited), reason);
    t.is(await t.throwsAsync(wait(controller.signal)), reason);
  }
  t.is((await container.state()).status, 'running');
});

asRoot('started twice at once, it runs once', async t => {
  const container = await own.create({command: ['sleep', '60']});
  const starts = await Promise.allSettled([container.start(), container.start(), container.start()]);
  const codes = starts.flatMap(start =>
    start.status === 'rejected' ? [(start.reason as CoracleError).code] : [],
  );
  t.deepEqual(codes, ['ERR_CONTAINER_RUNNING', 'ERR_CONTAINER_RUNNING']);
  t.is((await container.state()).status, 'running');
  await container.remove({force: true});
});

asRoot('a start that failed leaves a created container as it was, to be started again', async t => {
  const container = await own.create({command: ['/nope']});
  await t.throwsAsync(container.start(), {code: 'ERR_COMMAND_NOT_FOUND'});
  await t.throwsAsync(container.start(), {code: 'ERR_COMMAND_NOT_FOUND'});
  t.is((await container.state()).status, 'created');
  await container.remove();
});

asRoot('a name is taken by one container at a time, created or running', async t => {
  const runtime = await own.runtime;
  const holder = await own.create({command: ['sleep', '60'], name: 'taken'});
  const conflict = {
    code: 'ERR_NAME_IN_USE',
    message:
      `Conflict. The container name "/taken" is already in use by container "${holder.id}". ` +
      'You have to remove (or rename) that container to be able to reuse that name.',
  };
  await t.throwsAsync(own.create({command: ['true'], name: 'taken'}), conflict);
  await t.throwsAsync(own.run({command: ['true'], name: 'taken'}), conflict);
  await holder.start();
  await t.throwsAsync(own.run({command: ['true'], name: 'taken'}), conflict);
  await holder.remove({force: true});
  const next = await own.run({command: ['true'], name: 'taken'});
  await next.exit;
  t.is(next.runtime, runtime);
});

asRoot('of many who want one name at once, one gets it', async t => {
  const starts = await Promise.allSettled(
    Array.from({length: 10}, () => own.run({command: ['sleep', '60'], name: 'wanted'})),
  );
  const winners = starts.flatMap(start => (start.status === 'fulfilled' ? [start.value] : []));
  const codes = starts.flatMap(start =>
    start.status === 'rejected' ? [(start.reason as CoracleError).code] : [],
  );
  for (const winner of winners) await winner[Symbol.asyncDispose]();
  t.is(winners.length, 1);
  t.deepEqual(codes, Array(9).fill('ERR_NAME_IN_USE'));
});

for (const name of ['a', '-dash', 'with space', 'sl/ash', '', '../up']) {
  asRoot(`"${name}" is no name`, async t => {
    const error = (await t.throwsAsync(own.create({command: ['true'], name}))) as CoracleError;
    t.regex(error.code, /^ERR_INVALID_(NAME|OPTION)$/);
    t.is(error.message, `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
  });
}

asRoot('without a name a container gets a random one', async t => {
  const container = await own.create({command: ['true']});
  t.regex(container.name, /^[a-z]+_[a-z]+$/);
  t.is((await Container.get(container.name, {runtime: await own.runtime})).id, container.id);
  await container.remove();
});

asRoot(
  'a container is found by its id, by the beginning of its id, and by its name with and without a slash',
  async t => {
    const runtime = await own.runtime;
    const container = await own.create({command: ['true'], name: 'searched'});
    for (const key of [container.id, container.id.slice(0, 12), 'searched', '/searched']) {
      t.is((await Container.get(key, {runtime})).id, container.id);
    }
    for (const key of ['nope', 'f'.repeat(64), 'search', '']) {
      await t.throwsAsync(Container.get(key, {runtime}), {
        code: 'ERR_CONTAINER_NOT_FOUND',
        message: `No such container: ${key}`,
      });
    }
    await container.remove();
  },
);

asRoot('the beginning of an id that fits two containers is refused', async t => {
  const runtime = await own.runtime;
  // Among 17 ids two begin with the same digit.
  const containers = await Promise.all(Array.from({length: 17}, () => own.create({command: ['true']})));
  const ids = containers.map(({id}) => id);
  const digit = ids
    .map(([first]) => first!)
    .find((first, index) => ids.slice(0, index).some(id => id[0] === first))!;
  const error = (await t.throwsAsync(Container.get(digit, {runtime}))) as CoracleError;
  t.is(error.code, 'ERR_AMBIGUOUS_ID');
  t.is(error.message, `multiple IDs found with provided prefix: ${digit}`);
  await Promise.all(containers.map(container => container.remove()));
});

asRoot('a name wins over the beginning of an id', async t => {
  const runtime = await own.runtime;
  const first = await own.create({command: ['true']});
  const second = await own.create({command: ['true'], name: first.id.slice(0, 12)});
  t.is((await Container.get(first.id.slice(0, 12), {runtime})).id, second.id);
  t.is((await Container.get(first.id, {runtime})).id, first.id);
  await first.remove();
  await second.remove();
});

asRoot.serial('the list has created, running and ended containers, the newest first', async t => {
  const runtime = await own.runtime;
  const created = await own.create({command: ['true']});
  const ended = await own.run({command: ['true'], autoRemove: false});
  await ended.exit;
  const running = await own.run({command: ['sleep', '60']});
  const listed = await Container.list({runtime});
  t.deepEqual(
    listed.map(({id}) => id),
    [running.id, ended.id, created.id],
  );
  t.deepEqual(await Promise.all(listed.map(async container => (await container.state()).status)), [
    'running',
    'exited',
    'created',
  ]);
  for (const container of [created, ended, running]) await container[Symbol.asyncDispose]();
  t.deepEqual(await Container.list({runtime}), []);
});

asRoot('inspect gives Docker’s document before, during and after a run', async t => {
  const container = await own.create({
    command: ['sh', '-c', 'read line; exit 3'],
    stdin: 'pipe',
    name: 'inspected',
  });
  t.like(await container.inspect(), {
    Id: container.id,
    Name: '/inspected',
    Path: 'sh',
    Args: ['-c', 'read line; exit 3'],
    State: {Status: 'created', Running: false, Pid: 0, ExitCode: 0},
  });
  const running = await container.start({stdin: 'pipe'});
  t.like((await container.inspect()).State, {
    Status: 'running',
    Running: true,
    Pid: running.pid,
    ExitCode: 0,
  });
  running.stdin!.end();
  await running.exit;
  t.like((await container.inspect()).State, {
    Status: 'exited',
    Running: false,
    Pid: 0,
    ExitCode: 3,
    OOMKilled: false,
  });
  await container.remove();
});

asRoot('inspect tells that memory was the cause', async t => {
  const container = await own.run({
    command: ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=100M', 'count=1'],
    limits: {memoryBytes: 16 * 1024 * 1024, memorySwapBytes: 16 * 1024 * 1024},
    autoRemove: false,
  });
  await container.exit;
  t.like((await container.inspect()).State, {Status: 'exited', ExitCode: 137, OOMKilled: true});
  await container.remove();
});

asRoot('a second runtime on the same store sees a container, can stop it and wait for it', async t => {
  const {root, runDirectory: run} = own;
  await own.runtime;
  await using other = await Runtime.open({root, run});
  const container = await own.run({command: ['sleep', '60'], autoRemove: false});
  const seen = await Container.get(container.id, {runtime: other});
  t.is((await seen.state()).status, 'running');
  const waited = seen.wait();
  await seen.stop({timeoutMs: 20});
  t.like(await waited, {kind: 'signal', signal: 9});
  t.like(await container.exit, {kind: 'signal', signal: 9});
  await seen.remove();
  await t.throwsAsync(container.state(), {code: 'ERR_CONTAINER_NOT_FOUND'});
});

asRoot('closing a runtime ends what it started, and it starts nothing more', async t => {
  const {root, runDirectory: run} = own;
  await own.runtime;
  const other = await Runtime.open({root, run});
  const container = await Container.run('host-shell', {command: ['sleep', '60']}, {runtime: other});
  await other.close();
  await other.close();
  t.like(await container.exit, {kind: 'signal', signal: 9});
  await t.throwsAsync(Container.run('host-shell', {command: ['true']}, {runtime: other}), {
    code: 'ERR_RUNTIME_CLOSED',
  });
  await container[Symbol.asyncDispose](); // as `await using` does, in whichever order
});
