import {mkdirSync, symlinkSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {gzipSync} from 'node:zlib';
import test from 'ava';
import {digestOf, hexOf} from '../../src/oci/index.js';
import {inspectArchivedImages} from '../../src/sdk/index.js';
import {inChunks, scratch, tar} from './archives.js';

/** Images that are looked at where they lie: nothing is loaded. */

const layer = tar({path: 'etc/os', content: 'x'});
const config = JSON.stringify({
  created: '2024-05-01T12:00:00Z',
  architecture: 'amd64',
  os: 'linux',
  config: {Cmd: ['/app'], Env: ['A=b'], Labels: {team: 'infra'}},
  rootfs: {type: 'layers', diff_ids: [digestOf(layer)]},
});

const dockerArchive = (reference = 'app:1.0') =>
  tar(
    {path: 'layer/layer.tar', content: layer},
    {path: `${hexOf(digestOf(config))}.json`, content: config},
    {
      path: 'manifest.json',
      content: JSON.stringify([
        {Config: `${hexOf(digestOf(config))}.json`, RepoTags: [reference], Layers: ['layer/layer.tar']},
      ]),
    },
  );

/** An OCI image layout by path. */
function layout(): Record<string, string | Buffer> {
  const blob = (content: string | Buffer) => `blobs/sha256/${hexOf(digestOf(content))}`;
  const descriptor = (mediaType: string, content: string | Buffer) => ({
    mediaType,
    digest: digestOf(content),
    size: content.length,
  });
  const packed = gzipSync(layer);
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: descriptor('application/vnd.oci.image.config.v1+json', config),
    layers: [descriptor('application/vnd.oci.image.layer.v1.tar+gzip', packed)],
  });
  const index = JSON.stringify({
    schemaVersion: 2,
    manifests: [
      {
        ...descriptor('application/vnd.oci.image.manifest.v1+json', manifest),
        annotations: {'io.containerd.image.name': 'registry.example/tool:2'},
      },
    ],
  });
  return {'index.json': index, [blob(manifest)]: manifest, [blob(config)]: config, [blob(packed)]: packed};
}

const expected = {
  Id: digestOf(config),
  Created: '2024-05-01T12:00:00Z',
  Architecture: 'amd64',
  Os: 'linux',
  Config: {Cmd: ['/app'], Env: ['A=b'], Labels: {team: 'infra'}},
  RootFS: {Type: 'layers', Layers: [digestOf(layer)]},
};

test('an archive of docker save is inspected as the image would be, as a stream or a file, plain or compressed', async t => {
  using folder = scratch();
  const path = join(folder.path, 'app.tar.gz');
  writeFileSync(path, gzipSync(dockerArchive()));
  for (const source of [inChunks(dockerArchive()), path]) {
    const images = await inspectArchivedImages(source);
    t.is(images.length, 1);
    t.like(images[0], {...expected, RepoTags: ['app:1.0'], Size: layer.length});
  }
});

test('an OCI image layout is inspected as an archive and as a directory', async t => {
  using folder = scratch();
  const files = Object.entries(layout());
  for (const [path, content] of files) {
    mkdirSync(dirname(join(folder.path, path)), {recursive: true});
    writeFileSync(join(folder.path, path), content);
  }
  const archive = tar(...files.map(([path, content]) => ({path, content})));
  for (const source of [folder.path, inChunks(archive)]) {
    t.like((await inspectArchivedImages(source))[0], {...expected, RepoTags: ['registry.example/tool:2']});
  }
  writeFileSync(
    join(folder.path, files.find(([, content]) => content === config)![0]),
    config.replace('A=b', 'A=c'),
  );
  await t.throwsAsync(inspectArchivedImages(folder.path), {code: 'ERR_DIGEST_MISMATCH'});
});

test('a configuration that is not what its digest says is refused', async t => {
  const archive = tar(
    {path: `${'0'.repeat(64)}.json`, content: config},
    {
      path: 'manifest.json',
      content: JSON.stringify([{Config: `${'0'.repeat(64)}.json`, RepoTags: [], Layers: []}]),
    },
  );
  await t.throwsAsync(inspectArchivedImages(inChunks(archive)), {code: 'ERR_DIGEST_MISMATCH'});
});

test('what holds no image, and links that lead out of a layout, are refused', async t => {
  using folder = scratch();
  await t.throwsAsync(inspectArchivedImages(folder.path), {code: 'ERR_INVALID_IMAGE'});
  writeFileSync(join(folder.outside, 'index.json'), layout()['index.json']!);
  symlinkSync(join(folder.outside, 'index.json'), join(folder.path, 'index.json'));
  await t.throwsAsync(inspectArchivedImages(folder.path), {code: 'ERR_INVALID_IMAGE'});
  await t.throwsAsync(inspectArchivedImages(inChunks(tar({path: 'a', content: 'b'}))), {
    code: 'ERR_INVALID_IMAGE',
  });
  await t.throwsAsync(inspectArchivedImages(join(folder.path, 'none.tar')), {code: 'ERR_FILE_NOT_FOUND'});
});
