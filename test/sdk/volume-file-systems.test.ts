import {execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import {join} from 'node:path';
import {Container, type RunOptions, Runtime, Volume} from '../../src/index.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';
import {Dice, until} from '../helpers/world.js';

const own = ownRuntime();
const TMPFS = {type: 'tmpfs', device: 'tmpfs', o: 'size=1m,uid=1000'};

function at(name: string): Pick<RunOptions, 'mounts'> {
  return {mounts: [{type: 'volume', name, target: '/data'}]};
}

/** What is mounted at a volume's data on the host: mountinfo(5). */
function mounted(volume: Volume): string[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines.filter(line => line.split(' ')[4] === volume.mountpoint);
}

asRoot('a volume in memory is mounted for its first container and goes with its last', async t => {
  const runtime = await own.runtime;
  const volume = await Volume.create({name: 'memory', driverOptions: TMPFS}, {runtime});
  t.deepEqual(volume.inspect().Options, TMPFS);
  t.is(mounted(volume).length, 0);
  const holder = await own.start('echo mounted; read line', {stdin: 'pipe', ...at('memory')});
  await once(holder.stdout!, 'data');
  t.is(mounted(volume).length, 1);
  t.is(await own.output('stat -c "%u %s" /data; echo shared >/data/file', at('memory')), '1000 40\n');
  t.is(mounted(volume).length, 1);
  t.is(await own.output('cat /data/file', at('memory')), 'shared\n');
  t.is(readFileSync(join(volume.mountpoint, 'file'), 'utf8'), 'shared\n');
  const full = await own.sh('dd if=/dev/zero of=/data/big bs=64k count=64', at('memory'));
  t.regex(full.lastOutput.stderr, /No space left on device/);
  holder.stdin!.end('\n');
  await holder.settled;
  t.is(mounted(volume).length, 0);
  const last = await own.start('ls /data', at('memory'));
  t.is((await last.exit).lastOutput.stdout, '');
  await volume.remove(); // what its container is still about to let go of is waited for
  t.is(mounted(volume).length, 0);
});

asRoot('containers that live on their own mount it as well, and the last to end unmounts it', async t => {
  const runtime = await own.runtime;
  const volume = await Volume.create({name: 'detached', driverOptions: TMPFS}, {runtime});
  const holder = await own.create({command: ['sleep', '1000'], ...at('detached')});
  await holder.startDetached();
  t.is(mounted(volume).length, 1);
  const other = await own.create({command: ['true'], ...at('detached')});
  await other.startDetached();
  await other.wait();
  t.is(mounted(volume).length, 1);
  await holder.kill('KILL');
  await holder.wait();
  await holder.remove();
  t.is(mounted(volume).length, 0);
  await other.remove();
});

asRoot('a volume that is a directory of the host’s takes what the image has, and keeps it', async t => {
  const runtime = await own.runtime;
  const device = mkdtempSync(join(own.folder, 'device-'));
  const volume = await Volume.create(
    {name: 'bound', driverOptions: {type: 'none', o: 'bind', device}},
    {runtime},
  );
  const options: RunOptions = {mounts: [{type: 'volume', name: 'bound', target: '/usr/bin'}]};
  t.is(await own.output('ls /usr/bin', options), await own.output('ls /usr/bin'));
  await (await own.start('echo kept >/usr/bin/mine', options)).settled;
  t.is(readFileSync(join(device, 'mine'), 'utf8'), 'kept\n');
  t.deepEqual(readdirSync(volume.mountpoint), []);
  await volume.remove();
  t.true(existsSync(join(device, 'mine')));
});

asRoot('a volume that is mounted read-only takes nothing', async t => {
  const runtime = await own.runtime;
  const device = mkdtempSync(join(own.folder, 'device-'));
  writeFileSync(join(device, 'file'), 'there\n');
  await Volume.create({name: 'locked', driverOptions: {type: 'none', o: 'bind,ro', device}}, {runtime});
  const script = 'cat /data/file; (echo x >/data/x) 2>/dev/null || echo refused';
  t.is(await own.output(script, at('locked')), 'there\nrefused\n');
});

asRoot('what cannot be mounted is told in dockerd’s words, and nothing is left of the start', async t => {
  const runtime = await own.runtime;
  const cases = [
    [
      {type: 'none', o: 'bind', device: '/nonexistent'},
      'mount /nonexistent:PLACE, flags: 0x1000: no such file or directory',
    ],
    [
      {type: 'nofs', o: 'ro,some=data', device: 'x'},
      'mount x:PLACE, flags: 0x1, data: some=data: no such device',
    ],
  ] as const;
  for (const [driverOptions, call] of cases) {
    const volume = await Volume.create({name: `broken-${driverOptions.type}`, driverOptions}, {runtime});
    const failed = {
      code: 'ERR_VOLUME_MOUNT',
      message: `error while mounting volume '${volume.mountpoint}': failed to mount local volume: ${call.replace('PLACE', volume.mountpoint)}`,
    };
    await t.throwsAsync(own.start('true', at(volume.name)), failed);
    // Without a copy of the image's content it is the start that mounts it.
    const mounts = [{type: 'volume', name: volume.name, target: '/data', nocopy: true}] as const;
    await t.throwsAsync(own.start('true', {mounts}), failed);
    const kept = await own.create({command: ['true'], mounts});
    await t.throwsAsync(kept.start(), failed);
    await t.throwsAsync(kept.startDetached(), failed);
    await kept.remove();
    t.deepEqual(mounted(volume), []);
    t.deepEqual(volume.users(), []);
    await volume.remove();
  }
});

for (const [driverOptions, message, code] of [
  [{foo: 'bar'}, 'invalid option: "foo"', 'ERR_INVALID_VOLUME_OPTION'],
  [{type: 'tmpfs'}, 'missing required option: "device"', 'ERR_INVALID_VOLUME_OPTION'],
  [{device: '/x'}, 'missing required option: "type"', 'ERR_INVALID_VOLUME_OPTION'],
  [{o: 'size=1m'}, 'missing required option: "device"', 'ERR_INVALID_VOLUME_OPTION'],
  [{size: 'abc'}, "invalid size: 'abc'", 'ERR_INVALID_VOLUME_OPTION'],
  [{size: '10m'}, 'quota size requested but no quota support', 'ERR_QUOTA_UNSUPPORTED'],
] as const) {
  asRoot(`a volume with ${JSON.stringify(driverOptions)} is refused: ${message}`, async t => {
    const runtime = await own.runtime;
    await t.throwsAsync(Volume.create({name: 'refused', driverOptions: {...driverOptions}}, {runtime}), {
      code,
      message: `create refused: ${message}`,
    });
    await t.throwsAsync(Volume.get('refused', {runtime}), {code: 'ERR_VOLUME_NOT_FOUND'});
  });
}

asRoot(
  'the server of a volume on the network is looked up, and its address is what the kernel is told',
  async t => {
    const runtime = await own.runtime;
    const nfs = (server: string) => ({
      type: 'nfs',
      device: ':/export',
      o: `addr=${server},nolock,soft,timeo=1,retrans=1`,
    });
    await Volume.create({name: 'near', driverOptions: nfs('localhost')}, {runtime});
    const nocopy = (name: string) => ({
      mounts: [{type: 'volume', name, target: '/data', nocopy: true}] as const,
    });
    const error = await t.throwsAsync(own.start('true', nocopy('near')), {code: 'ERR_VOLUME_MOUNT'});
    t.regex(error!.message, /mount :\/export:.*, data: addr=127\.0\.0\.1,nolock/);
    await Volume.create({name: 'far', driverOptions: nfs('no-such-host.invalid')}, {runtime});
    await t.throwsAsync(own.start('true', nocopy('far')), {
      code: 'ERR_VOLUME_MOUNT',
      message: /error resolving passed in network volume address: lookup no-such-host\.invalid: no such host/,
    });
  },
);

asRoot('a driver that is a plugin of Docker’s is refused, for existing volumes too', async t => {
  const runtime = await own.runtime;
  await Volume.create({name: 'plugged'}, {runtime});
  for (const name of ['plugged', 'unplugged']) {
    await t.throwsAsync(Volume.create({name, driver: 'rexray'}, {runtime}), {
      code: 'ERR_PLUGINS_UNSUPPORTED',
      message: `create ${name}: error looking up volume plugin rexray: plugin "rexray" not found`,
    });
  }
});

asRoot('a mount makes the volume it wants, with labels and driver options', async t => {
  const runtime = await own.runtime;
  const mount = {name: 'wanted', target: '/data', labels: {a: 'b'}, driver: 'local', driverOptions: TMPFS};
  t.is(await own.output('stat -f -c %T /data', {mounts: [{type: 'volume', ...mount}]}), 'tmpfs\n');
  t.like((await Volume.get('wanted', {runtime})).inspect(), {Labels: {a: 'b'}, Options: TMPFS});
});

asRoot('a mount whose users died goes when the store is opened next', async t => {
  const runtime = await own.runtime;
  const volume = await Volume.create({name: 'abandoned', driverOptions: TMPFS}, {runtime});
  const users = join(volume.mountpoint, '../mounted');
  mkdirSync(users);
  // A container that is gone, and a process that was never there.
  for (const user of ['a'.repeat(64), '4194304-1-abc']) writeFileSync(join(users, user), '');
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', volume.mountpoint]);
  const next = await Runtime.open({root: own.root, run: own.runDirectory, waiting: 0});
  t.teardown(() => next.close());
  t.deepEqual(mounted(volume), []);
  t.false(existsSync(users));
});

asRoot('a part of a volume can be mounted, and no symlink in it leads out', async t => {
  const runtime = await own.runtime;
  const volume = await Volume.create({name: 'parts'}, {runtime});
  mkdirSync(join(volume.mountpoint, 'a/b'), {recursive: true});
  writeFileSync(join(volume.mountpoint, 'a/b/file'), 'part\n');
  symlinkSync('a/b', join(volume.mountpoint, 'inside'));
  symlinkSync('/etc', join(volume.mountpoint, 'outside'));
  const part = (subpath: string) => ({
    mounts: [{type: 'volume', name: 'parts', target: '/data', subpath, nocopy: true}] as const,
  });
  t.is(await own.output('ls /data', part('a/b')), 'file\n');
  t.is(await own.output('cat /data', part('a/b/file')), 'part\n');
  t.is(await own.output('ls /data', part('inside')), 'file\n');
  const refused = {code: 'ERR_MOUNT_SOURCE'};
  await t.throwsAsync(own.start('true', part('missing')), {
    ...refused,
    message: 'cannot access path missing of the volume: no such file or directory',
  });
  await t.throwsAsync(own.start('true', part('outside')), {
    ...refused,
    message: 'cannot access path outside of the volume: a symlink leads out of the volume',
  });
  for (const subpath of ['../x', '/etc', ''])
    await t.throwsAsync(own.start('true', part(subpath)), {code: 'ERR_INVALID_OPTION'});
});

asRoot('whoever is killed while containers come and go, at the end nothing is mounted', async t => {
  const runtime = await own.runtime;
  const volume = await Volume.create({name: 'contested', driverOptions: TMPFS}, {runtime});
  const dice = new Dice(7);
  const program = `
    import {Container, Runtime} from ${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)};
    const runtime = await Runtime.open(${JSON.stringify({root: own.root, run: own.runDirectory, waiting: 0})});
    const options = {command: ['true'], mounts: [{type: 'volume', name: 'contested', target: '/data'}]};
    process.stdout.write('begins');
    for (;;) {
      await (await Container.run('host-shell', options, {runtime})).settled;
      const kept = await Container.runDetached('host-shell', {...options, autoRemove: true}, {runtime});
      await kept.wait({condition: 'removed'});
    }`;
  for (let round = 0; round < 8; round++) {
    const programs = [0, 1].map(() =>
      spawn(process.execPath, ['--input-type=module', '-e', program], {stdio: ['ignore', 'pipe', 'inherit']}),
    );
    await Promise.all(programs.map(({stdout}) => once(stdout, 'data')));
    const kill = () => {
      for (const child of programs) child.kill('SIGKILL');
    };
    setTimeout(kill, dice.below(300)); // at some moment of it
    await Promise.all(programs.map(child => once(child, 'close')));
  }
  await until('their launchers and monitors ended', async () => {
    await using _opened = await Runtime.open({root: own.root, run: own.runDirectory, waiting: 0});
    // Whoever was killed between the two has created a container that it did not start.
    for (const container of await Container.list({runtime}))
      if ((await container.state()).status === 'created') await container.remove();
    return volume.users().length === 0;
  });
  await volume.remove();
  t.deepEqual(mounted(volume), []);
});
