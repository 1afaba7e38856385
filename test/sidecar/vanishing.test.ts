/** What is taken away amid a backup: the volume, its content, the repository, its disk, its server. */
import {execFileSync} from 'node:child_process';
import {existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {Container, Volume} from '../../src/index.js';
import {
  backup,
  backupVolume,
  openRepository,
  type Progress,
  restore,
  restoreVolume,
  verify,
} from '../../src/sidecar/index.js';
import {DockerRegistry} from '../helpers/docker-registry.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot, requiresAsRoot} from '../helpers/requires.js';
import {treeFacts} from '../helpers/volume-corpus.js';
import {noise} from './layout/repositories.js';

const own = ownRuntime();
const folder = () => mkdtempSync(join(own.folder, 'place-'));
/** Without a key: to stretch one takes most of the time. restic has to have one. */
const keyOf = (kind: Kind) => (kind === 'restic' ? {key: {secret: 'open sesame'}} : {});

async function aVolume(name: string): Promise<Volume> {
  const volume = await Volume.create({name}, {runtime: await own.runtime});
  fill(volume, name);
  return volume;
}

/** With so much that a part of it is told of while most is unread. */
function fill({mountpoint}: Volume, seed: string): void {
  mkdirSync(join(mountpoint, 'last'), {recursive: true});
  for (let file = 0; file < 4; file++)
    writeFileSync(join(mountpoint, `large-${file}`), noise(2.5 * 1024 ** 2, `${seed} ${file}`));
  for (let file = 0; file < 20; file++) writeFileSync(join(mountpoint, 'last', `${file}`), seed);
}

/** Does something once, as soon as a part of the volume has been read. */
function amid(act: () => void): {
  readonly onProgress: (progress: Progress) => void;
} {
  let isDone = false;
  return {
    onProgress: ({phase, bytes}) => {
      if (isDone || phase !== 'copy' || bytes === 0) return;
      isDone = true;
      act();
    },
  };
}

async function nothingIsLeft(t: ExecutionContext): Promise<void> {
  const runtime = await own.runtime;
  const containers = await Container.list({runtime});
  const facts = await Promise.all(containers.map(each => each.inspect()));
  t.deepEqual(
    facts.filter(({Config}) => 'coracle.sidecar' in Config.Labels).map(({Name}) => Name),
    [],
  );
  t.deepEqual(readdirSync(join(own.root, 'work')), []);
}

const KINDS = ['layout', 'FILE.tar', 'restic'] as const;
type Kind = (typeof KINDS)[number];

const LONG = process.env['CORACLE_TEST_LONG'] !== undefined;
const inLong = (test: typeof asRoot.serial): typeof asRoot.serial => (LONG ? test : () => {});

/** Each call of restic's derives its key anew, which takes half a second. */
const testOf = (kind: Kind) =>
  kind === 'restic' ? inLong(requiresAsRoot('restic', 'restic').serial) : asRoot.serial;

const repositoryIn = (place: string, kind: Kind) =>
  `${kind === 'restic' ? 'restic:' : ''}${join(place, 'repo')}`;

async function save(
  kind: Kind,
  volume: string,
  place: string,
  onProgress?: (progress: Progress) => void,
): Promise<{readonly warnings: readonly string[]}> {
  const runtime = await own.runtime;
  const progress = onProgress && {onProgress};
  return kind === 'FILE.tar'
    ? await backupVolume(volume, join(place, 'data.tar'), {...progress}, {runtime})
    : await backup(
        {volumes: [volume]},
        {repository: repositoryIn(place, kind), ...keyOf(kind), ...progress},
        {runtime},
      );
}

async function bring(kind: Kind, part: string, place: string): Promise<Volume> {
  const runtime = await own.runtime;
  const to = `back-${part}`;
  if (kind === 'FILE.tar') await restoreVolume(to, join(place, 'data.tar'), {}, {runtime});
  else await restore(to, {repository: repositoryIn(place, kind), ...keyOf(kind), part}, {runtime});
  return await Volume.get(to, {runtime});
}

for (const kind of KINDS) {
  testOf(kind)(
    `${kind}: a volume that is read is not removed, but for its directory by hand, which is told`,
    async t => {
      const name = `removed-${kind.toLowerCase()}`;
      const volume = await aVolume(name);
      const before = treeFacts(volume.mountpoint);
      const place = folder();
      await save(kind, name, place);
      fill(volume, 'other');
      let asked: Promise<unknown> | undefined;
      const {onProgress} = amid(() => {
        asked = volume.remove().catch((error: unknown) => error);
        rmSync(join(own.root, 'volumes', name), {recursive: true});
      });
      await t.throwsAsync(save(kind, name, place, onProgress), {
        code: 'ERR_VOLUME_NOT_FOUND',
        message: `backup of ${name}: the volume was removed while it was read`,
      });
      t.like(await asked, {code: 'ERR_VOLUME_IN_USE'});
      await nothingIsLeft(t);
      t.deepEqual(treeFacts((await bring(kind, name, place)).mountpoint), before);
      await save(kind, `back-${name}`, place);
    },
  );

  testOf(kind)(
    `${kind}: a target that is removed amid a backup is told of, and is not made again`,
    async t => {
      const name = `target-${kind.toLowerCase()}`;
      await aVolume(name);
      const place = folder();
      // Somebody writes there still.
      const {onProgress} = amid(() => rmSync(place, {recursive: true, maxRetries: 20}));
      await t.throwsAsync(
        save(kind, name, place, onProgress),
        kind === 'FILE.tar'
          ? {
              code: 'ERR_BACKUP_FILE',
              message: `${join(place, 'data.tar')} cannot be written: its directory is not there any more`,
            }
          : {
              code: 'ERR_REPOSITORY_WRITE',
              message: `${repositoryIn(place, kind)} cannot be written: it is not there any more`,
            },
      );
      t.false(existsSync(place));
      await nothingIsLeft(t);
      mkdirSync(place);
      await save(kind, name, place);
    },
  );
}

asRoot.serial('what is removed from a volume while it is read is named, and the rest is kept', async t => {
  const volume = await aVolume('emptied');
  const place = folder();
  const {onProgress} = amid(() => {
    for (const name of readdirSync(volume.mountpoint))
      rmSync(join(volume.mountpoint, name), {recursive: true});
  });
  const {warnings} = await save('layout', 'emptied', place, onProgress);
  t.true(warnings.length > 0);
  for (const warning of warnings) t.regex(warning, /^(large-\d|last) (vanished|changed) while it was read$/);
  const vanished = warnings.filter(each => each.includes('vanished'));
  t.true(vanished.some(each => each.startsWith('last ')));
  const back = await bring('layout', 'emptied', place);
  t.is(readdirSync(back.mountpoint).length, 5 - vanished.length);
});

inLong(asRoot.serial)(
  'a file system that is unmounted amid a backup: older snapshots are whole when it is back',
  async t => {
    const runtime = await own.runtime;
    const volume = await aVolume('unmounted');
    const [place, disk] = [folder(), folder()];
    const mount = (...words: string[]) => execFileSync('mount', words);
    mount('-t', 'tmpfs', 'tmpfs', disk);
    t.teardown(() => execFileSync('umount', [disk]));
    mount('--bind', disk, place);
    await save('layout', 'unmounted', place);
    const before = treeFacts(volume.mountpoint);
    fill(volume, 'more');
    const {onProgress} = amid(() => execFileSync('umount', ['--lazy', place]));
    await t.throwsAsync(save('layout', 'unmounted', place, onProgress), {
      code: 'ERR_REPOSITORY_WRITE',
      message: `${join(place, 'repo')} cannot be written: it is not there any more`,
    });
    t.deepEqual(readdirSync(place), [], 'nothing is made where it was mounted');
    await nothingIsLeft(t);
    mount('--bind', disk, place);
    t.teardown(() => execFileSync('umount', [place]));
    t.deepEqual(treeFacts((await bring('layout', 'unmounted', place)).mountpoint), before);
    await save('layout', 'unmounted', place);
    t.deepEqual(readdirSync(join(place, 'repo/.coracle/work')), []);
    await using repository = await openRepository(join(place, 'repo'), {}, {runtime});
    t.deepEqual((await verify(repository)).problems, []);
  },
);

inLong(requiresAsRoot('docker-registry', 'docker-registry').serial)(
  'a registry that is killed amid a backup has all older snapshots, and the next one, when it is back',
  async t => {
    const runtime = await own.runtime;
    const volume = await aVolume('pushed');
    await using server = await DockerRegistry.start();
    const repository = `registry://${server.name}/backups`;
    const {snapshot} = await backup({volumes: ['pushed']}, {repository}, {runtime});
    const before = treeFacts(volume.mountpoint);
    fill(volume, 'more');
    let killed: Promise<void> | undefined;
    const {onProgress} = amid(() => {
      killed = server.kill();
    });
    await t.throwsAsync(backup({volumes: ['pushed']}, {repository, onProgress}, {runtime}), {
      code: 'ERR_REGISTRY_UNREACHABLE',
      message: new RegExp(server.name),
    });
    await killed;
    await nothingIsLeft(t);
    const [cache] = readdirSync(join(own.root, 'backups'));
    t.deepEqual(readdirSync(join(own.root, 'backups', cache!, 'work')), []);
    await using again = await DockerRegistry.start({after: server});
    t.is(again.name, server.name);
    await restore('back-pushed', {repository, snapshot: snapshot.id, part: 'pushed'}, {runtime});
    t.deepEqual(treeFacts((await Volume.get('back-pushed', {runtime})).mountpoint), before);
    const next = await backup({volumes: ['pushed']}, {repository}, {runtime});
    t.is(next.snapshot.parent, snapshot.id);
  },
);
