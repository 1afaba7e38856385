/** Images of several platforms, and what is no image: a registry of the test's own has whatever is wanted. */
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {gzipSync} from 'node:zlib';
import test, {type ExecutionContext} from 'ava';
import {copyImage, Image, type Runtime, readManifest, tagDates} from '../../src/index.js';
import {digestOf} from '../../src/oci/index.js';
import {compress} from '../../src/store/index.js';
import {TAR_END, tarHeader, tarPadding} from '../../src/store/write-tar.js';
import {configuredRuntime} from '../helpers/configured-runtime.js';
import {DockerRegistry} from '../helpers/docker-registry.js';
import {HttpFront} from '../helpers/http-front.js';
import {asRoot, requiresAsRoot} from '../helpers/requires.js';

const folder = mkdtempSync(join(tmpdir(), 'coracle-platforms-'));
test.after.always(() => rmSync(folder, {recursive: true, force: true}));
const HERE = process.arch === 'x64' ? 'amd64' : 'arm64';

let machines = 0;
async function machine(t: ExecutionContext): Promise<Runtime> {
  const runtime = await configuredRuntime(folder, `machine-${++machines}`);
  t.teardown(() => runtime.close());
  return runtime;
}

/** A registry with documents and blobs in memory. */
class Shelf {
  readonly #blobs = new Map<string, {type: string; bytes: Buffer}>();
  readonly #tags = new Map<string, string>();

  put(bytes: Buffer, mediaType = 'application/octet-stream') {
    const digest = digestOf(bytes);
    this.#blobs.set(digest, {type: mediaType, bytes});
    return {mediaType, digest, size: bytes.length};
  }

  document(mediaType: string, content: object) {
    return this.put(Buffer.from(JSON.stringify({schemaVersion: 2, mediaType, ...content})), mediaType);
  }

  tag(tag: string, {digest}: {readonly digest: string}): void {
    this.#tags.set(tag, digest);
  }

  /** @param layer an archive as it is sent */
  image(architecture: string, layer: Buffer, plain: Buffer, suffix: string) {
    const config = Buffer.from(
      JSON.stringify({
        architecture,
        os: 'linux',
        created: '2026-01-01T00:00:00Z',
        config: {Cmd: ['/a']},
        rootfs: {type: 'layers', diff_ids: [digestOf(plain)]},
      }),
    );
    return this.document('application/vnd.oci.image.manifest.v1+json', {
      config: this.put(config, 'application/vnd.oci.image.config.v1+json'),
      layers: [this.put(layer, `application/vnd.oci.image.layer.v1.tar${suffix}`)],
    });
  }

  index(...manifests: object[]) {
    return this.document('application/vnd.oci.image.index.v1+json', {manifests});
  }

  async serve(t: ExecutionContext): Promise<HttpFront> {
    const front = await HttpFront.start({
      interfere: ({url = ''}, response) => {
        const [, reference = ''] = /\/(?:manifests|blobs)\/(.+)$/.exec(url) ?? [];
        const found = this.#blobs.get(this.#tags.get(reference) ?? reference);
        if (found !== undefined) response.writeHead(200, {'content-type': found.type}).end(found.bytes);
        else response.writeHead(url === '/v2/' ? 200 : 404).end();
        return true;
      },
    });
    t.teardown(() => front[Symbol.asyncDispose]());
    return front;
  }
}

function tarOf(content: string): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([
    tarHeader({path: 'a', type: 'file', size: bytes.length}),
    bytes,
    tarPadding(bytes.length),
    TAR_END,
  ]);
}

const [OURS, THEIRS] = [tarOf('ours'), tarOf('theirs')];
const platform = (architecture: string, variant?: string) => ({
  platform: {os: 'linux', architecture, ...(variant && {variant})},
});

async function severalPlatforms(shelf: Shelf) {
  const zstd: Uint8Array[] = [];
  for await (const chunk of compress([OURS] as unknown as AsyncIterable<Uint8Array>, 'zstd'))
    zstd.push(chunk);
  const index = shelf.index(
    {...shelf.image('s390x', gzipSync(THEIRS), THEIRS, '+gzip'), ...platform('s390x')},
    {...shelf.image(HERE, Buffer.concat(zstd), OURS, '+zstd'), ...platform(HERE)},
    {...shelf.put(Buffer.from('{}'), 'application/vnd.oci.image.manifest.v1+json'), ...platform('unknown')},
  );
  shelf.tag('latest', index);
  return index;
}

asRoot('of an index the image for this host is taken, or for the platform that was asked for', async t => {
  const shelf = new Shelf();
  const index = await severalPlatforms(shelf);
  const {name} = await shelf.serve(t);
  const runtime = await machine(t);
  const ours = await Image.pull(`${name}/x`, {}, {runtime});
  t.like(ours.inspect(), {Architecture: HERE, RootFS: {Layers: [digestOf(OURS)]}});
  t.deepEqual(ours.digests, [`${name}/x@${index.digest}`]);
  const theirs = await Image.pull(`${name}/x`, {platform: 'linux/s390x'}, {runtime});
  t.like(theirs.inspect(), {Architecture: 's390x', RootFS: {Layers: [digestOf(THEIRS)]}});
  t.deepEqual((await Image.get(`${name}/x`, {runtime})).id, theirs.id);
  t.is((await Image.pull(`${name}/x@${index.digest}`, {}, {runtime})).id, ours.id);
  await t.throwsAsync(Image.pull(`${name}/x`, {platform: 'linux/riscv64'}, {runtime}), {
    code: 'ERR_PLATFORM_MISSING',
    message: 'no matching manifest for linux/riscv64 in the manifest list entries',
  });
});

asRoot('a manifest and its configuration are looked at without a layer', async t => {
  const shelf = new Shelf();
  const index = await severalPlatforms(shelf);
  const front = await shelf.serve(t);
  t.like(await readManifest(`${front.name}/x`), {digest: index.digest, document: {kind: 'index'}});
  t.deepEqual([...(await tagDates(`${front.name}/x`, ['latest']))], [['latest', '2026-01-01T00:00:00Z']]);
  t.true(front.seen.every(({path}) => !path.includes(digestOf(OURS))));
});

const withRegistry = requiresAsRoot('docker-registry', 'docker-registry');
withRegistry(
  'a copy between registries has every platform, byte for byte, and is not made twice',
  async t => {
    const shelf = new Shelf();
    const image = shelf.image(HERE, gzipSync(OURS), OURS, '+gzip');
    const other = shelf.image('s390x', gzipSync(THEIRS), THEIRS, '+gzip');
    const index = shelf.index({...image, ...platform(HERE)}, {...other, ...platform('s390x')});
    shelf.tag('latest', index);
    const {name} = await shelf.serve(t);
    await using server = await DockerRegistry.start();
    const statuses: string[] = [];
    const copy = (to: string) =>
      copyImage(`${name}/x`, `${server.name}/${to}`, {onProgress: ({status}) => statuses.push(status)});
    t.is(await copy('y:1'), index.digest);
    t.deepEqual(new Set(statuses), new Set(['copied']));
    statuses.length = 0;
    t.is(await copy('y:2'), index.digest);
    t.deepEqual(new Set(statuses), new Set(['exists']));
    const runtime = await machine(t);
    for (const asked of [HERE, 's390x']) {
      const pulled = await Image.pull(`${server.name}/y:2`, {platform: `linux/${asked}`}, {runtime});
      t.like(pulled.inspect(), {Architecture: asked});
    }
  },
);

const refuses = test.macro({
  async exec(
    t: ExecutionContext,
    make: (shelf: Shelf) => {readonly digest: string},
    expectation: {code: string; message?: RegExp},
  ) {
    const shelf = new Shelf();
    shelf.tag('latest', make(shelf));
    const front = await shelf.serve(t);
    const runtime = await machine(t);
    await t.throwsAsync(Image.pull(`${front.name}/x`, {}, {runtime}), expectation);
    t.deepEqual(await Image.list({}, {runtime}), []);
  },
  title: title => `refused is ${title}`,
});

if (process.getuid?.() === 0) {
  test(
    'a layer that is no file system',
    refuses,
    shelf => {
      const manifest = 'application/vnd.oci.image.manifest.v1+json';
      const config = shelf.put(Buffer.from('{}'), 'application/vnd.cncf.helm.config.v1+json');
      return shelf.document(manifest, {
        config,
        layers: [shelf.put(Buffer.from('x'), 'application/vnd.cncf.helm.chart')],
      });
    },
    {code: 'ERR_INVALID_IMAGE', message: /no file system/},
  );

  test(
    'a configuration that names other layers than the manifest has',
    refuses,
    shelf => shelf.image(HERE, gzipSync(OURS), THEIRS, '+gzip'),
    {code: 'ERR_DIGEST_MISMATCH'},
  );

  test(
    'an index that leads to indexes without end',
    refuses,
    shelf => {
      let index = shelf.index();
      for (let depth = 0; depth < 6; depth++) index = shelf.index({...index, ...platform(HERE)});
      return index;
    },
    {code: 'ERR_INVALID_IMAGE', message: /leads to no manifest/},
  );

  test(
    'a manifest of another size than its index says',
    refuses,
    shelf => {
      const image = shelf.image(HERE, gzipSync(OURS), OURS, '+gzip');
      return shelf.index({...image, size: image.size + 1, ...platform(HERE)});
    },
    {code: 'ERR_INVALID_IMAGE', message: /not what its index says/},
  );

  test(
    'an image for another operating system',
    refuses,
    shelf => {
      const config = Buffer.from(
        JSON.stringify({architecture: HERE, os: 'windows', rootfs: {type: 'layers', diff_ids: []}}),
      );
      return shelf.document('application/vnd.oci.image.manifest.v1+json', {
        config: shelf.put(config, 'application/vnd.oci.image.config.v1+json'),
        layers: [],
      });
    },
    {code: 'ERR_INVALID_IMAGE', message: /made for windows/},
  );
}
