import {readdirSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {Volume} from '../../src/index.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();

asRoot('a named volume is made when it is first wanted, and keeps what containers write', async t => {
  const runtime = await own.runtime;
  const mounts = [{type: 'volume', name: 'kept', target: '/data'}] as const;
  await own.output('echo first >/data/file', {mounts});
  t.is(await own.output('cat /data/file', {mounts}), 'first\n');
  const volume = await Volume.get('kept', {runtime});
  t.is(readFileSync(join(volume.mountpoint, 'file'), 'utf8'), 'first\n');
  await volume.remove();
  await t.throwsAsync(Volume.get('kept', {runtime}), {
    code: 'ERR_VOLUME_NOT_FOUND',
    message: 'get kept: no such volume',
  });
});

asRoot('an empty volume gets what the image has at its place, with owners and modes', async t => {
  const runtime = await own.runtime;
  const volume = await Volume.create({name: 'copied'}, {runtime});
  const mounts = [{type: 'volume', name: 'copied', target: '/usr/bin'}] as const;
  const listing = 'ls -ln /usr/bin | cut -c1-30';
  t.is(await own.output(listing, {mounts}), await own.output(listing));
  t.true(readdirSync(volume.mountpoint).includes('sh') || readdirSync(volume.mountpoint).includes('dash'));
});

asRoot('a volume that has something is left as it is, and one with nocopy stays empty', async t => {
  const runtime = await own.runtime;
  const volume = await Volume.create({name: 'filled'}, {runtime});
  writeFileSync(join(volume.mountpoint, 'mine'), '');
  t.is(
    await own.output('ls /usr/share', {mounts: [{type: 'volume', name: 'filled', target: '/usr/share'}]}),
    'mine\n',
  );
  const mounts = [{type: 'volume', name: 'bare', target: '/usr/share', nocopy: true}] as const;
  t.is(await own.output('ls /usr/share', {mounts}), '');
});

asRoot('a read-only volume takes nothing', async t => {
  const mounts = [{type: 'volume', name: 'locked', target: '/data', readOnly: true}] as const;
  t.is(await own.output('(echo x >/data/file) 2>/dev/null || echo refused', {mounts}), 'refused\n');
});

asRoot('an anonymous volume lives as long as its container', async t => {
  const runtime = await own.runtime;
  const container = await own.start('echo x >/data/file; read line', {
    stdin: 'pipe',
    mounts: [{type: 'volume', target: '/data'}],
  });
  const [volume, ...more] = (await Volume.list({runtime})).filter(each =>
    each.users().includes(container.id),
  );
  t.deepEqual(more, []);
  t.regex(volume!.name, /^[a-f0-9]{64}$/);
  container.stdin!.end();
  await container.wait({condition: 'removed'});
  await t.throwsAsync(Volume.get(volume!.name, {runtime}), {code: 'ERR_VOLUME_NOT_FOUND'});
});

asRoot('a created container keeps its anonymous volume until it is removed with its volumes', async t => {
  const runtime = await own.runtime;
  const container = await own.create({
    command: ['sh', '-c', 'cat /data/file; echo again >/data/file'],
    mounts: [{type: 'volume', target: '/data'}],
  });
  await (await container.start()).exit;
  t.is((await (await container.start()).exit).lastOutput.stdout, 'again\n');
  const names = (await Volume.list({runtime})).filter(volume => volume.users().includes(container.id));
  t.is(names.length, 1);
  await container.remove({volumes: true});
  await t.throwsAsync(Volume.get(names[0]!.name, {runtime}), {code: 'ERR_VOLUME_NOT_FOUND'});
});

asRoot('a volume that a container has, running or not, cannot be removed', async t => {
  const runtime = await own.runtime;
  const mounts = [{type: 'volume', name: 'used', target: '/data'}] as const;
  const container = await own.create({command: ['true'], mounts});
  const volume = await Volume.get('used', {runtime});
  t.deepEqual(volume.users(), [container.id]);
  await t.throwsAsync(volume.remove(), {
    code: 'ERR_VOLUME_IN_USE',
    message: `remove used: volume is in use - [${container.id}]`,
  });
  await container.remove();
  await volume.remove();
});

asRoot('two containers that share a volume see each other’s files', async t => {
  const mounts = [{type: 'volume', name: 'shared', target: '/data'}] as const;
  const reader = await own.start('while ! [ -e /data/file ]; do sleep 0.01; done; cat /data/file', {mounts});
  await own.output('echo hello >/data/part; mv /data/part /data/file', {mounts});
  t.is((await reader.exit).lastOutput.stdout, 'hello\n');
});

asRoot('labels and options of a volume are told in the order of their keys', async t => {
  const volume = await Volume.create(
    {labels: {z: '1', a: '2'}, driverOptions: {type: 'tmpfs', device: 'tmpfs', o: 'size=1m'}},
    {runtime: await own.runtime},
  );
  const {Labels, Options} = volume.inspect();
  t.is(
    JSON.stringify([Labels, Options]),
    '[{"a":"2","z":"1"},{"device":"tmpfs","o":"size=1m","type":"tmpfs"}]',
  );
  await volume.remove();
});

asRoot('inspect gives Docker’s document of a volume, and list all volumes by name', async t => {
  const runtime = await own.runtime;
  const volume = await Volume.create({name: 'zz-inspected', labels: {colour: 'blue'}}, {runtime});
  t.like(volume.inspect(), {
    Name: 'zz-inspected',
    Driver: 'local',
    Scope: 'local',
    Labels: {colour: 'blue'},
    Mountpoint: `${own.root}/volumes/zz-inspected/_data`,
  });
  const names = (await Volume.list({runtime})).map(({name}) => name);
  t.true(names.includes('zz-inspected'));
  t.deepEqual(names, [...names].sort());
  t.is(statSync(volume.mountpoint).mode & 0o7777, 0o755);
});

for (const name of ['a', '../up', 'with space', '-dash', '/host']) {
  asRoot(`"${name}" is no name of a volume`, async t => {
    await t.throwsAsync(Volume.create({name}, {runtime: await own.runtime}), {
      code: 'ERR_INVALID_VOLUME_NAME',
    });
  });
}
