import {execFileSync} from 'node:child_process';
import {mkdtempSync, rmSync, statSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Container, Volume} from '../../src/index.js';
import {OwnRuntime, ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();
const ids = [{inside: 0, outside: 100_000, count: 65_536}];
const userNamespace = {uids: ids, gids: ids};

asRoot('root inside is an ordinary id outside', async t => {
  t.is(await own.output('cat /proc/self/uid_map | tr -s " "', {userNamespace}), ' 0 100000 65536\n');
  const job = await own.start('sleep 10', {userNamespace});
  const status = statSync(`/proc/${job.pid}`);
  t.is(status.uid, 100_000);
  await job[Symbol.asyncDispose]();
});

asRoot("the image's files belong to root inside, and none of them is changed on disk", async t => {
  t.is(await own.output('stat -c "%u %g" / /etc /etc/passwd /etc/hosts', {userNamespace}), '0 0\n'.repeat(4));
  const {store} = await own.runtime;
  for (const layer of store.getImage('host-shell').layers)
    t.is(statSync(join(layer, 'etc', 'passwd')).uid, 0);
});

asRoot('what it writes has its outside ids on disk', async t => {
  const container = await own.create({command: ['sh', '-c', 'echo x > /written'], userNamespace});
  await (await container.start()).exit;
  const {store} = await own.runtime;
  t.is(statSync(join(store.containers.keptDirectory(container.id), 'upper', 'written')).uid, 100_000);
  await container.remove();
});

asRoot('other users and groups inside are mapped as well, and supplementary groups are set', async t => {
  t.is(
    await own.output('id', {userNamespace, user: '1000:1000', groups: ['5']}),
    'uid=1000 gid=1000 groups=1000,5\n',
  );
});

asRoot("a command that joins has the namespace's ids, and owns what it writes", async t => {
  const container = await own.run({command: ['sleep', '1000'], userNamespace});
  const script =
    'id -u; cat /proc/self/uid_map | tr -s " "; echo x >/made; stat -c %u /made; grep CapEff /proc/self/status';
  const {stdout, exit} = await container.capture(['sh', '-c', script]);
  t.is(stdout, '0\n 0 100000 65536\n0\nCapEff:\t00000000a80425fb\n', JSON.stringify(exit.lastOutput));
  t.is((await container.capture(['id'], {user: '1000:1000'})).stdout, 'uid=1000 gid=1000 groups=1000\n');
  const running = await container.exec(['sleep', '1000']);
  t.is(statSync(`/proc/${running.pid}`).uid, 100_000);
  await container[Symbol.asyncDispose]();
});

asRoot('a volume keeps the ids that containers see, with and without the namespace', async t => {
  const runtime = await own.runtime;
  const volume = await Volume.create({name: 'shifted'}, {runtime});
  const mounts = [{type: 'volume', name: 'shifted', target: '/data'}] as const;
  await own.output('echo x > /data/file', {mounts, userNamespace});
  t.is(await own.output('stat -c %u /data/file', {mounts}), '0\n');
  t.is(statSync(join(volume.mountpoint, 'file')).uid, 0);
});

asRoot("a directory of the host's stays the host's", async t => {
  const source = mkdtempSync(join(tmpdir(), 'coracle-bind-'));
  try {
    const mounts = [{type: 'bind', source, target: '/host'}] as const;
    const exit = await own.sh('stat -c %u /host; touch /host/x', {mounts, userNamespace});
    t.is(exit.lastOutput.stdout, '65534\n');
    t.regex(exit.lastOutput.stderr, /Permission denied/);
  } finally {
    rmSync(source, {recursive: true});
  }
});

asRoot('its root may not touch what the host has not given it', async t => {
  const exit = await own.sh('hostname other; cat /proc/1/limits > /dev/null && chown 5 /dev/null', {
    userNamespace,
  });
  t.regex(exit.lastOutput.stderr, /(not permitted|Permission denied|Invalid argument)/);
});

asRoot('limits hold as without', async t => {
  const exit = await own.sh('a=x; while :; do a=$a$a; done', {
    userNamespace,
    limits: {memoryBytes: 16 * 1024 ** 2},
  });
  t.is(exit.cause.kind, 'memory');
});

asRoot('a map without root inside is refused before anything happens', async t => {
  const runtime = await own.runtime;
  const only = [{inside: 1000, outside: 1000, count: 1}];
  await t.throwsAsync(Container.run('host-shell', {userNamespace: {uids: only, gids: only}}, {runtime}), {
    code: 'ERR_INVALID_OPTION',
    message: /must map the id 0/,
  });
});

asRoot('a store on a file system that cannot shift ids is named as the reason', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
  execFileSync('mount', ['-t', 'ramfs', 'ramfs', folder]);
  t.teardown(() => {
    execFileSync('umount', [folder]);
    rmSync(folder, {recursive: true});
  });
  const onRamfs = new OwnRuntime(0, join(folder, 'store'));
  await t.throwsAsync(onRamfs.run({command: ['true'], userNamespace}), {
    code: 'ERR_UNSUPPORTED_OPTION',
    message: /file system that can shift ids/,
  });
  await onRamfs.close();
});

asRoot('a read-only volume at /etc and a tmpfs over a directory are as without the namespace', async t => {
  const mounts = [
    {type: 'volume', name: 'shifted-etc', target: '/etc', readOnly: true},
    {type: 'tmpfs', target: '/root', readOnly: true},
  ] as const;
  const script =
    "sed -n 1p /etc/hosts; stat -c '%a %u' /root; for at in /etc /root; do echo x 2>/dev/null >$at/x || echo refused; done";
  t.is(await own.output(script, {mounts, userNamespace}), '127.0.0.1\tlocalhost\n700 0\nrefused\nrefused\n');
});
