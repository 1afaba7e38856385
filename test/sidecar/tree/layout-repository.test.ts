import {execFileSync, spawn} from 'node:child_process';
import {createHash} from 'node:crypto';
import {once} from 'node:events';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {Container, type ContainerInspect, Volume} from '../../../src/index.js';
import {replaceVolume} from '../../../src/sdk/index.js';
import type {ChunkStore} from '../../../src/sidecar/layout/chunk-store.js';
import {openChunkStore} from '../../../src/sidecar/layout/open-chunk-store.js';
import type {BackupWork, SavedSnapshot, Source} from '../../../src/sidecar/repository.js';
import {LayoutRepository} from '../../../src/sidecar/tree/layout-repository.js';
import {openLayoutRepository} from '../../../src/sidecar/tree/open-layout-repository.js';
import {ownRuntime} from '../../helpers/own-runtime.js';
import {asRoot} from '../../helpers/requires.js';
import {treeFacts, writeCorpus} from '../../helpers/volume-corpus.js';
import {noise} from '../layout/repositories.js';

const own = ownRuntime();
const folder = () => mkdtempSync(join(own.folder, 'repository-'));

async function volumeOf(name: string): Promise<Volume> {
  return Volume.create({name}, {runtime: await own.runtime});
}

const KEY = {secret: 'open sesame'};

interface Seen {
  /** Told how long each chunk is that is handed to the store, which waits for it. */
  readonly see?: (bytes: number) => unknown;
  /** What is kept of a chunk in its place. @default it */
  readonly keep?: (bytes: Buffer) => Buffer;
  /** What is said instead of what the store has. */
  readonly has?: () => boolean;
}

async function open(place: string, {key = true, ...seen}: Seen & {key?: boolean} = {}) {
  const store = await openChunkStore(place, {create: true, ...(key && {key: KEY})});
  return new LayoutRepository(watched(store, seen), {runtime: await own.runtime});
}

function watched(store: ChunkStore, {see, keep = bytes => bytes, has}: Seen): ChunkStore {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (name === 'begin') {
        return async (work: object) =>
          new Proxy(await target.begin(work), {
            get(writer, verb) {
              const act: unknown = Reflect.get(writer, verb);
              if (typeof act !== 'function') return act;
              if (verb === 'add') {
                return async (id: Buffer, bytes: Buffer) => {
                  await see?.(bytes.length);
                  await writer.add(id, keep(bytes));
                };
              }
              if (verb === 'has') return (id: Buffer) => has?.() !== false && writer.has(id);
              return act.bind(writer);
            },
          });
      }
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function work(more: Partial<BackupWork> = {}): BackupWork {
  return {
    facts: () => ({
      time: '2026-11-29T12:00:00.000Z',
      host: 'here',
      tags: [],
      consistency: 'none',
      paused: [],
      pausedMs: 0,
      applications: [],
    }),
    released: async () => {},
    ...more,
  };
}

const volumeSource = (name: string): Source => ({kind: 'volume', name, volume: name});

async function restored(repository: LayoutRepository, {snapshot}: SavedSnapshot, part: string, to: string) {
  const runtime = await own.runtime;
  await replaceVolume(runtime, to, {}, async directory => {
    await repository.restore(snapshot, part, directory);
  });
  return (await Volume.get(to, {runtime})).mountpoint;
}

for (const key of [true, false]) {
  asRoot(`a volume comes back in all that can be told of it, ${key ? 'with' : 'without'} a key`, async t => {
    await using repository = await open(folder(), {key});
    const name = `corpus-${key}`;
    const volume = await volumeOf(name);
    writeCorpus(volume.mountpoint);
    const facts = treeFacts(volume.mountpoint);
    const saved = await repository.backup([volumeSource(name)], work());
    const [part] = saved.snapshot.parts;
    t.deepEqual(saved.warnings, []);
    t.like(part, {kind: 'volume', name, entries: facts.length});
    await volume.remove();
    const place = await restored(repository, saved, name, name);
    t.deepEqual(treeFacts(place), facts);
    t.is(await repository.digestOf(place), part!.digest!);
    utimesSync(join(place, 'plain'), 1, 1);
    t.not(await repository.digestOf(place), part!.digest);
  });
}

asRoot('a file of a terabyte that has next to nothing in it costs next to nothing', async t => {
  await using repository = await open(folder());
  const {mountpoint} = await volumeOf('terabyte');
  const file = openSync(join(mountpoint, 'sparse'), 'w');
  ftruncateSync(file, 1024 ** 4);
  writeSync(file, 'somewhere', 700 * 1024 ** 3);
  const saved = await repository.backup([volumeSource('terabyte')], work());
  t.true(saved.snapshot.addedBytes < 100_000);
  t.is(saved.snapshot.parts[0]!.bytes, 1024 ** 4);
  const place = await restored(repository, saved, 'terabyte', 'terabyte-again');
  const {size, blocks} = statSync(join(place, 'sparse'));
  t.is(size, 1024 ** 4);
  t.true(blocks < 100);
  t.is(await repository.digestOf(place), saved.snapshot.parts[0]!.digest!);
});

asRoot('the next backup reads what has changed since, and nothing else', async t => {
  let added: number[] = [];
  await using repository = await open(folder(), {see: bytes => added.push(bytes)});
  const {mountpoint} = await volumeOf('changing');
  mkdirSync(join(mountpoint, 'below'));
  const large = noise(6 * 1024 ** 2, 'large');
  const files = ['a', 'below/b', 'below/c', 'below.d', 'e'];
  for (const file of files) writeFileSync(join(mountpoint, file), noise(50_000, file));
  writeFileSync(join(mountpoint, 'large'), large);
  linkSync(join(mountpoint, 'e'), join(mountpoint, 'link'));
  // What has just changed is read again: its times would not show a change right after.
  const settled = statSync(join(mountpoint, 'link')).ctimeMs + 3000;
  while (Date.now() < settled) await new Promise(done => setTimeout(done, 100));
  const first = await repository.backup([volumeSource('changing')], work());
  t.true(added.filter(bytes => bytes === 50_000).length === files.length);

  added = [];
  const second = await repository.backup([volumeSource('changing')], work());
  t.false(added.includes(50_000));
  t.is(second.snapshot.parent, first.snapshot.id);
  t.is(second.snapshot.parts[0]!.digest, first.snapshot.parts[0]!.digest);

  added = [];
  writeFileSync(join(mountpoint, 'below/c'), noise(60_000, 'c'));
  chmodSync(join(mountpoint, 'a'), 0o600);
  rmSync(join(mountpoint, 'e'));
  const file = openSync(join(mountpoint, 'large'), 'r+');
  writeSync(file, 'x', 3 * 1024 ** 2);
  const third = await repository.backup([volumeSource('changing')], work());
  // The content that is as it was is named, not sent; a changed byte moves the chunk that it is in.
  t.is(added.filter(bytes => bytes === 60_000).length, 1);
  t.is(added.filter(bytes => bytes === 50_000).length, 1, 'of the link that is the only name now');
  t.true(added.reduce((sum, bytes) => sum + bytes, 0) < 5 * 1024 ** 2);
  const place = await restored(repository, third, 'changing', 'changing-again');
  t.deepEqual(treeFacts(place), treeFacts(mountpoint));
  const before = await restored(repository, first, 'changing', 'changing-before');
  t.true(readFileSync(join(before, 'large')).equals(large));
});

asRoot('several volumes and a dump are one snapshot', async t => {
  await using repository = await open(folder());
  for (const name of ['one', 'two']) {
    const {mountpoint} = await volumeOf(name);
    writeFileSync(join(mountpoint, 'same'), noise(300_000, 'the same'));
    writeFileSync(join(mountpoint, 'own'), name);
  }
  const dumped = Buffer.concat([noise(1_500_001, 'dump'), Buffer.alloc(100_000), noise(77, 'end')]);
  const dump: Source = {
    kind: 'dump',
    name: 'database',
    async *open() {
      for (let at = 0; at < dumped.length; at += 10_007) yield dumped.subarray(at, at + 10_007);
    },
  };
  const events: string[] = [];
  const saved = await repository.backup([volumeSource('one'), dump, volumeSource('two')], {
    ...work(),
    released: async () => void events.push('released'),
    facts: () => {
      events.push('facts');
      return work().facts();
    },
  });
  t.deepEqual(events, ['released', 'facts']);
  t.deepEqual(
    saved.snapshot.parts.map(({kind, name, entries, bytes}) => ({kind, name, entries, bytes})),
    [
      {kind: 'volume', name: 'one', entries: 3, bytes: 300_003},
      {kind: 'dump', name: 'database', entries: 1, bytes: dumped.length},
      {kind: 'volume', name: 'two', entries: 3, bytes: 300_003},
    ],
  );
  t.true(saved.snapshot.addedBytes < 2_000_000, 'what both volumes have is kept once');
  const parts: Uint8Array[] = [];
  for await (const part of repository.openDump(saved.snapshot, 'database')) parts.push(part);
  t.true(Buffer.concat(parts).equals(dumped));
  t.is(saved.snapshot.parts[1]!.digest, `sha256:${createHash('sha256').update(dumped).digest('hex')}`);
  const place = await restored(repository, saved, 'two', 'two-again');
  t.is(readFileSync(join(place, 'own'), 'utf8'), 'two');
  await t.throwsAsync(repository.restore(saved.snapshot, 'three', place), {code: 'ERR_SNAPSHOT_NOT_FOUND'});
  await t.throwsAsync(repository.restore(saved.snapshot, 'database', place), {code: 'ERR_INVALID_OPTION'});
});

asRoot('of single paths all that is below comes back, and the directories on the way', async t => {
  await using repository = await open(folder());
  const {mountpoint} = await volumeOf('paths');
  mkdirSync(join(mountpoint, 'a/b'), {recursive: true});
  for (const file of ['a/b/file', 'a/first', 'other']) writeFileSync(join(mountpoint, file), file);
  linkSync(join(mountpoint, 'a/first'), join(mountpoint, 'a/b/second'));
  linkSync(join(mountpoint, 'a/first'), join(mountpoint, 'a/b/third'));
  chownSync(join(mountpoint, 'a'), 5, 6);
  chmodSync(join(mountpoint, 'a'), 0o711);
  const saved = await repository.backup([volumeSource('paths')], work());
  const target = folder();
  const done = await repository.restore(saved.snapshot, 'paths', target, {paths: ['/a/b/']});
  t.is(done.entries, 6);
  const inside = treeFacts(mountpoint).filter(line => /^"(a|a\/b|a\/b\/file)?" /.test(line));
  const names = (lines: string[]) =>
    lines.filter(line => !line.includes('second') && !line.includes('third'));
  t.deepEqual(
    names(treeFacts(target)).map(line => line.replace(/ #\d+ \d+/, '')),
    inside.map(line => line.replace(/ #\d+ \d+/, '')),
  );
  t.is(readFileSync(join(target, 'a/b/third'), 'utf8'), 'a/first');
  t.is(statSync(join(target, 'a/b/second')).ino, statSync(join(target, 'a/b/third')).ino);
  await t.throwsAsync(repository.restore(saved.snapshot, 'paths', folder(), {paths: ['a/b', 'a/x']}), {
    code: 'ERR_FILE_NOT_FOUND',
    message: 'a/x: the snapshot has no such path',
  });
  await t.throwsAsync(repository.restore(saved.snapshot, 'paths', folder(), {paths: ['../x']}), {
    code: 'ERR_INVALID_OPTION',
  });
});

asRoot('files that change while they are read are named, and what is kept is whole', async t => {
  await using repository = await open(folder());
  const {mountpoint} = await volumeOf('unsteady');
  const bind = 'require("node:net").createServer().listen(process.argv[1], () => process.exit())';
  execFileSync(process.execPath, ['-e', bind, join(mountpoint, 'a-socket')]);
  writeFileSync(join(mountpoint, 'b-large'), noise(40 * 1024 ** 2, 'large'));
  writeFileSync(join(mountpoint, 'c-stays'), 'stays');
  const churn = spawn('sh', [
    '-c',
    'while :; do echo line >>"$0/b-large"; mv "$0/b-large" "$0/d" && mv "$0/d" "$0/b-large"; truncate -s -4097 "$0/b-large"; done',
    mountpoint,
  ]);
  t.teardown(async () => {
    const ended = once(churn, 'exit');
    churn.kill('SIGKILL');
    await ended;
  });
  let named = 0;
  for (let round = 0; round < 5; round++) {
    const saved = await repository.backup([volumeSource('unsteady')], work());
    t.true(saved.warnings.includes('a-socket is a socket, which is not kept'));
    if (saved.warnings.some(line => /^(b-large|d) (changed|vanished) while it was read$/.test(line))) named++;
    const target = folder();
    await repository.restore(saved.snapshot, 'unsteady', target);
    t.is(readFileSync(join(target, 'c-stays'), 'utf8'), 'stays');
    t.is(await repository.digestOf(target), saved.snapshot.parts[0]!.digest!);
  }
  t.true(named > 0);
});

/** Those that have a volume. Others of other tests come and go. */
async function sidecarsOf(name: string): Promise<ContainerInspect[]> {
  const containers = await Container.list({runtime: await own.runtime});
  const facts = await Promise.allSettled(containers.map(each => each.inspect()));
  return facts
    .flatMap(each => (each.status === 'fulfilled' ? [each.value] : []))
    .filter(
      ({Config, Mounts}) => 'coracle.sidecar' in Config.Labels && Mounts.some(({Name}) => Name === name),
    );
}

asRoot(
  'a sidecar that started ahead for nothing goes: the key is wrong, or another volume is read',
  async t => {
    const runtime = await own.runtime;
    const place = folder();
    await (await open(place))[Symbol.asyncDispose]();
    for (const name of ['waited', 'other']) await volumeOf(name);
    const toRead = ['waited'];
    await t.throwsAsync(openLayoutRepository(place, {key: {secret: 'wrong'}, toRead}, runtime), {
      code: 'ERR_REPOSITORY_KEY',
    });
    t.deepEqual(await sidecarsOf('waited'), []);
    {
      await using repository = await openLayoutRepository(place, {key: KEY, toRead}, runtime);
      await repository.backup([volumeSource('other')], work());
      while ((await sidecarsOf('waited')).length === 0) await sleep(10);
    }
    t.deepEqual(await sidecarsOf('waited'), []);
  },
);

asRoot('the sidecar has the volume read-only, no network and next to no capabilities', async t => {
  let facts: ContainerInspect | undefined;
  await using repository = await open(folder(), {
    see: async () => {
      facts ??= (await sidecarsOf('confined'))[0];
    },
  });
  const {mountpoint} = await volumeOf('confined');
  writeFileSync(join(mountpoint, 'file'), noise(5 * 1024 ** 2, 'confined')); // more than pipes hold
  await repository.backup([volumeSource('confined')], work());
  const {HostConfig, Mounts, Config} = facts!;
  t.like(HostConfig, {
    NetworkMode: 'none',
    ReadonlyRootfs: true,
    CapDrop: ['ALL'],
    CapAdd: ['CAP_DAC_READ_SEARCH'],
  });
  t.deepEqual(
    Mounts.filter(({RW}) => RW).map(({Destination}) => Destination),
    ['/coracle/output'], // a pipe
  );
  t.false(JSON.stringify([Config, Mounts]).includes(KEY.secret));
});

asRoot('a restore of a tree that cannot be read says so, whatever waits for it', async t => {
  const place = folder();
  const {mountpoint} = await volumeOf('damaged');
  writeFileSync(join(mountpoint, 'file'), noise(500_000, 'damaged'));
  {
    await using repository = await open(place);
    await repository.backup([volumeSource('damaged')], work());
  }
  const blobs = execFileSync('find', [join(place, 'blobs/sha256'), '-size', '+400k'], {encoding: 'utf8'});
  for (const pack of blobs.trim().split('\n')) truncateSync(pack, 1000);
  await using repository = await open(place);
  const [snapshot] = await repository.snapshots();
  await t.throwsAsync(repository.restore(snapshot!, 'damaged', folder()), {code: 'ERR_REPOSITORY_DAMAGED'});
});

for (const key of [true, false])
  asRoot(
    `a chunk with another content than its id says is named, ${key ? 'with' : 'without'} a key`,
    async t => {
      const {mountpoint} = await volumeOf(`other-content-${key}`);
      writeFileSync(join(mountpoint, 'file'), noise(300_000, 'as it was'));
      const keep = (bytes: Buffer) => (bytes.length < 300_000 ? bytes : noise(300_000, 'as it is kept'));
      await using repository = await open(folder(), {key, keep});
      const {snapshot} = await repository.backup([volumeSource(`other-content-${key}`)], work());
      await t.throwsAsync(repository.restore(snapshot, `other-content-${key}`, folder()), {
        code: 'ERR_REPOSITORY_DAMAGED',
        message: /^sha256:[0-9a-f]{64} is damaged: frame \d+ has not the chunk [0-9a-f]{64}$/,
      });
    },
  );

asRoot('when the repository has lost chunks of the snapshot before, everything is read again', async t => {
  let isLost = false;
  await using repository = await open(folder(), {has: () => !isLost});
  const {mountpoint} = await volumeOf('lost');
  writeFileSync(join(mountpoint, 'file'), noise(200_000, 'lost'));
  const settled = statSync(join(mountpoint, 'file')).ctimeMs + 3000;
  while (Date.now() < settled) await new Promise(done => setTimeout(done, 100));
  await repository.backup([volumeSource('lost')], work());
  isLost = true;
  const {warnings} = await repository.backup([volumeSource('lost')], work());
  t.regex(warnings.join('\n'), /^1 chunks of sha256:[0-9a-f]{64} are missing, so everything was read again$/);
});

asRoot('what is aborted or fails leaves no sidecar, and the repository as it was', async t => {
  await using repository = await open(folder());
  const {mountpoint} = await volumeOf('aborted');
  writeFileSync(join(mountpoint, 'file'), noise(20 * 1024 ** 2, 'aborted'));
  const abort = new AbortController();
  const onProgress = () => abort.abort(new Error('enough'));
  const {signal} = abort;
  await t.throwsAsync(repository.backup([volumeSource('aborted')], work({onProgress, signal})), {
    message: 'enough',
  });
  await t.throwsAsync(repository.backup([volumeSource('nobody-has-it')], work()), {
    code: 'ERR_VOLUME_NOT_FOUND',
  });
  t.deepEqual(await repository.snapshots(), []);
  const saved = await repository.backup([volumeSource('aborted')], work());
  const again = new AbortController();
  await t.throwsAsync(
    repository.restore(saved.snapshot, 'aborted', folder(), {
      signal: again.signal,
      onProgress: () => again.abort(new Error('enough again')),
    }),
    {message: 'enough again'},
  );
  t.deepEqual(await sidecarsOf('aborted'), []);
  appendFileSync(join(mountpoint, 'file'), 'more');
  t.like((await repository.backup([volumeSource('aborted')], work())).snapshot, {parent: saved.snapshot.id});
});
