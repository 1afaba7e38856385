import {execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import {join} from 'node:path';
import {Container, type ContainerInspect, Runtime, Volume} from '../../src/index.js';
import {backupVolume, backupVolumes, restoreVolume} from '../../src/sidecar/index.js';
import {TAR_END, type TarNode, tarHeader, tarPadding} from '../../src/store/write-tar.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {requiresAsRoot} from '../helpers/requires.js';
import {treeFacts, writeCorpus} from '../helpers/volume-corpus.js';

const own = ownRuntime();
const withTar = requiresAsRoot('tar', 'tar');

const folder = () => mkdtempSync(join(own.folder, 'backups-'));

async function volumeWith(name: string, text: string): Promise<Volume> {
  const volume = await Volume.create({name}, {runtime: await own.runtime});
  writeFileSync(join(volume.mountpoint, 'file'), text);
  return volume;
}

for (const ending of ['tar', 'tar.gz', 'tar.zst']) {
  withTar(`a volume comes back from a .${ending} in all that can be told of it`, async t => {
    const runtime = await own.runtime;
    const name = `corpus-${ending.replaceAll('.', '-')}`;
    const volume = await Volume.create({name}, {runtime});
    writeCorpus(volume.mountpoint);
    const facts = treeFacts(volume.mountpoint);
    const file = join(folder(), `corpus.${ending}`);
    const saved = await backupVolume(name, file, {}, {runtime});
    t.like(saved, {volume: name, file, entries: facts.length, fileBytes: statSync(file).size, warnings: []});
    t.is(statSync(file).mode & 0o777, 0o600);
    await volume.remove();
    const restored = await restoreVolume(name, file, {labels: {from: 'backup'}}, {runtime});
    t.like(restored, {entries: facts.length, sha256: saved.sha256});
    const again = await Volume.get(name, {runtime});
    t.deepEqual(treeFacts(again.mountpoint), facts);
    t.deepEqual(again.labels, {from: 'backup'});
    // The same content makes the same archive.
    t.is((await backupVolume(name, file, {}, {runtime})).sha256, saved.sha256);
  });
}

withTar('several volumes go into one file, of one moment, and each comes back by its name', async t => {
  const runtime = await own.runtime;
  const corpus = await Volume.create({name: 'several-corpus'}, {runtime});
  writeCorpus(corpus.mountpoint);
  const facts = treeFacts(corpus.mountpoint);
  await volumeWith('several', 'of those');
  const container = await Container.runDetached(
    'host-shell',
    {
      command: ['sleep', '60'],
      name: 'of-several',
      mounts: ['several', 'several-corpus'].map(name => ({type: 'volume', name, target: `/${name}`})),
    },
    {runtime},
  );
  t.teardown(() => container.remove({force: true}));
  const file = join(folder(), 'several.tar.gz');
  const saved = await backupVolumes({volumesFrom: ['of-several']}, file, {}, {runtime});
  t.like(saved, {volumes: ['several', 'several-corpus'], entries: 2 + facts.length, paused: ['of-several']});
  t.is((await container.state()).status, 'running');
  await restoreVolume('several-back', file, {directory: 'several-corpus'}, {runtime});
  t.deepEqual(treeFacts((await Volume.get('several-back', {runtime})).mountpoint), facts);
  await restoreVolume('another-back', file, {directory: 'several'}, {runtime});
  const back = await Volume.get('another-back', {runtime});
  t.is(readFileSync(join(back.mountpoint, 'file'), 'utf8'), 'of those');
  await t.throwsAsync(backupVolumes({labels: ['nobody']}, file, {}, {runtime}), {code: 'ERR_INVALID_OPTION'});
  t.is(statSync(file).size, saved.fileBytes);
});

withTar('the sidecar has the volume read-only, no network and next to no capabilities', async t => {
  const runtime = await own.runtime;
  // More than a pipe holds: the sidecar is there while this is told of.
  await volumeWith('confined', 'x'.repeat(32 * 1024 * 1024));
  let seen: ContainerInspect | undefined;
  const look = async () => {
    for (const container of await Container.list({runtime})) {
      const facts = await container.inspect().catch(() => undefined); // those of other tests may be gone by now
      const isIt = facts?.Config.Labels['coracle.sidecar'] === 'backup';
      if (isIt && facts?.Mounts.some(({Name}) => Name === 'confined')) seen ??= facts;
    }
  };
  const looks: Promise<void>[] = [];
  const onProgress = ({phase}: {phase: string}) => {
    if (phase === 'copy' && seen === undefined) looks.push(look());
  };
  await backupVolume('confined', join(folder(), 'confined.tar'), {onProgress}, {runtime});
  await Promise.all(looks);
  const {HostConfig, Mounts} = seen!;
  t.like(HostConfig, {
    NetworkMode: 'none',
    ReadonlyRootfs: true,
    CapDrop: ['ALL'],
    CapAdd: ['CAP_DAC_READ_SEARCH'],
  });
  t.deepEqual(
    Mounts.map(({Destination, RW}) => ({Destination, RW})),
    [{Destination: '/volume', RW: false}],
  );
});

/** Appends numbered lines as fast as it can. */
const WRITER =
  'n=0; while :; do n=$((n + 1)); echo "record $n" >>/data/log; [ $n = 20 ] && echo writes; done';

function expectPrefix(t: {is(a: unknown, b: unknown): unknown}, text: string): void {
  const lines = text.split('\n');
  t.is(lines.pop(), '');
  for (const [index, line] of lines.entries()) if (line !== `record ${index + 1}`) t.is(line, index);
}

withTar('what uses the volume stands still while it is copied, and goes on after it', async t => {
  const runtime = await own.runtime;
  const mounts = [{type: 'volume', name: 'written', target: '/data'}] as const;
  const writer = await own.create({name: 'writer', command: ['sh', '-c', WRITER], mounts});
  await writer.startDetached();
  await writer.waitFor({log: /writes/}, {timeoutMs: 60_000});
  const states: Promise<string>[] = [];
  const onProgress = ({phase}: {phase: string}) => {
    if (phase === 'copy') states.push(writer.state().then(({status}) => status));
  };
  const file = join(folder(), 'written.tar');
  const saved = await backupVolume('written', file, {onProgress}, {runtime});
  t.deepEqual(saved.paused, ['writer']);
  t.deepEqual(new Set(await Promise.all(states)), new Set(['paused']));
  t.is((await writer.state()).status, 'running');
  await restoreVolume('copy', file, {}, {runtime});
  const copy = await Volume.get('copy', {runtime});
  expectPrefix(t, readFileSync(join(copy.mountpoint, 'log'), 'utf8'));
  const unpaused = await backupVolume('written', file, {consistency: 'none'}, {runtime});
  t.deepEqual([unpaused.paused, unpaused.pausedMs], [[], 0]);
  await writer.pause();
  t.deepEqual((await backupVolume('written', file, {}, {runtime})).paused, []);
  t.is((await writer.state()).status, 'paused', 'whoever was paused before stays so');
  await writer.kill();
  await writer.wait();
  await writer.remove();
});

withTar('a backup that fails leaves nothing: what was paused goes on, an older backup stays', async t => {
  const runtime = await own.runtime;
  const volume = await volumeWith('too-large', 'x');
  const user = await own.start('sleep 1000', {
    mounts: [{type: 'volume', name: 'too-large', target: '/data'}],
  });
  const place = folder();
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', place]);
  t.teardown(() => execFileSync('umount', [place]));
  const file = join(place, 'x.tar');
  await backupVolume('too-large', file, {}, {runtime});
  const older = readFileSync(file);
  execFileSync('dd', ['if=/dev/urandom', `of=${volume.mountpoint}/big`, 'bs=1M', 'count=4'], {
    stdio: 'ignore',
  });
  await t.throwsAsync(backupVolume('too-large', file, {}, {runtime}), {
    code: 'ERR_BACKUP_FILE',
    message: `${file} cannot be written: ENOSPC`,
  });
  t.deepEqual(readdirSync(place), ['x.tar']);
  t.true(readFileSync(file).equals(older));
  const abort = new AbortController();
  const onProgress = () => abort.abort(new Error('enough'));
  await t.throwsAsync(
    backupVolume('too-large', join(folder(), 'x.tar'), {onProgress, signal: abort.signal}, {runtime}),
    {
      message: 'enough',
    },
  );
  t.is((await user.state()).status, 'running');
  await user.kill();
  for (const [name, code] of [
    ['x.zip', 'ERR_INVALID_OPTION'],
    ['no/such/place/x.tar', 'ERR_BACKUP_FILE'],
  ] as const)
    await t.throwsAsync(backupVolume('too-large', join(place, name), {}, {runtime}), {code});
  await t.throwsAsync(backupVolume('nobody', file, {}, {runtime}), {code: 'ERR_VOLUME_NOT_FOUND'});
});

/** A process that backs up or restores, and is killed when it says that it is at it. */
async function killed(program: string): Promise<void> {
  const index = new URL('../../dist/index.js', import.meta.url).href;
  const sidecar = new URL('../../dist/sidecar.js', import.meta.url).href;
  const source = `
    import {Runtime} from ${JSON.stringify(index)};
    import {backupVolume, backupVolumes, restoreVolume} from ${JSON.stringify(sidecar)};
    const runtime = await Runtime.open(${JSON.stringify({root: own.root, run: own.runDirectory, waiting: 0})});
    const onProgress = ({phase}) => phase === 'copy' && process.stdout.write('copies');
    ${program}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  await closed;
}

withTar(
  'of a backup that is killed the next opening lets go on what was paused, and the next backup removes its file',
  async t => {
    const runtime = await own.runtime;
    const volume = await volumeWith('killed', 'x');
    execFileSync('dd', ['if=/dev/zero', `of=${volume.mountpoint}/big`, 'bs=1M', 'count=64'], {
      stdio: 'ignore',
    });
    const user = await own.create({
      command: ['sleep', '1000'],
      mounts: [{type: 'volume', name: 'killed', target: '/data'}],
    });
    await user.startDetached();
    const place = folder();
    const file = join(place, 'killed.tar');
    await killed(`await backupVolume('killed', ${JSON.stringify(file)}, {onProgress}, {runtime});`);
    t.is((await user.state()).status, 'paused');
    const next = await Runtime.open({root: own.root, run: own.runDirectory, waiting: 0});
    t.teardown(() => next.close());
    t.is((await user.state()).status, 'running');
    t.false(existsSync(file));
    t.is(readdirSync(place).length, 1);
    // A file of one that is still at it stays.
    const both = await Promise.all([1, 2].map(() => backupVolume('killed', file, {}, {runtime})));
    for (const {entries} of both) t.is(entries, 3);
    t.deepEqual(readdirSync(place), ['killed.tar']);
    await user.kill();
    await user.wait();
    await user.remove();
  },
);

withTar('of a restore that is killed the volume is as it was', async t => {
  const runtime = await own.runtime;
  const volume = await volumeWith('target', 'before');
  const source = await volumeWith('large', 'after');
  execFileSync('dd', ['if=/dev/zero', `of=${source.mountpoint}/big`, 'bs=1M', 'count=64'], {stdio: 'ignore'});
  const file = join(folder(), 'large.tar');
  await backupVolume('large', file, {}, {runtime});
  await killed(
    `await restoreVolume('target', ${JSON.stringify(file)}, {force: true, onProgress}, {runtime});`,
  );
  await killed(`await restoreVolume('never', ${JSON.stringify(file)}, {onProgress}, {runtime});`);
  t.deepEqual(readdirSync(volume.mountpoint), ['file']);
  t.is(readFileSync(join(volume.mountpoint, 'file'), 'utf8'), 'before');
  await t.throwsAsync(Volume.get('never', {runtime}), {code: 'ERR_VOLUME_NOT_FOUND'});
  await restoreVolume('target', file, {force: true}, {runtime});
  t.is(readFileSync(join(volume.mountpoint, 'file'), 'utf8'), 'after');
});

withTar('what a volume has is replaced by force only, and never under a container that runs', async t => {
  const runtime = await own.runtime;
  await volumeWith('source', 'saved');
  const file = join(folder(), 'source.tar.gz');
  await backupVolume('source', file, {}, {runtime});
  const volume = await volumeWith('full', 'mine');
  await t.throwsAsync(restoreVolume('full', file, {}, {runtime}), {
    code: 'ERR_VOLUME_NOT_EMPTY',
    message: 'restore full: the volume is not empty',
  });
  const user = await own.start('sleep 1000', {mounts: [{type: 'volume', name: 'full', target: '/data'}]});
  await t.throwsAsync(restoreVolume('full', file, {force: true}, {runtime}), {
    code: 'ERR_VOLUME_IN_USE',
    message: `restore full: volume is in use - [${user.id}]`,
  });
  await user.kill();
  await user.settled;
  t.is(readFileSync(join(volume.mountpoint, 'file'), 'utf8'), 'mine');
  await restoreVolume('full', file, {force: true}, {runtime});
  t.is(readFileSync(join(volume.mountpoint, 'file'), 'utf8'), 'saved');
  await Volume.create({name: 'empty'}, {runtime});
  await restoreVolume('empty', file, {}, {runtime});
  t.is(
    await own.output('cat /data/file', {mounts: [{type: 'volume', name: 'empty', target: '/data'}]}),
    'saved',
  );
});

function archive(...entries: readonly TarNode[]): Buffer {
  return Buffer.concat([...entries.flatMap(node => [tarHeader(node), tarPadding(0)]), TAR_END]);
}

const ROOT = {type: 'directory', path: './'} as const;
const HOSTILE: Readonly<Record<string, Buffer>> = {
  'a path that leads up': archive(ROOT, {type: 'file', path: './../escaped'}),
  'a file through a symlink': archive(
    ROOT,
    {type: 'symlink', path: './way', target: '/tmp'},
    {type: 'file', path: './way/escaped'},
  ),
  'a hard link to a file of the host’s': archive(ROOT, {
    type: 'link',
    path: './passwd',
    target: '/etc/passwd',
  }),
  'a root that is no directory': archive({type: 'symlink', path: '.', target: '/etc'}),
  'no entries': TAR_END,
  'no tar at all': Buffer.alloc(4096, 'x'),
};

for (const [what, bytes] of Object.entries(HOSTILE)) {
  withTar(`an archive with ${what} is not restored`, async t => {
    const runtime = await own.runtime;
    const file = join(folder(), 'hostile.tar');
    writeFileSync(file, bytes);
    await t.throwsAsync(restoreVolume('hostile', file, {}, {runtime}), {code: 'ERR_INVALID_ARCHIVE'});
    await t.throwsAsync(Volume.get('hostile', {runtime}), {code: 'ERR_VOLUME_NOT_FOUND'});
  });
}

withTar('an archive with a bit that is flipped or an end that is missing is not restored', async t => {
  const runtime = await own.runtime;
  await volumeWith('flipped', 'x'.repeat(100_000));
  const place = folder();
  for (const ending of ['tar.gz', 'tar.zst']) {
    const file = join(place, `whole.${ending}`);
    await backupVolume('flipped', file, {}, {runtime});
    const whole = readFileSync(file);
    const flipped = Buffer.from(whole);
    flipped[Math.floor(whole.length / 2)]! ^= 4;
    for (const damaged of [flipped, whole.subarray(0, whole.length - 20)]) {
      writeFileSync(join(place, `damaged.${ending}`), damaged);
      await t.throwsAsync(restoreVolume('never', join(place, `damaged.${ending}`), {}, {runtime}), {
        code: 'ERR_INVALID_ARCHIVE',
      });
    }
  }
  await t.throwsAsync(restoreVolume('never', join(place, 'missing.tar'), {}, {runtime}), {
    code: 'ERR_FILE_NOT_FOUND',
  });
});

/** As `docker run --rm --volumes-from app -v "$PWD":/backup debian tar czf /backup/x.tar.gz /data` makes them, and its like. */
for (const [how, words, directory] of [
  ['with a leading directory', ['data'], 'data'],
  ['with a leading directory behind "./"', ['./data'], 'data'],
  ['with an absolute one', ['-P', 'PLACE/data'], 'PLACE/data'],
  ['without any', ['-C', 'data', '.'], ''],
  ['without any, and without "./"', ['-C', 'data', '--transform=s,^[.]/,,', '.'], ''],
] as const)
  withTar(`an archive of the usual tar one-liner ${how} becomes a volume`, async t => {
    const runtime = await own.runtime;
    const place = folder();
    const data = join(place, 'data');
    mkdirSync(data);
    writeCorpus(data);
    const facts = treeFacts(data);
    const file = join(place, 'one-liner.tar.gz');
    const spelled = words.map(word => word.replace('PLACE', place));
    execFileSync('tar', [
      '--sparse',
      '-czf',
      file,
      '--xattrs',
      '--xattrs-include=*',
      '--format=posix',
      '-C',
      place,
      ...spelled,
    ]);
    const name = `one-liner-${how.replaceAll(/[^a-z]+/g, '-')}`.slice(0, 60);
    const restored = await restoreVolume(name, file, {}, {runtime});
    t.like(restored, {
      entries: facts.length,
      directory: directory.replace('PLACE', place.slice(1)),
      warnings: [],
    });
    t.deepEqual(treeFacts((await Volume.get(name, {runtime})).mountpoint), facts);
  });

withTar('of an archive with several directories one is chosen', async t => {
  const runtime = await own.runtime;
  const place = folder();
  for (const name of ['data', 'data-2', 'con,f[i]g']) {
    mkdirSync(join(place, name));
    writeFileSync(join(place, name, 'file'), name);
    linkSync(join(place, name, 'file'), join(place, name, 'link'));
  }
  const file = join(place, 'both.tar');
  execFileSync('tar', ['-cf', file, '-C', place, './data', './data-2', './con,f[i]g']);
  for (const directory of ['data', 'con,f[i]g']) {
    const name = `chosen-${directory.length}`;
    t.like(await restoreVolume(name, file, {directory}, {runtime}), {entries: 3, directory});
    const {mountpoint} = await Volume.get(name, {runtime});
    t.deepEqual(readdirSync(mountpoint), ['file', 'link']);
    t.is(readFileSync(join(mountpoint, 'link'), 'utf8'), directory);
  }
  t.like(await restoreVolume('all-of-them', file, {}, {runtime}), {entries: 9, directory: ''});
  await t.throwsAsync(restoreVolume('nothing', file, {directory: 'nowhere'}, {runtime}), {
    code: 'ERR_INVALID_ARCHIVE',
    message: `${file} has nothing below "nowhere"`,
  });
});
