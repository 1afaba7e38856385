import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import {join} from 'node:path';
import {Volume} from '../../../src/index.js';
import {backup, forget, openRepository, restore, type Snapshot, verify} from '../../../src/sidecar/index.js';
import {DockerRegistry} from '../../helpers/docker-registry.js';
import {ownRuntime} from '../../helpers/own-runtime.js';
import {asRoot, requiresAsRoot} from '../../helpers/requires.js';
import {treeFacts} from '../../helpers/volume-corpus.js';
import {noise} from '../layout/repositories.js';

const own = ownRuntime();
const VOLUME = 'data';

interface Blob {
  readonly digest: string;
  readonly mediaType: string;
}

/** What a snapshot's manifest names. */
class Blobs {
  readonly #repository: string;
  readonly manifest: string;
  readonly #layers: readonly Blob[];
  readonly config: string;

  constructor(repository: string, {id}: Snapshot) {
    this.#repository = repository;
    const {manifests} = JSON.parse(readFileSync(join(repository, 'index.json'), 'utf8')) as {
      manifests: (Blob & {annotations: Record<string, string>})[];
    };
    const name = `snapshot-${id.slice(7, 23)}`;
    this.manifest = manifests.find(({annotations}) => Object.values(annotations).includes(name))!.digest;
    const {config, layers} = JSON.parse(readFileSync(this.path(this.manifest), 'utf8')) as {
      config: Blob;
      layers: Blob[];
    };
    this.config = config.digest;
    this.#layers = layers;
  }

  of(kind: 'pack' | 'index'): readonly string[] {
    return this.#layers.filter(({mediaType}) => mediaType.includes(kind)).map(({digest}) => digest);
  }

  path(digest: string): string {
    return join(this.#repository, 'blobs/sha256', digest.slice(7));
  }

  flip(...digests: readonly string[]): void {
    for (const path of digests.map(digest => this.path(digest))) {
      const content = readFileSync(path);
      content[content.length - 1]! ^= 1;
      writeFileSync(path, content);
    }
  }

  lose(...digests: readonly string[]): void {
    for (const digest of digests) rmSync(this.path(digest));
  }
}

/** A repository with two snapshots of a volume that has not changed since the second. */
async function twoSnapshots(repository: string) {
  const runtime = await own.runtime;
  const {mountpoint} = await Volume.create({name: VOLUME}, {runtime});
  for (const name of ['a', 'b', 'c']) writeFileSync(join(mountpoint, name), noise(50_000, name));
  const older = await backup({volumes: [VOLUME]}, {repository}, {runtime});
  mkdirSync(join(mountpoint, 'd'));
  writeFileSync(join(mountpoint, 'd/e'), noise(60_000, 'e'));
  // What has just changed would be read again anyway.
  const settled = statSync(join(mountpoint, 'd/e')).ctimeMs + 3000;
  while (Date.now() < settled) await new Promise(done => setTimeout(done, 100));
  const newer = await backup({volumes: [VOLUME]}, {repository}, {runtime});
  return {mountpoint, older: older.snapshot, newer: newer.snapshot};
}

let made: ReturnType<typeof twoSnapshots> | undefined;
const base = () => join(own.folder, 'repository');

/** The packs and indexes that only the newer one has. */
const added = (older: Blobs, newer: Blobs, kind: 'pack' | 'index') =>
  newer.of(kind).filter(digest => !older.of(kind).includes(digest));

const COMPARED = /^nothing can be compared with the snapshot NEWER: /;
const DAMAGES: Readonly<
  Record<
    string,
    {
      readonly damage: (older: Blobs, newer: Blobs) => void;
      readonly warning: RegExp;
      /** @default the older one */
      readonly parent?: 'none';
      /** It cannot be read at all. */
      readonly isUnreadable?: true;
      /** Much like another one. */
      readonly isLong?: true;
    }
  >
> = {
  'its config was changed': {
    damage: (_, newer) => newer.flip(newer.config),
    warning: /^the snapshot NEWER cannot be read: NEWER has another content than its digest says$/,
    isUnreadable: true,
  },
  'its manifest is lost': {
    damage: (_, newer) => newer.lose(newer.manifest),
    warning: /^the snapshot snapshot-\w+ cannot be read: sha256:\w+ is missing$/,
    isUnreadable: true,
    isLong: true,
  },
  'its tree was changed': {
    damage: (older, newer) => newer.flip(...added(older, newer, 'pack')),
    warning: new RegExp(`${COMPARED.source}sha256:\\w+ is damaged: frame \\d+ cannot be decompressed`),
  },
  'the pack with its tree is lost': {
    damage: (older, newer) => newer.lose(...added(older, newer, 'pack')),
    warning: new RegExp(`${COMPARED.source}sha256:\\w+ is missing, or was found damaged$`),
    isLong: true,
  },
  'its index is lost': {
    damage: (older, newer) => newer.lose(...added(older, newer, 'index')),
    warning: new RegExp(
      `${COMPARED.source}the chunk \\w+ is in no pack that is known, and sha256:\\w+ is missing$`,
    ),
  },
  'all that has a tree was changed': {
    damage: (_, newer) => newer.flip(...newer.of('pack')),
    warning: COMPARED,
    parent: 'none',
  },
};

const LONG = process.env['CORACLE_TEST_LONG'] !== undefined;
for (const [what, {damage, warning, parent, isUnreadable = false, isLong}] of Object.entries(DAMAGES)) {
  if (isLong && !LONG) continue;
  asRoot.serial(`of the newest snapshot ${what}: the next backup tells of it, and is whole`, async t => {
    const runtime = await own.runtime;
    made ??= twoSnapshots(base());
    const {mountpoint, older, newer} = await made;
    const path = mkdtempSync(join(own.folder, 'damaged-'));
    cpSync(base(), path, {recursive: true});
    damage(new Blobs(path, older), new Blobs(path, newer));

    const {snapshot, warnings} = await backup({volumes: [VOLUME]}, {repository: path}, {runtime});
    t.is(warnings.length, 1);
    t.regex(warnings[0]!.replaceAll(newer.id, 'NEWER'), warning);
    t.is(snapshot.parent, parent === 'none' ? undefined : older.id);
    t.is(snapshot.parts[0]!.digest, newer.parts[0]!.digest);
    await using repository = await openRepository(path, {}, {runtime});
    t.deepEqual((await verify(repository, {snapshots: [snapshot.id]})).problems, []);
    const back = await restore('back', {repository, snapshot: snapshot.id, part: VOLUME}, {runtime});
    t.deepEqual(back.warnings, []);
    const volume = await Volume.get('back', {runtime});
    t.deepEqual(treeFacts(volume.mountpoint), treeFacts(mountpoint));
    await volume.remove();

    // What was told of is told again, until it is forgotten.
    const again = await backup({volumes: [VOLUME]}, {repository}, {runtime});
    t.is(again.warnings.length, isUnreadable ? 1 : 0);
    t.like(again.snapshot, {parent: snapshot.id});
    t.true(again.snapshot.addedBytes < 5000, 'nothing is written once more');
  });
}

asRoot.serial('what cannot be read is told of by every command, and goes when it is named', async t => {
  const runtime = await own.runtime;
  made ??= twoSnapshots(base());
  const {older, newer} = await made;
  const path = mkdtempSync(join(own.folder, 'unreadable-'));
  cpSync(base(), path, {recursive: true});
  const blobs = new Blobs(path, newer);
  blobs.flip(newer.id);
  await using repository = await openRepository(path, {}, {runtime});
  t.deepEqual(
    (await repository.snapshots()).map(({id}) => id),
    [older.id],
  );
  const what = `${newer.id} has another content than its digest says`;
  t.deepEqual(await repository.unreadable!(), [{id: newer.id, what}]);

  const {problems} = await verify(repository);
  t.deepEqual(
    problems.map(({snapshots}) => snapshots),
    [[newer.id]],
  );
  t.like(await restore('of-older', {repository, part: VOLUME, dryRun: true}, {runtime}), {
    snapshot: older.id,
    warnings: [`${older.id.slice(7, 19)} is the latest that can be read; ${newer.id} cannot: ${what}`],
  });
  await t.throwsAsync(restore('of-newer', {repository, snapshot: newer.id.slice(7, 20)}, {runtime}), {
    code: 'ERR_REPOSITORY_DAMAGED',
    message: `the snapshot ${newer.id} cannot be read: ${what}`,
  });

  const byRules = await forget(repository, {keep: {last: 1}, prune: true});
  t.deepEqual(byRules.unreadable, [{id: newer.id, what, removed: false}]);
  t.is(byRules.freedBytes, undefined, 'what it needs nobody knows');
  const byName = await forget(repository, {snapshots: [newer.id.slice(0, 20)], prune: true});
  t.like(byName.unreadable, [{id: newer.id, removed: true}]);
  t.true(byName.freedBytes! > 50_000);
  t.deepEqual((await verify(repository)).problems, []);
});

requiresAsRoot('docker-registry', 'docker-registry').serial(
  'a registry that has lost the newest tree gets it again',
  async t => {
    const runtime = await own.runtime;
    await using server = await DockerRegistry.start();
    const repository = `registry://${server.name}/backups`;
    const {mountpoint} = await Volume.create({name: 'pushed'}, {runtime});
    writeFileSync(join(mountpoint, 'file'), noise(50_000, 'pushed'));
    const set = {volumes: ['pushed']};
    const first = await backup(set, {repository}, {runtime});
    const blobs = join(server.folder, 'data/docker/registry/v2/blobs/sha256');
    const packs = readBlobs(blobs).filter(path => statSync(path).size > 50_000);
    t.is(packs.length, 1);
    rmSync(packs[0]!);
    const second = await backup(set, {repository}, {runtime});
    t.regex(second.warnings.join('\n'), /^nothing can be compared with the snapshot .* is missing$/);
    t.is(second.snapshot.parent, undefined);
    await using opened = await openRepository(repository, {}, {runtime});
    // The lost pack comes again only if its tree says the same: of what had just changed it did not say when.
    const {problems} = await verify(opened);
    t.deepEqual(
      problems.filter(({snapshots}) => snapshots.includes(second.snapshot.id)),
      [],
    );
    t.is(second.snapshot.parts[0]!.digest, first.snapshot.parts[0]!.digest);
  },
);

function readBlobs(directory: string): string[] {
  return readdirSync(directory, {recursive: true, encoding: 'utf8'})
    .filter(name => name.endsWith('/data'))
    .map(name => join(directory, name));
}
