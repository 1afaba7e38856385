import {execFileSync} from 'node:child_process';
import {constants, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync} from 'node:fs';
import {writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {Readable} from 'node:stream';
import type {ExecutionContext} from 'ava';
import {DockerDaemon} from '../../benchmarks/docker-daemon.js';
import {mkdirsBelow, mknodBelow, openDirectory, setXattrBelow, unlinkBelow} from '../../src/binding/index.js';
import {Container, Image, type Runtime} from '../../src/index.js';
import {OwnRuntime, ownRuntime} from '../helpers/own-runtime.js';
import {asRoot, requires, requiresAsRoot} from '../helpers/requires.js';
import {treeFacts, writeCorpus} from '../helpers/volume-corpus.js';
import {tar} from '../store/archives.js';

/** `CORACLE_TEST_LONG` adds an image made by debootstrap with a layer of 20,000 files. */
const LONG = process.env['CORACLE_TEST_LONG'] !== undefined;
const withDebootstrap = requiresAsRoot('debootstrap', 'debootstrap');
const own = ownRuntime();

/** An archive of ours, and what it holds. */
interface Saved {
  readonly name: string;
  readonly archive: string;
  readonly id: string;
  readonly image: Image;
  /** Facts of each layer's tree, bottom first. */
  readonly layers: readonly (readonly string[])[];
}

async function save(name: string, image: Image): Promise<Saved> {
  const runtime = await own.runtime;
  const archive = join(mkdtempSync(join(own.folder, 'saved-')), 'ours.tar');
  await writeFile(archive, Image.save([name], {}, {runtime}));
  return {name, archive, id: image.id, image, layers: layersOf(runtime, image)};
}

/** Without the times of what has none in a layer: of its own directory, of deletions. */
function layersOf(runtime: Runtime, image: Image): string[][] {
  const {layers} = runtime.store.getImage(image.id);
  return layers.map(layer =>
    treeFacts(layer, {holes: false}).map(fact =>
      /^("" |"[^"]*" 20000 )/.test(fact) ? withoutTimes([fact])[0]! : fact,
    ),
  );
}

let corpus: Promise<Saved> | undefined;

/** Two layers: the upper one has one of everything, a deletion, and a directory in the place of another. */
function savedCorpus(): Promise<Saved> {
  corpus ??= makeCorpus();
  return corpus;
}

async function makeCorpus(): Promise<Saved> {
  const runtime = await own.runtime;
  const base = tar(
    {path: 'dir/', type: 'directory'},
    {path: 'dir/gone', content: 'x'},
    {path: 'dir/sub/', type: 'directory'},
    {path: 'dir/sub/hidden', content: 'x'},
    {path: 'kept', content: 'kept'},
  );
  await Image.import(Readable.from([base]), {reference: 'base:1', changes: ['CMD ["true"]']}, {runtime});
  const container = await Container.create('base:1', {command: ['true']}, {runtime});
  const upper = join(runtime.placesOf(runtime.readContainer(container.id)).writable, 'upper');
  mkdirSync(join(upper, 'tree'));
  writeCorpus(join(upper, 'tree'), 1024 ** 2);
  using directory = openDirectory(upper);
  unlinkBelow(directory.fd, 'tree/.wh.not-a-whiteout');
  mkdirsBelow(directory.fd, 'dir/sub', 0o755);
  mknodBelow(directory.fd, 'dir/gone', constants.S_IFCHR, 0, 0);
  setXattrBelow(directory.fd, 'dir/sub', 'trusted.overlay.opaque', Buffer.from('y'));
  return save('corpus:1', await container.commit({reference: 'corpus:1'}));
}

let debian: Promise<Saved> | undefined;

/** What debootstrap makes, and 14,000 small files in the same layer. */
function savedDebian(): Promise<Saved> {
  debian ??= makeDebian();
  return debian;
}

async function makeDebian(): Promise<Saved> {
  const tree = join(own.folder, 'debian');
  execFileSync('debootstrap', ['--variant=minbase', 'bookworm', tree], {stdio: 'ignore'});
  for (let directory = 0; directory < 140; directory++) {
    mkdirSync(join(tree, 'srv', String(directory)), {recursive: true});
    for (let file = 0; file < 100; file++)
      writeFileSync(
        join(tree, 'srv', String(directory), String(file)),
        'line\n'.repeat(1 + ((file * 7919) % 600)),
      );
  }
  const layer = join(own.folder, 'debian.tar');
  execFileSync('tar', ['-C', tree, '--numeric-owner', '--xattrs', '-cf', layer, '.']);
  const options = {reference: 'debian:1', changes: ['CMD ["bash"]']};
  return save('debian:1', await Image.import(layer, options, {runtime: await own.runtime}));
}

/** What another tool saved of it, in a store of ours where nothing is yet. */
async function comesBack(t: ExecutionContext, archive: string, {layers}: Saved): Promise<Image> {
  const other = new OwnRuntime(0, mkdtempSync(join(own.folder, 'other-')));
  t.teardown(() => other.close());
  const runtime = await other.runtime;
  const [image] = await Image.load(archive, {}, {runtime});
  t.deepEqual(layersOf(runtime, image!), layers);
  return image!;
}

/** Without times: dockerd knows none before 1970. */
function withoutTimes(facts: readonly string[]): string[] {
  return facts.map(fact => fact.replace(/^("(?:[^"\\]|\\.)*" \S+ \S+) \S+/, '$1 -'));
}

const images: readonly (readonly [string, () => Promise<Saved>])[] = [
  ['an image with one of everything', savedCorpus],
  ...(LONG && withDebootstrap.isMet
    ? [['an image made by debootstrap with 20,000 files', savedDebian] as const]
    : []),
];

if (LONG) {
  withDebootstrap('what debootstrap made and a script added is a layer of 20,000 files', async t => {
    const {layers} = await savedDebian();
    t.is(layers.length, 1);
    t.true(layers[0]!.length > 20_000);
  });
}

for (const [what, saved] of images) {
  asRoot(`${what} is the same after it was saved and loaded`, async t => {
    const it = await saved();
    const image = await comesBack(t, it.archive, it);
    t.is(image.id, it.id);
    t.deepEqual(image.references, [it.name]);
    const runtime = await own.runtime;
    const again = join(mkdtempSync(join(own.folder, 'again-')), 'again.tar');
    await writeFile(again, Image.save([it.name], {}, {runtime}));
    t.true(readFileSync(again).equals(readFileSync(it.archive)), 'the same bytes each time');
  });

  requiresAsRoot('/usr/sbin/dockerd', 'docker.io')(
    `dockerd loads ${what}, and what it saves is the same`,
    async t => {
      const it = await saved();
      await using daemon = await DockerDaemon.start(mkdtempSync(join(own.folder, 'dockerd-')));
      t.is(daemon.docker('load', '--input', it.archive).trim(), `Loaded image: ${it.name}`);
      t.is(daemon.docker('image', 'inspect', '--format', '{{.Id}}', it.name).trim(), it.id);
      const unpacked = daemon
        .docker('image', 'inspect', '--format', '{{.GraphDriver.Data.UpperDir}}', it.name)
        .trim();
      t.deepEqual(withoutTimes(treeFacts(unpacked, {holes: false})), withoutTimes(it.layers.at(-1)!));
      const theirs = join(mkdtempSync(join(own.folder, 'docker-')), 'theirs.tar');
      daemon.docker('save', '--output', theirs, it.name);
      const image = await comesBack(t, theirs, it);
      t.is(image.id, it.id);
      t.deepEqual(image.references, [it.name]);
    },
  );

  requiresAsRoot('podman', 'podman')(`podman loads ${what}, and what it saves is the same`, async t => {
    const it = await saved();
    const folder = mkdtempSync(join(own.folder, 'podman-'));
    const podman = (...words: string[]) => {
      const places = ['root', 'runroot', 'tmpdir'].map(name => `--${name}=${join(folder, name)}`);
      return execFileSync('podman', [...places, ...words], {encoding: 'utf8', stdio: 'pipe'}).trim();
    };
    t.teardown(() => podman('system', 'reset', '--force'));
    t.regex(podman('load', '--quiet', '--input', it.archive), new RegExp(`^Loaded image: \\S+/${it.name}$`));
    t.is(`sha256:${podman('image', 'inspect', '--format', '{{.Id}}', it.name)}`, it.id);
    for (const format of ['docker-archive', 'oci-archive']) {
      const theirs = join(folder, `${format}.tar`);
      podman('save', '--quiet', '--format', format, '--output', theirs, it.name);
      const image = await comesBack(t, theirs, it);
      t.regex(image.references[0]!, new RegExp(`(^|/)${it.name}$`), format);
    }
  });

  requires('skopeo', 'skopeo')(`skopeo reads ${what} either way, and what it writes is the same`, async t => {
    const it = await saved();
    const folder = mkdtempSync(join(own.folder, 'skopeo-'));
    const copy = (from: string, to: string, ...flags: string[]) =>
      execFileSync('skopeo', ['copy', '--quiet', ...flags, from, to], {stdio: 'pipe'});
    const tag = it.name.split(':')[1]!;
    copy(`docker-archive:${it.archive}:${it.name}`, `oci-archive:${folder}/1.tar:${it.name}`);
    copy(`oci-archive:${it.archive}:${tag}`, `docker-archive:${folder}/2.tar:${it.name}`);
    const zstd = ['--dest-compress', '--dest-compress-format', 'zstd'];
    copy(`oci-archive:${it.archive}:${tag}`, `oci-archive:${folder}/3.tar:${it.name}`, ...zstd);
    for (const number of [1, 2, 3]) {
      const image = await comesBack(t, `${folder}/${number}.tar`, it);
      t.deepEqual(image.references, [it.name]);
    }
  });

  requiresAsRoot('umoci', 'umoci')(`umoci unpacks ${what} as we do`, async t => {
    const it = await saved();
    const folder = mkdtempSync(join(own.folder, 'umoci-'));
    const layout = join(folder, 'layout');
    mkdirSync(layout);
    execFileSync('tar', ['-xf', it.archive, '-C', layout]);
    execFileSync('umoci', ['unpack', '--image', `${layout}:${it.name.split(':')[1]}`, `${folder}/bundle`], {
      stdio: 'pipe',
    });
    const rootfs = `${folder}/bundle/rootfs`;
    if (it.layers.length === 1) {
      t.deepEqual(withoutTimes(treeFacts(rootfs, {holes: false})), withoutTimes(it.layers[0]!));
      return;
    }
    const top = (await own.runtime).store.getImage(it.id).layers.at(-1)!;
    t.deepEqual(treeFacts(`${rootfs}/tree`, {holes: false}), treeFacts(`${top}/tree`, {holes: false}));
    t.false(existsSync(`${rootfs}/dir/gone`));
    t.false(existsSync(`${rootfs}/dir/sub/hidden`));
  });
}
