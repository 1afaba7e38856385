import {execFileSync} from 'node:child_process';
import {createDecipheriv, createHash, createHmac, hkdfSync, scryptSync} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {Cutter} from '../../../src/binding/index.js';
import {requires} from '../../helpers/requires.js';
import {backUp, Folder, idOf, KiB, keyed, noise, open, SECRET} from './repositories.js';

const reader = fileURLToPath(new URL('reader.py', import.meta.url));

requires('python3', 'python3')(
  'a reader in another language, written by docs/backup-format.md, reads a repository',
  async t => {
    using folder = new Folder();
    await using store = await open(folder.path);
    const shared = [noise(30 * KiB, 'a'), Buffer.alloc(1500 * KiB, 'text '), noise(1200 * KiB, 'b')];
    const first = await backUp(store, [...shared, noise(800 * KiB, 'old')]);
    const chunks = [...shared, noise(10 * KiB, 'new')];
    const second = await backUp(store, chunks, {parent: first.id, time: '2026-11-29T13:00:00.000Z'});
    await store.forget([first.id]);
    await store.prune();
    const tree = execFileSync('python3', [reader, folder.path, second.id, 'data']);
    const ids = chunks.map(chunk => idOf(store, chunk));
    t.true(tree.equals(Buffer.concat([Buffer.from('tree'), ...ids])));
    const listed = execFileSync('python3', [reader, folder.path, second.id, '--chunks'], {encoding: 'utf8'});
    const expected = [...chunks, tree].map(chunk => `${idOf(store, chunk).toString('hex')} ${chunk.length}`);
    t.deepEqual(listed.trim().split('\n').sort(), expected.sort());
  },
);

requires('zstd', 'zstd')(
  'with the secret alone, by docs/backup-format.md, an encrypted repository is read',
  async t => {
    using folder = new Folder();
    await using store = await open(folder.path, keyed);
    const content = noise(20 * KiB, 'private');
    const snapshot = await backUp(store, [content]);
    const blob = (digest: string) => readFileSync(join(folder.path, 'blobs/sha256', digest.slice(7)));
    const json = (bytes: Buffer) => JSON.parse(bytes.toString('utf8'));
    const named = new Map<string, {config: {digest: string}; layers: {mediaType: string; digest: string}[]}>(
      json(readFileSync(join(folder.path, 'index.json'))).manifests.map(
        (entry: {annotations: Record<string, string>; digest: string}) => [
          entry.annotations['org.opencontainers.image.ref.name'],
          json(blob(entry.digest)),
        ],
      ),
    );

    const {id, cutting, keys} = json(blob(named.get('repository')!.config.digest));
    const [{scrypt, sealed}] = keys;
    const stretched = scryptSync(SECRET, Buffer.from(scrypt.salt, 'base64'), 32, {
      N: scrypt.cost,
      r: scrypt.blockSize,
      p: scrypt.parallelization,
    });
    const sizes = `${cutting.minBytes} ${cutting.averageBytes} ${cutting.maxBytes}`;
    const wrapped = Buffer.from(sealed, 'base64');
    const master = gcm(
      stretched,
      wrapped.subarray(0, 12),
      wrapped.subarray(12),
      `coracle backup 1 ${id} ${sizes}`,
    );
    const derive = (salt: Buffer | string, info: string, bytes: number) =>
      Buffer.from(hkdfSync('sha256', master, salt, info, bytes));

    const open_ = (bytes: Buffer, type: string) =>
      gcm(derive(bytes.subarray(0, 32), type, 32), Buffer.alloc(12), bytes.subarray(32));
    const type = (kind: string) => `application/vnd.coracle.backup.${kind}.v1`;
    const manifest = named.get(`snapshot-${snapshot.id.slice(7, 23)}`)!;
    const config = json(open_(blob(snapshot.id), `${type('snapshot.config')}+json`));
    t.is(config.parts[0].name, 'data');
    const layer = (kind: string) =>
      manifest.layers.find(({mediaType}) => mediaType === `${type(kind)}+encrypted`)!;
    const index = open_(blob(layer('index').digest), type('index'));
    t.is(index.toString('latin1', 0, 8), 'CORACLIX');
    const pack = blob(layer('pack').digest);
    t.is(index.toString('hex', 16, 48), createHash('sha256').update(pack).digest('hex'));
    const stored = index.readUInt32LE(60);
    const frame = gcm(
      derive(pack.subarray(0, 32), type('pack'), 32),
      Buffer.alloc(12),
      pack.subarray(32, 32 + stored),
    );
    const plain = execFileSync('zstd', ['-dc'], {input: frame});
    t.true(plain.subarray(0, content.length).equals(content));
    const idKey = derive('', 'coracle backup chunk ids', 32);
    t.true(createHmac('sha256', idKey).update(content).digest().equals(index.subarray(72, 104)));
    t.true(derive('', 'coracle backup gear', 2048).equals(store.cutting.table));
  },
);

function gcm(key: Buffer, nonce: Buffer, sealed: Buffer, additional = ''): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce).setAuthTag(sealed.subarray(-16));
  if (additional !== '') decipher.setAAD(Buffer.from(additional));
  return Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
}

test('without a key the gear table is that of docs/backup-format.md, and cuts as it says', async t => {
  using folder = new Folder();
  await using store = await open(folder.path);
  const {table, minBytes, averageBytes, maxBytes} = store.cutting;
  const gear = Array.from({length: 256}, (_, index) =>
    createHash('sha256')
      .update(Buffer.from([index]))
      .digest()
      .readBigUInt64LE(0),
  );
  t.deepEqual(
    Array.from({length: 256}, (_, index) => table.readBigUInt64LE(index * 8)),
    gear,
  );
  t.deepEqual([minBytes, averageBytes, maxBytes], [256 * KiB, 1024 * KiB, 4096 * KiB]);
  // These never change: content that was cut otherwise would be kept twice.
  t.deepEqual(
    new Cutter(store.cutting).cuts(noise(8192 * KiB, 'fixed')),
    [343_739, 1_591_984, 2_776_951, 3_896_083, 5_114_477, 6_317_439, 7_536_702],
  );
});
