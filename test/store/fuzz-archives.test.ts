import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {openDirectory} from '../../src/binding/index.js';
import {CoracleError, NativeFailure} from '../../src/errors.js';
import {digestOf} from '../../src/oci/index.js';
import {LAYER_LIMITS} from '../../src/store/layer-limits.js';
import {Store} from '../../src/store/store.js';
import {unpackLayer} from '../../src/store/unpack-layer.js';
import {inChunks, isRoot, scratch, tar} from './archives.js';

/** Thousands of rounds with `CORACLE_TEST_LONG`; another seed each time with `CORACLE_TEST_SEED=random`. */
const LONG = process.env['CORACLE_TEST_LONG'] !== undefined;
const SEED =
  process.env['CORACLE_TEST_SEED'] === 'random' ? Date.now() : Number(process.env['CORACLE_TEST_SEED'] ?? 1);
const MiB = 1024 ** 2;

/** mulberry32: the same numbers for the same seed. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return below => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Names that lead out, or mean something. */
const NAMES = [
  '../outside/canary',
  '/../outside/canary',
  'dir/../../outside/canary',
  '..',
  '.',
  '/',
  '',
  './',
  'dir',
  'dir/',
  'link',
  'link/x',
  'up/canary',
  'abs/canary',
  '.wh.',
  '.wh..',
  '.wh...',
  '.wh..wh..opq',
  'dir/.wh..wh..opq',
  '.wh.dir',
  'dir/.wh.file',
  '.wh..wh.plnk',
  'file/x',
  'a\0b',
  'x'.repeat(256),
  'd/'.repeat(300),
  'up',
  'abs',
  'fifo',
  'null',
  `${'y'.repeat(99)}/z`,
  '\xff\xfe',
];
const TARGETS = [
  '..',
  '../outside',
  '/',
  '/etc/passwd',
  '../outside/canary',
  'dir',
  'dir/file',
  'link',
  '.',
  '',
  'up/canary',
  'x'.repeat(5000),
];
const TYPES = '0123456757xgLKS\0';

/** One of everything that layers have, and symlinks to make use of. */
const LAYER = tar(
  {path: 'dir/', type: 'directory', mode: 0o755},
  {path: 'dir/file', content: 'content'.repeat(200), mtimeNs: 1_500_000_000n},
  {path: 'up', type: 'symlink', target: '../outside'},
  {path: 'abs', type: 'symlink', target: '/'},
  {path: 'link', type: 'link', target: 'dir/file'},
  {path: 'fifo', type: 'fifo'},
  {path: `${'long'.repeat(40)}/name`, content: Buffer.alloc(9000)},
  {path: 'attributes', content: 'x', xattrs: new Map([['user.a', Buffer.from('b')]])},
  {path: 'dir/.wh.gone', content: ''},
  {path: 'dir/.wh..wh..opq', content: ''},
  {path: 'other/', type: 'directory'},
  {path: 'other/more', content: 'more'},
);

type Random = ReturnType<typeof random>;

/** A few changes at random, with check sums that are right again: they are no obstacle to who means harm. */
function mutate(archive: Buffer, below: Random): Buffer {
  let bytes = Buffer.from(archive);
  const header = () => below(bytes.length / 512) * 512;
  for (let changes = 1 + below(4); changes > 0; changes--) {
    const at = header();
    switch (below(9)) {
      case 0:
        bytes[at + below(512)] = below(256);
        break;
      case 1:
        write(bytes, at, 100, NAMES[below(NAMES.length)]!);
        break;
      case 2:
        write(bytes, at + 157, 100, TARGETS[below(TARGETS.length)]!);
        break;
      case 3:
        write(bytes, at + 156, 1, TYPES[below(TYPES.length)]!);
        break;
      case 4: {
        const from = header();
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          bytes.subarray(from, from + 512 * (1 + below(4))),
          bytes.subarray(at),
        ]);
        break;
      }
      case 5:
        bytes = Buffer.from(bytes.subarray(0, at + below(512)));
        break;
      case 6: {
        const sizes = [
          '77777777777',
          '00000000001',
          '10000000000',
          '-0000000001',
          '           ',
          '\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff',
        ];
        write(bytes, at + 124, 12, sizes[below(sizes.length)]!);
        break;
      }
      case 7: {
        const records = [
          'path=../outside/canary',
          'linkpath=/etc/passwd',
          'size=99999999999',
          'size=-1',
          'mtime=-99999999999999.1',
          'uid=4294967295',
          'GNU.sparse.major=1',
          'GNU.sparse.realsize=9999999999999',
          'SCHILY.xattr.trusted.overlay.redirect=/',
          'path=',
          'SCHILY.xattr.=x',
        ];
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          pax(records[below(records.length)]!),
          bytes.subarray(at),
        ]);
        break;
      }
      default:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 512)]);
    }
    if (bytes.length < 512) return bytes;
  }
  for (let at = 0; at + 512 <= bytes.length; at += 512)
    if (bytes.toString('latin1', at + 257, at + 262) === 'ustar') sum(bytes, at);
  return bytes;
}

function write(bytes: Buffer, at: number, length: number, text: string): void {
  if (at + length > bytes.length) return;
  bytes.fill(0, at, at + length);
  bytes.write(text.slice(0, length), at, 'latin1');
}

function pax(record: string): Buffer {
  const digits = String(record.length + 2).length;
  const text = `${record.length + 2 + digits} ${record}\n`;
  const entry = tar({path: 'pax', content: text}).subarray(0, 1024);
  entry.write('x', 156, 'latin1');
  sum(entry, 0);
  return entry;
}

function sum(bytes: Buffer, at: number): void {
  bytes.fill(' ', at + 148, at + 156);
  const total = bytes.subarray(at, at + 512).reduce((a, b) => a + b, 0);
  bytes.write(`${total.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1');
}

/** It may be refused, but in no other way than archives are. */
async function expectRefusal(
  t: ExecutionContext,
  work: Promise<unknown>,
  codes: readonly string[],
  where: string,
) {
  try {
    await work;
    return true;
  } catch (error) {
    if (error instanceof NativeFailure) t.fail(`${where}: ${error.message}`);
    else if (!(error instanceof CoracleError && codes.includes(error.code)))
      t.fail(`${where}: ${(error as Error).stack}`);
    return false;
  }
}

const rounds = LONG ? 20_000 : 250;

test(`${rounds} layers made to do harm are unpacked inside, or refused (seed ${SEED})`, async t => {
  let unpacked = 0;
  const limits = {...LAYER_LIMITS, totalBytes: 64 * MiB, fileBytes: 32 * MiB};
  for (let round = 0; round < rounds && t.passed; round++) {
    const archive = mutate(LAYER, random(SEED * 1_000_003 + round));
    using place = scratch();
    using root = openDirectory(place.path);
    const asRoot = isRoot && round % 3 !== 0;
    const work = unpackLayer(inChunks(archive, 1 + (round % 1500)), root.fd, {asRoot, limits});
    if (await expectRefusal(t, work, ['ERR_INVALID_LAYER', 'ERR_LAYER_TOO_LARGE'], `round ${round}`))
      unpacked++;
    t.deepEqual(readdirSync(place.outside), ['canary'], `round ${round}`);
    t.is(readFileSync(join(place.outside, 'canary'), 'utf8'), 'alive', `round ${round}`);
    t.deepEqual(readdirSync(join(place.path, '..')).sort(), ['outside', 'root'], `round ${round}`);
  }
  t.true(unpacked > rounds / 20, 'some of them are harmless');
  t.true(process.memoryUsage().rss < 600 * MiB);
});

/** What `docker save` writes, of two images that share a layer. */
function savedImages(): Buffer {
  const layer = tar(
    {path: 'etc/', type: 'directory'},
    {path: 'etc/passwd', content: 'root:x:0:0::/:/bin/sh\n'},
  );
  const config = JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    config: {Cmd: ['sh'], Env: ['A=1']},
    rootfs: {type: 'layers', diff_ids: [digestOf(layer)]},
  });
  const manifest = [
    {Config: 'config.json', RepoTags: ['a:1', 'b:2'], Layers: ['layer.tar']},
    {Config: 'config.json', RepoTags: null, Layers: ['link/layer.tar']},
  ];
  return tar(
    {path: 'manifest.json', content: JSON.stringify(manifest)},
    {path: 'config.json', content: config},
    {path: 'layer.tar', content: layer},
    {path: 'link/layer.tar', type: 'symlink', target: '../layer.tar'},
  );
}

const loads = LONG ? 3000 : 80;

test(`${loads} archives of images made to do harm are loaded or refused, and leave nothing (seed ${SEED})`, async t => {
  using place = scratch();
  const store = await Store.open({root: join(place.path, 'store'), run: join(place.path, 'run')});
  const codes = [
    'ERR_INVALID_IMAGE',
    'ERR_INVALID_LAYER',
    'ERR_DIGEST_MISMATCH',
    'ERR_INVALID_REFERENCE',
    'ERR_LAYER_TOO_LARGE',
    'ERR_INVALID_DIGEST',
    'ERR_PLATFORM_MISSING',
    'ERR_UNSUPPORTED_COMPRESSION',
  ];
  const original = savedImages();
  for (let round = 0; round < loads && t.passed; round++) {
    const below = random(SEED * 7_000_003 + round);
    const archive = round % 2 === 0 ? mutate(original, below) : Buffer.from(original);
    // Documents of JSON that are still JSON, mostly.
    if (round % 2 === 1) {
      for (let changes = 1 + below(3); changes > 0; changes--) {
        const at = 512 + below(1536);
        archive.write(
          ['"', '{', '}', '[', ']', ':', ',', '0', 'null', '../', '\\u0000', 'sha256:'][below(12)]!,
          at,
          'latin1',
        );
      }
    }
    await expectRefusal(t, store.loadArchive(inChunks(archive)), codes, `round ${round}`);
    t.deepEqual(readdirSync(join(store.root, 'work')), [], `round ${round}`);
    for (const {id} of store.listImages()) await store.removeImage(id, {force: true});
    t.deepEqual(readdirSync(join(store.root, 'blobs/sha256')), [], `round ${round}`);
    t.deepEqual(readdirSync(place.outside), ['canary']);
  }
});
