import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import {join} from 'node:path';
import {gzipSync} from 'node:zlib';
import test from 'ava';
import {type Digest, digestOf, hexOf, parseReference} from '../../src/oci/index.js';
import {Store} from '../../src/store/index.js';
import {inChunks, scratch, tar} from './archives.js';

async function openStore() {
  const place = scratch();
  const roots = {root: join(place.path, 'store'), run: join(place.path, 'run')};
  const store = await Store.open(roots);
  const has = (...below: string[]) => existsSync(join(store.root, ...below));
  return Object.assign(place, {store, has, reopen: () => Store.open(roots)});
}

const plain = tar({path: 'file', content: 'content'});
const packed = gzipSync(plain);
const [diffId, digest] = [digestOf(plain), digestOf(packed)];
const configOf = (...diffIds: Digest[]) =>
  Buffer.from(
    JSON.stringify({os: 'linux', architecture: 'amd64', rootfs: {type: 'layers', diff_ids: diffIds}}),
  );
const descriptor = (mediaType: string, bytes: Buffer) => ({
  mediaType,
  digest: digestOf(bytes),
  size: bytes.length,
});
const manifest = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
    config: descriptor('application/vnd.docker.container.image.v1+json', configOf(diffId)),
    layers: [descriptor('application/vnd.docker.image.rootfs.diff.tar.gzip', packed)],
  }),
);
const index = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    manifests: [{...descriptor('application/vnd.docker.distribution.manifest.v2+json', manifest)}],
  }),
);

test('a layer is hashed, kept and unpacked in one pass, and is nowhere to be seen before it is part of an image', async t => {
  using place = await openStore();
  const {store, has} = place;
  {
    await using intake = store.openIntake();
    const layer = await intake.stageLayer(inChunks(packed, 7));
    t.like(layer, {digest, diffId, size: packed.length});
    t.is(readFileSync(join(layer.tree.path, 'fs/file'), 'utf8'), 'content');
    t.false(has('layers', hexOf(diffId)) || has('blobs/sha256', hexOf(digest)));
    await intake.addImage({config: configOf(diffId), layers: [layer]}, []);
  }
  t.true(has('layers', hexOf(diffId), 'fs/file') && has('blobs/sha256', hexOf(digest)));
  t.deepEqual(readdirSync(store.work), []);
});

test('what follows the end of an archive is part of its blob', async t => {
  using place = await openStore();
  await using intake = place.store.openIntake();
  const padded = Buffer.concat([plain, Buffer.alloc(300_000)]);
  const layer = await intake.stageLayer(inChunks(padded, 4096));
  t.like(layer, {digest: digestOf(padded), diffId: digestOf(padded), size: padded.length});
  t.deepEqual(readFileSync(layer.path), padded);
});

test('an image keeps the manifest and the index that it came by, and their digests and types', async t => {
  using place = await openStore();
  const {store} = place;
  await using intake = store.openIntake();
  const layer = await intake.stageLayer(inChunks(packed));
  const names = [parseReference('app:1'), parseReference(`app:ignored@${digestOf(index)}`)];
  const image = await intake.addImage(
    {config: configOf(diffId), layers: [layer], manifest, indexes: [index]},
    names,
  );
  t.deepEqual(image.repoTags, ['app:1']);
  t.deepEqual(image.repoDigests, [`app@${digestOf(index)}`]);
  t.deepEqual(store.readDocument(digestOf(index)), index);
  t.is(store.getImage(`app@${digestOf(index)}`).id, image.id);
  const [entry] = JSON.parse(readFileSync(join(store.root, 'index.json'), 'utf8')).manifests;
  t.is(entry.mediaType, 'application/vnd.docker.distribution.manifest.v2+json');
});

test('an image that is here stays as it came when it comes without a manifest, and is renewed when it comes with one', async t => {
  using place = await openStore();
  const {store, has} = place;
  const config = configOf(diffId);
  const add = async (archive: Buffer, from: {manifest?: Buffer}) => {
    await using intake = store.openIntake();
    return await intake.addImage({config, layers: [await intake.stageLayer(inChunks(archive))], ...from}, []);
  };
  const first = await add(plain, {});
  t.true(first.blobs.includes(diffId));
  t.deepEqual((await add(packed, {manifest})).blobs, [digestOf(config), digestOf(manifest), digest]);
  t.false(has('blobs/sha256', hexOf(diffId)), 'nobody needs the layer as it came first');
  t.is((await add(plain, {})).manifest, digestOf(manifest));
  t.false(has('blobs/sha256', hexOf(diffId)));
});

test('a layer that is not the one that the configuration names is refused, and leaves nothing', async t => {
  using place = await openStore();
  const {store} = place;
  {
    await using intake = store.openIntake();
    const layer = await intake.stageLayer(inChunks(plain));
    const adding = intake.addImage({config: configOf(digestOf('other')), layers: [layer]}, []);
    await t.throwsAsync(adding, {code: 'ERR_DIGEST_MISMATCH'});
  }
  for (const place of ['layers', 'blobs/sha256', 'images', 'work'])
    t.deepEqual(readdirSync(join(store.root, place)), place === 'layers' ? ['base-2'] : [], place);
});

test('layers and blobs that an intake counts on outlive the images that had them', async t => {
  using place = await openStore();
  const {store, has} = place;
  const {id} = await store.importImage(inChunks(packed), {reference: parseReference('old')});
  {
    await using intake = store.openIntake();
    const found = intake.find(digest);
    t.true(intake.hasLayer(diffId));
    await store.removeImage('old');
    await t.throwsAsync(store.loadArchive(inChunks(tar({path: 'x', content: 'garbage'}))));
    t.is(store.findImage(id), undefined);
    t.true(has('layers', hexOf(diffId)) && has('blobs/sha256', hexOf(digest)));
    await intake.addImage({config: configOf(diffId), layers: [found!]}, [parseReference('new')]);
  }
  t.deepEqual(store.getImage('new').diffIds, [diffId]);
});

test('what somebody left who died amid an image is removed by the next open', async t => {
  using place = await openStore();
  const {store, has} = place;
  const kept = await store.importImage(inChunks(packed));
  mkdirSync(join(store.root, 'layers', hexOf(digestOf('layer')), 'fs'), {recursive: true});
  for (const left of ['blobs/sha256/', 'images/'])
    writeFileSync(join(store.root, left, hexOf(digestOf('left'))), '');
  mkdirSync(join(store.root, 'work/work-dead/pins/layers'), {recursive: true});
  writeFileSync(join(store.root, 'work/work-dead/pins/layers', hexOf(digestOf('layer'))), '');
  await place.reopen();
  t.deepEqual(readdirSync(join(store.root, 'layers')).sort(), [hexOf(diffId), 'base-2'].sort());
  t.is(readdirSync(join(store.root, 'blobs/sha256')).length, kept.blobs.length);
  t.deepEqual(readdirSync(join(store.root, 'images')), [`${hexOf(kept.id)}.json`]);
  t.false(has('work/work-dead'));
});

test('a download that was cut off goes on from where it was, and is hashed and unpacked from its first byte', async t => {
  using place = await openStore();
  const {store} = place;
  await using intake = store.openIntake();
  const asked: number[] = [];
  async function* cut(offset: number) {
    asked.push(offset);
    yield packed.subarray(offset, 40);
    throw new Error('cut off');
  }
  {
    using claim = store.downloads.claim(digest)!;
    await t.throwsAsync(intake.resumeLayer(claim.path, cut), {message: 'cut off'});
    t.is(store.downloads.claim(digest), undefined, 'one at a time');
  }
  using claim = store.downloads.claim(digest)!;
  t.is(claim.offset, 40);
  const layer = await intake.resumeLayer(claim.path, offset => {
    asked.push(offset);
    return inChunks(packed.subarray(offset), 7);
  });
  t.deepEqual(asked, [0, 40]);
  t.like(layer, {digest, diffId, size: packed.length});
  await intake.addImage({config: configOf(diffId), layers: [layer]}, []);
  t.deepEqual(readFileSync(store.blobPath(digest)), packed);
});

test('a download that nobody went on with for a week is removed, unless somebody is at it', async t => {
  using place = await openStore();
  const {downloads, root} = place.store;
  const paths = ['old', 'held', 'young'].map(name => join(root, 'downloads', hexOf(digestOf(name))));
  using _held = downloads.claim(digestOf('held'))!;
  const eightDays = Date.now() / 1000 - 8 * 24 * 3600;
  for (const path of paths) appendFileSync(path, 'beginning');
  for (const path of paths.slice(0, 2)) utimesSync(path, eightDays, eightDays);
  t.is(downloads.sweep(), 9);
  t.deepEqual(
    paths.map(path => existsSync(path)),
    [false, true, true],
  );
  t.is(statSync(join(root, 'downloads')).mode & 0o777, 0o700);
});
