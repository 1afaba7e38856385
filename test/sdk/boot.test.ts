import {Container, type RunOptions, Runtime} from '../../src/index.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

/** A root of its own: a boot concerns all that is in it. */
const own = ownRuntime();

asRoot('at a boot those start whose policy says so', async t => {
  const booted = await Runtime.open({root: own.root, run: own.runDirectory, waiting: 0});
  t.teardown(() => booted.close());
  const always = await detached(['sleep', '60'], 'always');
  const stopped = await detached(['sleep', '60'], 'unless-stopped');
  const well = await detached(['true'], 'on-failure');
  for (const container of [always, stopped]) await container.stop({timeoutMs: 0});
  await well.wait();
  for (const container of [always, stopped, well]) await booted.settle(booted.readContainer(container.id));
  const {started, failed} = await booted.boot();
  t.deepEqual(started, [always.name]);
  t.deepEqual(failed, []);
  t.is((await always.state()).status, 'running');
  await always.remove({force: true});
});

async function detached(
  command: readonly string[],
  name: NonNullable<RunOptions['restart']>['name'],
): Promise<Container> {
  return Container.runDetached('host-shell', {command, restart: {name}}, {runtime: await own.runtime});
}
