import {getEventListeners} from 'node:events';
import {existsSync} from 'node:fs';
import {setTimeout as sleep} from 'node:timers/promises';
import {Container} from '../../src/index.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();

asRoot('aborted before it was asked for, a run rejects with the reason and nothing happens', async t => {
  const reason = new Error('not wanted');
  const attempt = own.run({command: ['true'], name: 'unwanted', signal: AbortSignal.abort(reason)});
  t.is(await t.throwsAsync(attempt), reason);
  await t.throwsAsync(Container.get('unwanted', {runtime: await own.runtime}), {
    code: 'ERR_CONTAINER_NOT_FOUND',
  });
});

asRoot('aborted while it starts, a run rejects with the reason, and its name is free', async t => {
  await own.runtime;
  const controller = new AbortController();
  const reason = new Error('changed my mind');
  const attempt = own.run({command: ['sleep', '60'], name: 'starting', signal: controller.signal});
  queueMicrotask(() => controller.abort(reason));
  t.is(await t.throwsAsync(attempt), reason);
  await (await own.run({command: ['true'], name: 'starting'})).exit;
});

asRoot('aborted while it runs, it is killed, and the exit says so', async t => {
  const controller = new AbortController();
  const container = await own.run({command: ['sleep', '60'], signal: controller.signal});
  controller.abort(new Error('enough'));
  t.like(await container.exit, {kind: 'signal', signal: 9, cause: {kind: 'abort'}});
});

asRoot('aborted after its end, nothing changes', async t => {
  const controller = new AbortController();
  const container = await own.start('exit 3', {signal: controller.signal});
  const exit = await container.exit;
  controller.abort();
  await sleep(10);
  t.like(exit, {kind: 'code', code: 3, cause: {kind: 'exit'}});
  t.is(await container.exit, exit);
});

asRoot('a signal that ends by time kills like any other', async t => {
  await own.runtime; // made by the first test that wants it, which may take as long as the signal
  const container = await own.run({command: ['sleep', '60'], signal: AbortSignal.timeout(3000)});
  t.like(await container.exit, {kind: 'signal', signal: 9, cause: {kind: 'abort'}});
});

asRoot('one signal for many runs ends them all, and keeps no listener', async t => {
  const controller = new AbortController();
  const {signal} = controller;
  const containers = await Promise.all(
    Array.from({length: 8}, () => own.run({command: ['sleep', '60'], signal})),
  );
  controller.abort();
  for (const container of containers) t.is((await container.exit).cause.kind, 'abort');
  t.is(getEventListeners(signal, 'abort').length, 0);
});

asRoot('a created container whose start is aborted stays, and can be started again', async t => {
  const container = await own.create({command: ['sleep', '60']});
  const controller = new AbortController();
  const reason = new Error('later');
  const attempt = container.start({signal: controller.signal});
  setImmediate(() => controller.abort(reason));
  const outcome = await attempt.then(
    running => running.exit,
    error => error,
  );
  if (outcome instanceof Error) t.is(outcome, reason);
  else t.is(outcome.cause.kind, 'abort');
  const running = await container.start();
  await running.kill();
  t.like(await running.exit, {kind: 'signal', signal: 9});
  await container.remove();
});

asRoot.serial('aborted between exec and the news of it, a created container has not run', async t => {
  const launcher = (await own.runtime).launcher();
  const container = await own.create({command: ['sleep', '60']});
  const controller = new AbortController();
  const reason = new Error('too late');
  const {start} = launcher;
  launcher.start = (...request) => {
    const number = start.apply(launcher, request);
    // Until its pid is written, which follows exec, this process has no turn to hear of it.
    while (!existsSync(`${own.root}/containers/${container.id}/pid`));
    queueMicrotask(() => controller.abort(reason));
    return number;
  };
  t.teardown(() => {
    launcher.start = start;
  });
  t.is(await t.throwsAsync(container.start({signal: controller.signal})), reason);
  launcher.start = start;
  t.deepEqual(await container.state(), {status: 'created'});
  await (await container.start()).kill();
  t.like(await container.wait(), {kind: 'signal', signal: 9});
  await container.remove();
});

asRoot('one signal may end as many containers as there are: Node warns of no leak', async t => {
  const warnings: string[] = [];
  const note = ({name}: Error) => warnings.push(name);
  process.on('warning', note);
  t.teardown(() => process.off('warning', note));
  const controller = new AbortController();
  const containers = await Promise.all(
    Array.from({length: 12}, () => own.run({command: ['sleep', '1000'], signal: controller.signal})),
  );
  controller.abort(new Error('enough'));
  for (const {exit} of containers) t.like(await exit, {cause: {kind: 'abort'}});
  t.deepEqual(warnings, []);
  t.is(getEventListeners(controller.signal, 'abort').length, 0);
});
