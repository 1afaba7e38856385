import {existsSync, readdirSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {gzipSync} from 'node:zlib';
import test from 'ava';
import {chainId, type Digest, digestOf, hexOf, parseReference} from '../../src/oci/index.js';
import {Store} from '../../src/store/index.js';
import {type Entry, inChunks, scratch, tar} from './archives.js';

async function openStore() {
  const place = scratch();
  const store = await Store.open({root: join(place.path, 'store'), run: join(place.path, 'run')});
  return Object.assign(place, {store});
}

const passwd = 'root:x:0:0::/root:/bin/sh\nweb:x:33:33::/:/bin/false\n';
const lower = tar(
  {path: 'etc/passwd', content: 'root:x:0:0::/root:/bin/sh\n'},
  {path: 'etc/group', content: 'root:x:0:\n'},
  {path: 'bin/tool', content: 'tool', mode: 0o755},
);
const upper = gzipSync(tar({path: 'etc/passwd', content: passwd}, {path: 'etc/.wh.group'}));
const configOf = (...diffIds: Digest[]) =>
  JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    created: '2020-01-01T00:00:00Z',
    config: {Cmd: ['/bin/tool'], Env: ['A=b']},
    rootfs: {type: 'layers', diff_ids: diffIds},
  });
const upperPlain = tar({path: 'etc/passwd', content: passwd}, {path: 'etc/.wh.group'});
const config = configOf(digestOf(lower), digestOf(upperPlain));
const id = digestOf(config);

/** As `docker save` wrote it until version 24. */
function dockerArchive(overrides: Partial<Record<'config' | 'tags' | 'layer', string>> = {}): Buffer {
  const entries: Entry[] = [
    {path: 'aaaa/layer.tar', content: lower},
    {path: 'bbbb/layer.tar', content: upperPlain},
    {path: 'cccc/layer.tar', type: 'symlink', target: '../bbbb/layer.tar'},
    {path: `${hexOf(id)}.json`, content: overrides.config ?? config},
    {
      path: 'manifest.json',
      content: JSON.stringify([
        {
          Config: `${hexOf(id)}.json`,
          RepoTags: [overrides.tags ?? 'tool:1'],
          Layers: ['aaaa/layer.tar', overrides.layer ?? 'cccc/layer.tar'],
        },
      ]),
    },
  ];
  return tar(...entries);
}

/** An OCI image layout, compressed layers, index last. */
function ociArchive({name = 'registry.example/tool:2', nested = false} = {}): {
  archive: Buffer;
  manifest: string;
} {
  const blobs: (string | Buffer)[] = [lower, upper, config];
  const descriptor = (mediaType: string, content: string | Buffer) => ({
    mediaType,
    digest: digestOf(content),
    size: Buffer.byteLength(content),
  });
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: descriptor('application/vnd.oci.image.config.v1+json', config),
    layers: [
      descriptor('application/vnd.oci.image.layer.v1.tar', lower),
      descriptor('application/vnd.oci.image.layer.v1.tar+gzip', upper),
    ],
  });
  blobs.push(manifest);
  let top = descriptor('application/vnd.oci.image.manifest.v1+json', manifest);
  if (nested) {
    const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
    const index = JSON.stringify({
      schemaVersion: 2,
      manifests: [
        {...top, platform: {os: 'linux', architecture: 's390x'}, digest: digestOf('absent')},
        {...top, platform: {os: 'linux', architecture}},
      ],
    });
    blobs.push(index);
    top = descriptor('application/vnd.oci.image.index.v1+json', index);
  }
  const annotations = {'io.containerd.image.name': name};
  const archive = tar(
    ...blobs.map(content => ({path: `./blobs/sha256/${hexOf(digestOf(content))}`, content})),
    {path: 'oci-layout', content: '{"imageLayoutVersion":"1.0.0"}'},
    {path: 'index.json', content: JSON.stringify({schemaVersion: 2, manifests: [{...top, annotations}]})},
  );
  return {archive, manifest};
}

test('an imported archive is an image of one layer that knows its users', async t => {
  using place = await openStore();
  const {store} = place;
  const image = await store.importImage(inChunks(lower), {
    reference: parseReference('imported'),
    config: {Cmd: ['/bin/tool'], User: 'root'},
  });
  t.deepEqual(image.repoTags, ['imported:latest']);
  t.is(image.passwd, 'root:x:0:0::/root:/bin/sh\n');
  t.is(image.group, 'root:x:0:\n');
  t.is(image.layers.length, 1);
  t.is(readFileSync(join(image.layers[0]!, 'bin/tool'), 'utf8'), 'tool');
  t.deepEqual(image.config, {Cmd: ['/bin/tool'], User: 'root'});
  t.is(image.size, 40);
  t.is(store.getImage('imported').id, image.id);
  t.is(store.getImage(image.id.slice(7, 19)).id, image.id);
  t.is(store.getImage(image.id).id, image.id);
  t.deepEqual(readdirSync(join(store.root, 'work')), []);
});

test('a gzipped import has the digest of its plain bytes as diff id', async t => {
  using place = await openStore();
  const image = await place.store.importImage(inChunks(upper));
  t.deepEqual(image.diffIds, [digestOf(upperPlain)]);
  t.deepEqual(image.repoTags, []);
  t.is(place.store.listImages().length, 1);
});

test('what docker save wrote is loaded, with links between layers, from a stream or a file', async t => {
  using place = await openStore();
  const [image] = await place.store.loadArchive(inChunks(dockerArchive()));
  t.is(image!.id, id);
  t.deepEqual(image!.repoTags, ['tool:1']);
  t.deepEqual(
    image!.layers,
    image!.diffIds.map(diffId => join(place.store.root, 'layers', hexOf(diffId), 'fs')),
  );
  t.is(image!.passwd, passwd, 'the upper layer wins');
  t.is(image!.group, '', 'a whiteout hides the file below');
  const file = join(place.path, 'archive.tar.gz');
  writeFileSync(file, gzipSync(dockerArchive({tags: 'other/name:2'})));
  const [again] = await place.store.loadArchive(file);
  t.deepEqual(again!.repoTags, ['tool:1', 'other/name:2']);
});

test('an OCI archive is loaded and keeps its manifest', async t => {
  using place = await openStore();
  const {archive, manifest} = ociArchive();
  const [image] = await place.store.loadArchive(inChunks(archive));
  t.is(image!.id, id);
  t.is(image!.manifest, digestOf(manifest));
  t.deepEqual(image!.repoTags, ['registry.example/tool:2']);
  const index = JSON.parse(readFileSync(join(place.store.root, 'index.json'), 'utf8'));
  t.is(index.manifests[0].digest, digestOf(manifest));
  t.is(index.manifests[0].size, manifest.length);
  for (const blob of image!.blobs) {
    t.is(digestOf(readFileSync(join(place.store.root, 'blobs/sha256', hexOf(blob)))), blob);
  }
});

test("of an image for several platforms, this host's is taken", async t => {
  using place = await openStore();
  const [image] = await place.store.loadArchive(inChunks(ociArchive({nested: true}).archive));
  t.is(image!.id, id);
});

const refusals: [string, Buffer, string, RegExp?][] = [
  [
    'a configuration whose digest is not its name',
    dockerArchive({config: configOf()}),
    'ERR_DIGEST_MISMATCH',
  ],
  [
    'a layer that the configuration does not name',
    dockerArchive({layer: 'aaaa/layer.tar'}),
    'ERR_DIGEST_MISMATCH',
  ],
  ['a layer that is missing', dockerArchive({layer: '../../etc/passwd'}), 'ERR_INVALID_IMAGE', /no file/],
  ['a name that is none', dockerArchive({tags: 'Bad Name'}), 'ERR_INVALID_REFERENCE'],
  ['neither format', tar({path: 'x', content: 'y'}), 'ERR_INVALID_IMAGE', /neither/],
  [
    'a manifest.json that is not JSON',
    tar({path: 'manifest.json', content: '{'}),
    'ERR_INVALID_IMAGE',
    /not JSON/,
  ],
];
for (const [name, archive, code, message] of refusals) {
  test(`an archive is refused and leaves nothing: ${name}`, async t => {
    using place = await openStore();
    const {store} = place;
    await t.throwsAsync(store.loadArchive(inChunks(archive)), {code, ...(message && {message})});
    t.deepEqual(store.listImages(), []);
    t.deepEqual(readdirSync(join(store.root, 'layers')), ['base-2']);
    t.deepEqual(readdirSync(join(store.root, 'blobs/sha256')), []);
    t.deepEqual(readdirSync(join(store.root, 'work')), []);
  });
}

test('a missing archive is named as Docker names it', async t => {
  using place = await openStore();
  await t.throwsAsync(place.store.loadArchive('/nope'), {
    code: 'ERR_FILE_NOT_FOUND',
    message: 'open /nope: no such file or directory',
  });
  await t.throwsAsync(place.store.loadArchive(place.store.root), {
    code: 'ERR_FILE_UNREADABLE',
    message: `read ${place.store.root}: is a directory`,
  });
});

test('an import is not called by a digest, nor by what would read like one', async t => {
  using place = await openStore();
  const refuses = async (name: string, message: string) =>
    t.throwsAsync(place.store.importImage(inChunks(lower), {reference: parseReference(name)}), {
      code: 'ERR_INVALID_REFERENCE',
      message,
    });
  await refuses(`name@sha256:${'a'.repeat(64)}`, 'cannot import digest reference');
  await refuses('sha256:1', 'refusing to create an ambiguous tag using digest algorithm as name');
  t.deepEqual(place.store.listImages(), []);
});

test('an unknown image is named with its tag', async t => {
  using place = await openStore();
  const {store} = place;
  t.throws(() => store.getImage('nope'), {
    code: 'ERR_IMAGE_NOT_FOUND',
    message: 'No such image: nope:latest',
  });
  t.throws(() => store.getImage('Nope'), {code: 'ERR_INVALID_REFERENCE'});
  t.is(store.findImage('nope'), undefined);
});

test('another process sees a new image, and a name that moved', async t => {
  using place = await openStore();
  const {store} = place;
  const other = await Store.open({root: store.root, run: store.run});
  const first = await store.importImage(inChunks(lower), {reference: parseReference('name:1')});
  t.is(other.getImage('name:1').id, first.id);
  const second = await other.importImage(inChunks(upperPlain), {reference: parseReference('name:1')});
  t.is(store.getImage('name:1').id, second.id);
  t.deepEqual(store.getImage(first.id).repoTags, []);
  await store.tagImage(first.id, parseReference('name:0'));
  t.deepEqual(other.getImage('name:0').repoTags, ['name:0']);
});

test('while nothing changes a look-up gives the same object', async t => {
  using place = await openStore();
  await place.store.importImage(inChunks(lower), {reference: parseReference('same')});
  t.is(place.store.getImage('same'), place.store.getImage('same'));
});

test('removing the last name removes the image, and the layers and blobs no other image has', async t => {
  using place = await openStore();
  const {store} = place;
  const [loaded] = await store.loadArchive(inChunks(dockerArchive()));
  const shared = await store.importImage(inChunks(lower), {reference: parseReference('shared')});
  await store.tagImage('tool:1', parseReference('tool:2'));
  t.like(await store.removeImage('tool:1'), {untagged: ['tool:1'], deleted: []});
  t.is(store.getImage('tool:2').id, loaded!.id);
  t.deepEqual(await store.removeImage('tool:2'), {
    untagged: ['tool:2'],
    deleted: [loaded!.id, chainId([digestOf(lower), digestOf(upperPlain)])],
    images: [loaded!.id],
    freedBytes: passwd.length,
  });
  t.is(store.findImage(loaded!.id), undefined);
  t.false(existsSync(loaded!.layers[1]!));
  t.true(existsSync(shared.layers[0]!));
  t.true(existsSync(join(store.root, 'blobs/sha256', hexOf(digestOf(lower)))));
  await store.removeImage(shared.id.slice(7, 20));
  t.deepEqual(readdirSync(join(store.root, 'layers')), ['base-2']);
  t.deepEqual(readdirSync(join(store.root, 'blobs/sha256')), []);
  t.deepEqual(readdirSync(join(store.root, 'images')), []);
});

test("an image that a container uses stays; Docker's words say so", async t => {
  using place = await openStore();
  const {store} = place;
  const image = await store.importImage(inChunks(lower), {reference: parseReference('used')});
  const container = store.containers.newId();
  await store.containers.create(container, 'user', {image: {id: image.id}});
  const [shortImage, shortContainer] = [hexOf(image.id).slice(0, 12), container.slice(0, 12)];
  await t.throwsAsync(store.removeImage('used'), {
    code: 'ERR_IMAGE_IN_USE',
    message: `conflict: unable to remove repository reference "used" (must force) - container ${shortContainer} is using its referenced image ${shortImage}`,
  });
  await t.throwsAsync(store.removeImage(shortImage), {
    message: `conflict: unable to delete ${shortImage} (must be forced) - image is being used by stopped container ${shortContainer}`,
  });
  const use = () => ({containerId: container, running: true});
  await t.throwsAsync(store.removeImage(shortImage, {force: true, use}), {
    message: `conflict: unable to delete ${shortImage} (cannot be forced) - image is being used by running container ${shortContainer}`,
  });
  t.like(await store.removeImage('used', {force: true}), {untagged: ['used:latest'], deleted: [image.id]});
  t.is(store.findImage(image.id), undefined);
  t.deepEqual(store.listImages(), []);
  t.is(store.imageOfContainer(image.id).id, image.id, 'the container has it still');
  t.true(existsSync(image.layers[0]!));
  await store.releaseRemovedImages(use);
  t.true(existsSync(image.layers[0]!));
  await store.releaseRemovedImages(() => undefined);
  t.false(existsSync(image.layers[0]!));
  t.is(store.findImageOfContainer(image.id), undefined);
});

test('an image stays for a container that was made while it was removed', async t => {
  using place = await openStore();
  const {store} = place;
  const image = await store.importImage(inChunks(lower), {reference: parseReference('raced')});
  const user = {containerId: 'c'.repeat(64), running: true};
  let asked = 0;
  const use = () => (asked++ < 2 ? undefined : user); // by the rules, then once nobody sees the image any more
  t.like(await store.removeImage('raced', {use}), {deleted: [image.id], freedBytes: 0});
  t.is(store.findImage(image.id), undefined);
  t.true(existsSync(store.imageOfContainer(image.id).layers[0]!));
});

test('an image in several repositories is removed by id only by force', async t => {
  using place = await openStore();
  const {store} = place;
  const image = await store.importImage(inChunks(lower), {reference: parseReference('one')});
  await store.tagImage('one', parseReference('two'));
  await t.throwsAsync(store.removeImage(image.id), {message: /image is referenced in multiple repositories/});
  const removed = await store.removeImage(image.id, {force: true});
  t.deepEqual(removed.untagged, ['one:latest', 'two:latest']);
});

test('two processes that load the same image at once share its layers', async t => {
  using place = await openStore();
  const {store} = place;
  const other = await Store.open({root: store.root, run: store.run});
  const loads = [store, other, store, other].map(each => each.loadArchive(inChunks(dockerArchive())));
  const ids = (await Promise.all(loads)).map(([image]) => image!.id);
  t.deepEqual(new Set(ids), new Set([id]));
  t.is(readdirSync(join(store.root, 'layers')).length, 3);
  t.deepEqual(readdirSync(join(store.root, 'work')), []);
});

test('an image of 300 layers is loaded in order', async t => {
  using place = await openStore();
  const layers = Array.from({length: 300}, (_, index) => tar({path: 'n', content: String(index)}));
  const document = configOf(...layers.map(layer => digestOf(layer)));
  const archive = tar(
    ...layers.map((content, index) => ({path: `${index}/layer.tar`, content})),
    {path: 'config.json', content: document},
    {
      path: 'manifest.json',
      content: JSON.stringify([
        {Config: 'config.json', Layers: layers.map((_, index) => `${index}/layer.tar`)},
      ]),
    },
  );
  const [image] = await place.store.loadArchive(inChunks(archive, 65_536));
  t.is(image!.layers.length, 300);
  t.is(readFileSync(join(image!.layers.at(-1)!, 'n'), 'utf8'), '299');
});

test('layers are closed to everybody but the owner of the store', async t => {
  using place = await openStore();
  t.is(statSync(place.store.root).mode & 0o777, 0o700);
  t.is(statSync(join(place.store.root, 'layers')).mode & 0o777, 0o700);
});

test('the base layer has mount points, empty files and /etc/mtab, and nothing else', async t => {
  using place = await openStore();
  const found = readdirSync(place.store.baseLayer, {recursive: true, encoding: 'utf8'}).sort();
  t.deepEqual(found, [
    '.dockerenv',
    'dev',
    'etc',
    'etc/hostname',
    'etc/hosts',
    'etc/mtab',
    'etc/resolv.conf',
    'proc',
    'sys',
  ]);
  t.is(statSync(join(place.store.baseLayer, 'etc/hosts')).mode & 0o777, 0o644);
  t.is(statSync(place.store.baseLayer).mode & 0o777, 0o755);
});
