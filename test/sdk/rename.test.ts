import {existsSync, readdirSync, readlinkSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {Container, Runtime} from '../../src/index.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();
const named = async (name: string) => Container.get(name, {runtime: await own.runtime});

asRoot('a container is found by its new name, and the old one is free', async t => {
  const container = await own.create({name: 'before'});
  await container.rename('/after');
  t.is((await named('after')).id, container.id);
  t.is((await container.inspect()).Name, '/after');
  await t.throwsAsync(named('before'), {code: 'ERR_CONTAINER_NOT_FOUND'});
  await using other = await own.create({name: 'before'});
  t.not(other.id, container.id);
  await container.remove();
  t.false(existsSync(join(own.root, 'names', 'after')));
});

asRoot('a name that is taken, wrong or the same is refused, and nothing changes', async t => {
  await using one = await own.create({name: 'one'});
  await using two = await own.create({name: 'two'});
  await t.throwsAsync(one.rename('two'), {
    code: 'ERR_NAME_IN_USE',
    message: `Conflict. The container name "/two" is already in use by container "${two.id}". You have to remove (or rename) that container to be able to reuse that name.`,
  });
  await t.throwsAsync(one.rename('bad name'), {code: 'ERR_INVALID_NAME'});
  await t.throwsAsync(one.rename('one'), {
    code: 'ERR_INVALID_NAME',
    message: 'Renaming a container with the same name as its current name',
  });
  t.is((await named('one')).id, one.id);
});

asRoot('one that removes itself takes its new name along, and leaves it free', async t => {
  const container = await own.start('exec sleep 1000', {name: 'first'});
  await container.rename('second');
  t.is((await named('second')).id, container.id);
  t.is((await container.state()).status, 'running');
  await t.throwsAsync(own.run({name: 'second'}), {code: 'ERR_NAME_IN_USE'});
  await t.throwsAsync(own.create({name: 'second'}), {code: 'ERR_NAME_IN_USE'});
  await using taker = await own.start('exec sleep 1000', {name: 'first'});
  container.signal(9);
  await container.settled;
  t.is((await named('first')).id, taker.id);
  await t.throwsAsync(named('second'), {code: 'ERR_CONTAINER_NOT_FOUND'});
  t.is(await own.output('echo again', {name: 'second'}), 'again\n');
  await using kept = await own.create({name: 'second'});
  t.is((await named('second')).id, kept.id);
});

asRoot('so does a detached one, at once for whoever wants the name and at the next open', async t => {
  const runtime = await own.runtime;
  for (const next of ['taken', 'swept'] as const) {
    const container = await Container.runDetached(
      'host-shell',
      {command: ['sleep', '1000'], autoRemove: true, name: 'detached'},
      {runtime},
    );
    await container.rename(next);
    await container.kill();
    await container.wait({condition: 'removed'});
  }
  await using taker = await own.create({name: 'taken'});
  t.is((await named('taken')).id, taker.id);
  await (await Runtime.open({root: own.root, run: own.runDirectory})).close();
  t.false(readdirSync(join(own.root, 'names')).includes('swept'));
});

asRoot('one whose removal has begun is there no more for who renames or updates it', async t => {
  const runtime = await own.runtime;
  const container = await Container.runDetached(
    'host-shell',
    {command: ['sleep', '1000'], autoRemove: true, name: 'going'},
    {runtime},
  );
  const {Pid} = (await container.inspect()).State;
  // As its monitor does it: the name first, then one file after the other.
  rmSync(join(own.root, 'names', 'going'));
  rmSync(join(own.root, 'containers', container.id, 'plan.bin'));
  const gone = {code: 'ERR_CONTAINER_NOT_FOUND', message: `No such container: ${container.id}`};
  await t.throwsAsync(container.rename('gone'), gone);
  await t.throwsAsync(container.update({limits: {processes: 100}}), gone);
  t.false(readdirSync(join(own.root, 'names')).includes('gone'));
  process.kill(Pid, 'SIGKILL');
  await container.wait({condition: 'removed'});
});

asRoot('renamings at once leave each container one name', async t => {
  const containers = await Promise.all([1, 2, 3].map(number => own.create({name: `race-${number}`})));
  const results = await Promise.allSettled(containers.map(container => container.rename('winner')));
  t.is(results.filter(({status}) => status === 'fulfilled').length, 1);
  const ids = new Set(containers.map(({id}) => id));
  const names = readdirSync(join(own.root, 'names')).filter(name =>
    ids.has(readlinkSync(join(own.root, 'names', name))),
  );
  t.is(names.length, 3);
  for (const container of containers) await container.remove();
});
