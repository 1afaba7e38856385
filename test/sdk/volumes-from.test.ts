import {mkdtempSync} from 'node:fs';
import {join} from 'node:path';
import {type Container, Volume} from '../../src/index.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();

async function anonymousOf(container: Container): Promise<Volume> {
  const volumes = await Volume.list({runtime: await own.runtime});
  return volumes.find(({name, ...volume}) => {
    void volume;
    return (
      /^[a-f0-9]{64}$/.test(name) &&
      volumes.some(each => each.name === name && each.users().includes(container.id))
    );
  })!;
}

asRoot('a container has the binds and volumes of another one, in the same places', async t => {
  const source = mkdtempSync(join(own.folder, 'source-'));
  const donor = await own.create({
    name: 'donor',
    command: ['true'],
    mounts: [
      {type: 'volume', name: 'named', target: '/named'},
      {type: 'volume', name: 'closed', target: '/closed', readOnly: true},
      {type: 'volume', target: '/anonymous'},
      {type: 'bind', source, target: '/bound'},
      {type: 'tmpfs', target: '/memory'},
    ],
  });
  await own.output('echo 1 >/named/file; echo 2 >/anonymous/file; echo 3 >/bound/file', {
    volumesFrom: ['donor'],
  });
  const show =
    'cat /named/file /anonymous/file /bound/file; (echo x >/closed/x) 2>/dev/null || echo refused; ls /memory 2>&1 | wc -l';
  t.regex(await own.output(show, {volumesFrom: [donor.id.slice(0, 12)]}), /^1\n2\n3\nrefused\n/);
  const touch =
    'for place in named anonymous bound closed; do (echo x >/$place/x) 2>/dev/null || echo $place; done';
  t.is(await own.output(touch, {volumesFrom: ['donor:ro']}), 'named\nanonymous\nbound\nclosed\n');
  const over = [{type: 'volume', name: 'other', target: '/named'}] as const;
  t.is(await own.output('ls /named', {volumesFrom: ['donor'], mounts: over}), '');
  await donor.remove({volumes: true});
});

asRoot('inspect shows them as Docker does', async t => {
  const donor = await own.create({
    command: ['true'],
    mounts: [{type: 'volume', name: 'shown', target: '/x', readOnly: true, writtenAs: 'shown:/x:ro'}],
  });
  const heir = await own.create({command: ['true'], volumesFrom: [donor.name]});
  const {Mounts, HostConfig} = await heir.inspect();
  t.like(Mounts[0], {Type: 'volume', Name: 'shown', Destination: '/x', Mode: '', RW: false, Propagation: ''});
  t.deepEqual(HostConfig.VolumesFrom, [donor.name]);
  t.is(HostConfig.Binds, null);
  t.false('Mounts' in HostConfig);
  await heir.remove();
  await donor.remove();
});

asRoot('an anonymous volume goes with the last container that has it', async t => {
  const runtime = await own.runtime;
  const mounts = [{type: 'volume', target: '/data'}] as const;
  const donor = await own.create({command: ['true'], mounts});
  const volume = await anonymousOf(donor);
  const heir = await own.create({command: ['true'], volumesFrom: [donor.name]});
  t.deepEqual([...volume.users()].sort(), [donor.id, heir.id].sort());
  await donor.remove({volumes: true});
  await Volume.get(volume.name, {runtime});
  await heir.remove({volumes: true});
  await t.throwsAsync(Volume.get(volume.name, {runtime}), {code: 'ERR_VOLUME_NOT_FOUND'});
});

asRoot('one of a container that removes itself stays for whom it was shared with', async t => {
  const runtime = await own.runtime;
  const donor = await own.start('echo kept >/data/file; echo ready; read line', {
    stdin: 'pipe',
    mounts: [{type: 'volume', target: '/data'}],
  });
  const volume = await anonymousOf(donor);
  const heir = await own.create({command: ['cat', '/data/file'], volumesFrom: [donor.id]});
  donor.stdin!.end('\n');
  await donor.settled;
  t.is((await (await heir.start()).exit).lastOutput.stdout, 'kept\n');
  // What has it for one run only takes nothing along either.
  t.is(await own.output('cat /data/file', {volumesFrom: [heir.id]}), 'kept\n');
  await t.throwsAsync(own.run({command: ['/no/such/program'], volumesFrom: [heir.id]}), {
    code: 'ERR_COMMAND_NOT_FOUND',
  });
  t.is((await (await heir.start()).exit).lastOutput.stdout, 'kept\n');
  await heir.remove({volumes: true});
  await t.throwsAsync(Volume.get(volume.name, {runtime}), {code: 'ERR_VOLUME_NOT_FOUND'});
});

asRoot('a container that is not there has no volumes to give', async t => {
  await t.throwsAsync(own.start('true', {volumesFrom: ['nobody']}), {
    code: 'ERR_CONTAINER_NOT_FOUND',
    message: 'No such container: nobody',
  });
});

asRoot('a volume is removed or used, never both', async t => {
  const runtime = await own.runtime;
  for (let round = 0; round < 20; round++) {
    const volume = await Volume.create({name: 'contended'}, {runtime});
    const [removal, creation] = await Promise.allSettled([
      volume.remove(),
      own.create({command: ['true'], mounts: [{type: 'volume', name: 'contended', target: '/data'}]}),
    ]);
    if (creation.status === 'rejected') throw creation.reason;
    await Volume.get('contended', {runtime});
    if (removal.status === 'rejected') t.is(removal.reason.code, 'ERR_VOLUME_IN_USE');
    await creation.value.remove();
  }
  t.pass();
});
