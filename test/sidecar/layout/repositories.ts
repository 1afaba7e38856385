/** Repositories to be tried, and content for them. */
import {createCipheriv, createHash, createHmac} from 'node:crypto';
import {existsSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {ChunkStore, ChunkWriter, OpenOptions} from '../../../src/sidecar/layout/chunk-store.js';
import {openChunkStore, openShelf} from '../../../src/sidecar/layout/open-chunk-store.js';
import {writeRepository} from '../../../src/sidecar/layout/repository-artifact.js';
import {newMasterKey, newRepository, withKey} from '../../../src/sidecar/layout/repository-document.js';
import type {Snapshot} from '../../../src/sidecar/repository.js';

export const KiB = 1024;

/** A directory in memory, where there is one: what waits for a disk that others use as well says nothing. Removed with its scope. */
export class Folder implements Disposable {
  readonly path = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'coracle-repository-'));

  [Symbol.dispose](): void {
    rmSync(this.path, {recursive: true, force: true});
  }
}

/** The same bytes for the same seed, which nothing compresses. */
export function noise(bytes: number, seed: string): Buffer {
  const key = createHash('sha256').update(seed).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(bytes));
}

export function idOf({cutting: {idKey}}: ChunkStore, bytes: Buffer): Buffer {
  return (idKey === undefined ? createHash('sha256') : createHmac('sha256', idKey)).update(bytes).digest();
}

/** What a reader of volumes does, without volumes: chunks, and a tree that names them. */
export async function backUp(
  store: ChunkStore,
  chunks: readonly Buffer[],
  facts: Partial<Snapshot> = {},
): Promise<Snapshot> {
  await using writer = await store.begin();
  return await writeSnapshot(store, writer, chunks, facts);
}

export async function writeSnapshot(
  store: ChunkStore,
  writer: ChunkWriter,
  chunks: readonly Buffer[],
  facts: Partial<Snapshot> = {},
): Promise<Snapshot> {
  const ids: Buffer[] = [];
  for (const chunk of chunks) {
    const id = idOf(store, chunk);
    if (!writer.has(id)) await writer.add(id, chunk);
    ids.push(id);
  }
  const tree = Buffer.concat([Buffer.from('tree'), ...ids]);
  await writer.add(idOf(store, tree), tree);
  const snapshot = {
    time: '2026-11-29T12:00:00.000Z',
    host: 'here',
    tags: [],
    consistency: 'none' as const,
    paused: [],
    pausedMs: 0,
    applications: [],
    parts: [{kind: 'volume' as const, name: 'data', entries: chunks.length, bytes: 0}],
    ...facts,
  };
  return await writer.finish(snapshot, new Map([['data', [idOf(store, tree)]]]));
}

/** What `backUp` was given, read again. */
export async function restore(store: ChunkStore, snapshot: Snapshot): Promise<Buffer[]> {
  await using reader = await store.reader();
  const parts = await reader.tree(snapshot, 'data');
  const tree = Buffer.concat(await Promise.all(parts.map(id => reader.get(id))));
  const chunks: Buffer[] = [];
  for (let at = 4; at < tree.length; at += 32) chunks.push(await reader.get(tree.subarray(at, at + 32)));
  return chunks;
}

export const SECRET = 'correct horse battery staple';
export const keyed: OpenOptions = {key: {secret: SECRET}};

/** Made if there is none; with a key that is stretched little, for the sake of time. */
export async function open(path: string, options: OpenOptions = {}): Promise<ChunkStore> {
  const {create = true, key, runtime} = options;
  if (create && key !== undefined) {
    await using shelf = await openShelf(path, {create, runtime});
    if ((await shelf.others()).length > 0) return await openChunkStore(path, options);
    const {document} = await withKey(newRepository(), {
      master: newMasterKey(),
      secret: Buffer.from(SECRET),
      note: '',
      time: '2026-11-29T12:00:00.000Z',
      strength: {cost: 16, blockSize: 1, parallelization: 1},
    });
    await writeRepository(shelf, document);
  }
  return await openChunkStore(path, {create: true, ...options});
}

/** `deepEqual` takes minutes for megabytes. */
export function same(a: readonly Buffer[], b: readonly Buffer[]): boolean {
  return a.length === b.length && a.every((chunk, index) => chunk.equals(b[index]!));
}
