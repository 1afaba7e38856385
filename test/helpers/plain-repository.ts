import {execFileSync} from 'node:child_process';
import {createHash, randomBytes} from 'node:crypto';
import {mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {type Runtime, Volume} from '../../src/index.js';
import type {Repository, Snapshot, SnapshotResult, VerifyProblem} from '../../src/sidecar/repository.js';
import {treeFacts} from './volume-corpus.js';

/**
 * The least that is a repository: a directory with a copy of each volume, for tests of what is built on any kind. It believes
 * what it has; a test damages it by changing a file.
 */
export function plainRepository(directory: string, runtime: Runtime): Repository {
  mkdirSync(directory, {recursive: true});
  const place = (id: string, ...rest: string[]) => join(directory, id, ...rest);
  const read = (name: string) => JSON.parse(readFileSync(join(directory, name), 'utf8')) as unknown;
  const named = (suffix: string) => readdirSync(directory).filter(name => name.endsWith(suffix));
  const snapshots = async () =>
    named('.snapshot')
      .map(name => read(name) as Snapshot)
      .sort((a, b) => Date.parse(a.time) - Date.parse(b.time));
  const digestOf = async (path: string) =>
    createHash('sha256')
      .update(JSON.stringify(treeFacts(path)))
      .digest('hex');
  const copy = (from: string, to: string) => execFileSync('cp', ['-a', '--sparse=auto', `${from}/.`, to]);
  const sizeOf = (path: string) => {
    const files = readdirSync(path, {recursive: true, withFileTypes: true});
    const bytes = files
      .filter(each => each.isFile())
      .reduce((sum, each) => sum + readFileSync(join(each.parentPath, each.name)).length, 0);
    return {entries: files.length + 1, bytes};
  };
  return {
    kind: 'layout',
    url: directory,
    snapshots,
    backup: async (sources, {facts, released, onProgress, signal}) => {
      const id = randomBytes(32).toString('hex');
      mkdirSync(place(id));
      const parts: Snapshot['parts'][number][] = [];
      for (const source of sources) {
        signal?.throwIfAborted();
        if (source.kind === 'dump') {
          const chunks: Uint8Array[] = [];
          for await (const chunk of source.open(signal)) chunks.push(chunk);
          const bytes = Buffer.concat(chunks);
          writeFileSync(place(id, source.name), bytes);
          const digest = createHash('sha256').update(bytes).digest('hex');
          parts.push({kind: 'dump', name: source.name, entries: 1, bytes: bytes.length, digest});
          continue;
        }
        const {mountpoint} = await Volume.get(source.volume, {runtime});
        mkdirSync(place(id, source.name));
        copy(mountpoint, place(id, source.name));
        const size = sizeOf(place(id, source.name));
        onProgress?.({phase: 'copy', bytes: size.bytes, totalBytes: size.bytes});
        parts.push({
          kind: 'volume',
          name: source.name,
          ...size,
          digest: await digestOf(place(id, source.name)),
        });
      }
      await released();
      const snapshot: Snapshot = {...facts(), id, parts, addedBytes: 0};
      writeFileSync(join(directory, `${id}.snapshot`), JSON.stringify(snapshot));
      return {snapshot, warnings: []};
    },
    restore: async ({id}, part, to, {paths} = {}) => {
      if (paths === undefined) copy(place(id, part), to);
      else
        for (const path of paths) execFileSync('cp', ['-a', '--parents', path, to], {cwd: place(id, part)});
      return {...sizeOf(to), warnings: []};
    },
    openDump: async function* ({id}, part) {
      yield readFileSync(place(id, part));
    },
    digestOf,
    verify: async ({snapshots: wanted} = {}) => {
      const problems: VerifyProblem[] = [];
      const concerned = (await snapshots()).filter(({id}) => wanted === undefined || wanted.includes(id));
      for (const {id, parts} of concerned)
        for (const {kind, name, digest} of parts)
          if (kind === 'volume' && (await digestOf(place(id, name))) !== digest)
            problems.push({subject: `${id}/${name}`, what: 'is not what was written', snapshots: [id]});
      return {snapshots: concerned.length, read: concerned.length, readBytes: 0, problems};
    },
    forget: async ids => {
      for (const id of ids) rmSync(join(directory, `${id}.snapshot`));
    },
    prune: async () => {
      const kept = new Set((await snapshots()).map(({id}) => id));
      const unneeded = readdirSync(directory).filter(name => !name.includes('.') && !kept.has(name));
      const freedBytes = unneeded.reduce((sum, id) => sum + sizeOf(place(id)).bytes, 0);
      for (const id of unneeded) rmSync(place(id), {recursive: true});
      return {freedBytes};
    },
    record: async (result: SnapshotResult) =>
      writeFileSync(join(directory, `${randomBytes(4).toString('hex')}.result`), JSON.stringify(result)),
    results: async () => named('.result').map(name => read(name) as SnapshotResult),
    [Symbol.asyncDispose]: async () => {},
  };
}
