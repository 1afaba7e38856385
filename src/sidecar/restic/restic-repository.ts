import {createHash, randomBytes} from 'node:crypto';
import {existsSync} from 'node:fs';
import {mkdir} from 'node:fs/promises';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {CoracleError} from '../../errors.js';
import type {Limits, NetworkMode, Runtime} from '../../sdk/index.js';
import {expectVolumes} from '../expect-volumes.js';
import type {KeySource} from '../layout/chunk-store.js';
import {hashed} from '../progress.js';
import type {
  BackupWork,
  DumpSource,
  Repository,
  Restored,
  RestoreWork,
  SavedSnapshot,
  Snapshot,
  SnapshotPart,
  SnapshotResult,
  Source,
  UnreadableSnapshot,
  VerifyReport,
  VerifyWork,
  VolumeSource,
  WorkOptions,
} from '../repository.js';
import {FIND_SOCKETS, lostOf, Summary, socketsOf, unreadableIn} from './backup-output.js';
import {countTree} from './count-tree.js';
import {EntryCounter} from './counting.js';
import {
  type Backup,
  type BackupDocument,
  backupsOf,
  DOCUMENT_PATH,
  dataOf,
  encodeDocument,
  leftoversOf,
  pathOf,
  RESULT_TAG,
  type ResticSnapshot,
  resultsOf,
  setTag,
} from './documents.js';
import {noRepository} from './failures.js';
import {parseResticUrl} from './location.js';
import {hasLiveLock} from './locks.js';
import {bytesIn, escapePattern} from './notation.js';
import {passwordOf} from './password.js';
import {type ResticPlace, type ResticResult, type ResticRun, runRestic, streamRestic} from './sidecar.js';
import {verifyRestic} from './verify.js';

export interface OpenResticOptions extends WorkOptions {
  /** Makes the repository if there is none. @default false */
  readonly create?: boolean | undefined;
  /** The password. @default RESTIC_PASSWORD, RESTIC_PASSWORD_FILE or RESTIC_PASSWORD_COMMAND of this process */
  readonly key?: KeySource | undefined;
  /** Of the sidecar, for a repository that is not on this host. @default 'bridge' */
  readonly network?: NetworkMode | undefined;
  /** Of the sidecar. @default 64 processes */
  readonly limits?: Limits | undefined;
  /** How long to wait for whoever works on the repository alone, as `prune` does. @default 600 000 */
  readonly busyTimeoutMs?: number | undefined;
}

/**
 * A repository of restic's, worked on by the real restic in sidecar containers: its own tools keep working on it.
 * @param url `restic:` and what `restic --repo` takes
 * @throws `ERR_REPOSITORY_NOT_FOUND`, `ERR_REPOSITORY_KEY`, `ERR_REPOSITORY_UNREACHABLE`, `ERR_BINARY_NOT_FOUND` (package
 * restic), `ERR_INVALID_OPTION`
 */
export async function openRestic(
  url: string,
  {create = false, key, network = 'bridge', limits, busyTimeoutMs = 600_000, signal}: OpenResticOptions,
  runtime: Runtime,
): Promise<Repository> {
  const location = parseResticUrl(url);
  const place: ResticPlace = {runtime, location, password: await passwordOf(key, signal), network, limits};
  const {directory} = location;
  const isThere = directory === undefined || existsSync(join(directory, 'config'));
  if (create && directory !== undefined) await mkdir(directory, {recursive: true, mode: 0o700});
  try {
    if (!isThere) throw noRepository(location.url);
    await runRestic(place, {what: `opening ${location.url}`, arguments: ['cat', 'config'], signal});
  } catch (error) {
    if (!create || (error as CoracleError).code !== 'ERR_REPOSITORY_NOT_FOUND') throw error;
    await runRestic(place, {what: `making ${location.url}`, arguments: ['init'], signal});
  }
  return new ResticRepository(place, busyTimeoutMs);
}

class ResticRepository implements Repository {
  readonly kind = 'restic';
  readonly url: string;
  readonly #place: ResticPlace;
  readonly #busyTimeoutMs: number;
  #unreadable: readonly UnreadableSnapshot[] | undefined;

  constructor(place: ResticPlace, busyTimeoutMs: number) {
    this.#place = place;
    this.#busyTimeoutMs = busyTimeoutMs;
    this.url = place.location.url;
  }

  async snapshots(): Promise<readonly Snapshot[]> {
    return backupsOf(await this.#list()).map(({snapshot}) => snapshot);
  }

  /** As of the last list: each call of restic's takes a while. */
  async unreadable(): Promise<readonly UnreadableSnapshot[]> {
    if (this.#unreadable === undefined) await this.#list();
    return this.#unreadable ?? [];
  }

  async #list(signal?: AbortSignal): Promise<ResticSnapshot[]> {
    const {stdout, stderr} = await this.#run({
      what: `listing ${this.url}`,
      arguments: ['snapshots', '--json', '--no-lock'],
      signal,
    });
    this.#unreadable = unreadableIn(stderr);
    return (JSON.parse(stdout) as ResticSnapshot[] | null) ?? [];
  }

  /** Waits for those who work on it alone, and takes away the locks that dead sidecars of this store left. */
  async #run(run: ResticRun): Promise<ResticResult> {
    const deadline = performance.now() + this.#busyTimeoutMs;
    for (;;) {
      try {
        return await runRestic(this.#place, run);
      } catch (error) {
        if ((error as CoracleError).code !== 'ERR_REPOSITORY_BUSY' || run.stdin !== undefined) throw error;
        if (!(await hasLiveLock(this.#place, run.signal))) {
          await runRestic(this.#place, {
            what: 'unlocking',
            arguments: ['unlock', '--remove-all'],
            signal: run.signal,
          });
          continue;
        }
        if (performance.now() > deadline) throw error;
        await sleep(BUSY_PAUSE_MS, undefined, run.signal && {signal: run.signal});
      }
    }
  }

  async backup(sources: readonly Source[], work: BackupWork): Promise<SavedSnapshot> {
    const set = randomBytes(8).toString('hex');
    const volumes = sources.filter(source => source.kind === 'volume');
    // The sidecar would make one that is not there.
    for (const {volume} of volumes) this.#place.runtime.store.volumes.get(volume);
    const dumps = sources.filter(source => source.kind === 'dump');
    const saved: Saved[] = [];
    if (volumes.length > 0) saved.push(await this.#saveVolumes(set, volumes, work));
    await work.released();
    for (const dump of dumps) saved.push(await this.#saveDump(set, dump, work));
    const document: BackupDocument = {
      ...work.facts(),
      parts: saved.flatMap(({parts}) => parts),
      addedBytes: saved.reduce((sum, {addedBytes}) => sum + addedBytes, 0),
    };
    await this.#saveDocument(document, setTag(set), work);
    const {id, parent} = saved.find(each => each.id !== undefined) ?? (await this.#mainOf(set, work.signal));
    return {
      snapshot: {id: id!, ...(parent !== undefined && {parent}), ...document},
      warnings: saved.flatMap(({warnings}) => warnings),
    };
  }

  async #mainOf(set: string, signal: AbortSignal | undefined): Promise<Pick<Snapshot, 'id' | 'parent'>> {
    const backups = backupsOf(await this.#list(signal));
    const made = backups.find(({document: {tags}}) => tags?.includes(setTag(set)));
    if (made !== undefined) return made.snapshot;
    throw new CoracleError(
      'ERR_REPOSITORY_DAMAGED',
      `${this.url}: the snapshot that was just made is not there`,
      {
        hint: 'Somebody forgot it at once, or the target does not keep what it takes.',
      },
    );
  }

  async #saveVolumes(set: string, volumes: readonly VolumeSource[], work: BackupWork): Promise<Saved> {
    const names = volumes.map(({name}) => name);
    const what = `backup of ${names.join(', ')}`;
    const warnings: string[] = [];
    let summary = new Summary(work);
    const run = (options: readonly string[]): ResticRun => ({
      what,
      arguments: [
        ...['backup', '--json', ...options, ...labels(set, work)],
        ...names.map(name => `/volumes/${name}`),
      ],
      mounts: volumes.map(({name, volume}) => ({
        type: 'volume',
        name: volume,
        target: `/volumes/${name}`,
        readOnly: true,
        nocopy: true,
      })),
      before: FIND_SOCKETS,
      capabilities: ['DAC_READ_SEARCH'],
      accept: {code: INCOMPLETE},
      signal: work.signal,
      onLine: line => summary.add(line),
    });
    const {code, stderr} = await this.#run(run([])).catch(async error => {
      const [bad] = unreadableIn(String((error as Partial<CoracleError>).details?.['stderr'] ?? ''));
      if (bad === undefined) throw error;
      warnings.push(`the snapshot ${bad.id} cannot be read, so everything was read again: ${bad.what}`);
      summary = new Summary(work);
      return await this.#run(run(['--force']));
    });
    expectVolumes(
      this.#place.runtime,
      volumes.map(({volume}) => volume),
    );
    await work.released();
    const {id, addedBytes} = summary.made(what);
    const lost = lostOf(summary.errors, stderr);
    if (code === INCOMPLETE && !lost.every(line => /no such file or directory/.test(line))) {
      throw new CoracleError('ERR_SIDECAR_FAILED', `${what}: ${lost.slice(0, 3).join('; ')}`, {
        details: {lost},
      });
    }
    const counter = new EntryCounter(names);
    await this.#run({
      what,
      arguments: ['ls', '--json', '--no-lock', id],
      signal: work.signal,
      onLine: counter.add,
    });
    return {
      ...counter.snapshot,
      parts: counter.parts,
      addedBytes,
      warnings: [...warnings, ...lost, ...socketsOf(stderr)],
    };
  }

  async #saveDump(set: string, dump: DumpSource, work: BackupWork): Promise<Saved> {
    const what = `dump ${dump.name}`;
    const hash = createHash('sha256');
    let bytes = 0;
    async function* counted() {
      for await (const chunk of hashed(dump.open(work.signal), hash)) {
        bytes += chunk.length;
        work.onProgress?.({phase: 'copy', bytes, totalBytes: undefined});
        yield chunk;
      }
    }
    const summary = new Summary({});
    await this.#run({
      what,
      arguments: ['backup', '--json', ...labels(set, work), '--stdin', '--stdin-filename', pathOf(dump)],
      stdin: counted(),
      signal: work.signal,
      onLine: summary.add,
    });
    const part: SnapshotPart = {kind: 'dump', name: dump.name, entries: 1, bytes, digest: hash.digest('hex')};
    return {parts: [part], addedBytes: summary.made(what).addedBytes, warnings: []};
  }

  async #saveDocument(
    document: BackupDocument | SnapshotResult,
    tag: string,
    {signal}: WorkOptions,
    host?: string,
  ): Promise<void> {
    const name = 'host' in document ? document.host : host;
    await this.#run({
      what: `writing to ${this.url}`,
      arguments: [
        ...['backup', '--json', '--tag', tag, '--exclude', encodeDocument(document)],
        ...(name === undefined ? [] : ['--host', name]),
        ...['--stdin', '--stdin-filename', DOCUMENT_PATH],
      ],
      stdin: one(Buffer.from(`${JSON.stringify(document, null, 2)}\n`)),
      signal,
    });
  }

  async #backup({id}: Pick<Snapshot, 'id'>, signal?: AbortSignal): Promise<Backup> {
    const found = backupsOf(await this.#list(signal)).find(({snapshot}) => snapshot.id === id);
    if (found !== undefined) return found;
    throw new CoracleError('ERR_SNAPSHOT_NOT_FOUND', `${this.url} has no snapshot ${id}`, {
      hint: 'coracle snapshots lists them.',
      details: {url: this.url, id},
    });
  }

  async restore(
    snapshot: Snapshot,
    part: string,
    directory: string,
    {paths, signal, onProgress}: RestoreWork = {},
  ): Promise<Restored> {
    const backup = await this.#backup(snapshot, signal);
    const root = `/volumes/${part}`;
    const data = dataOf(backup, {kind: 'volume', name: part});
    const what = `restore of ${part}`;
    const includes = (paths ?? ['']).map(path => root + (path === '' ? '' : `/${escapePattern(path)}`));
    const help = await this.#run({what, arguments: ['restore', '--help'], signal});
    const keepsHoles = help.stdout.includes('--sparse');
    const options = ['--target', '/', ...(keepsHoles ? ['--sparse'] : [])];
    await this.#run({
      what,
      arguments: ['restore', data.id, ...options, ...includes.flatMap(path => ['--include', path])],
      mounts: [
        {type: 'tmpfs', target: '/volumes'}, // it gives times to what is above the volume, too
        {type: 'bind', source: directory, target: root},
      ],
      isRestore: true,
      capabilities: RESTORE_CAPABILITIES,
      signal,
    });
    const counted = await countTree(directory, signal);
    onProgress?.({phase: 'copy', bytes: counted.bytes, totalBytes: counted.bytes});
    return {
      ...counted,
      warnings: keepsHoles ? [] : ['holes of files are filled: this restic is older than 0.15'],
    };
  }

  async *openDump(
    snapshot: Snapshot,
    part: string,
    {signal}: WorkOptions = {},
  ): AsyncGenerator<Uint8Array, void, void> {
    const backup = await this.#backup(snapshot, signal);
    const name = {kind: 'dump', name: part} as const;
    const hash = createHash('sha256');
    const run = {
      what: `dump ${part}`,
      arguments: ['dump', dataOf(backup, name).id, pathOf(name)],
      signal,
    };
    yield* hashed(streamRestic(this.#place, run), hash);
    const expected = backup.snapshot.parts.find(({kind, name}) => kind === 'dump' && name === part)?.digest;
    if (hash.digest('hex') === expected) return;
    throw new CoracleError('ERR_REPOSITORY_DAMAGED', `${this.url}: the dump ${part} is not what was saved`);
  }

  async verify(work: VerifyWork = {}): Promise<VerifyReport> {
    const listed = await this.#list(work.signal);
    return verifyRestic(run => this.#run(run), {
      url: this.url,
      backups: backupsOf(listed),
      done: resultsOf(listed).filter(({result}) => result.kind === 'verify').length,
      work,
    });
  }

  async forget(ids: readonly string[], {signal}: WorkOptions = {}): Promise<void> {
    const listed = await this.#list(signal);
    const backups = backupsOf(listed).filter(({snapshot}) => ids.includes(snapshot.id));
    const bad = (await this.unreadable()).find(({id}) => ids.includes(id));
    if (bad !== undefined)
      throw new CoracleError(
        'ERR_REPOSITORY_DAMAGED',
        `restic does not forget the snapshot ${bad.id}: ${bad.what}`,
        {
          hint: `Remove the file of the repository's snapshots/ whose name begins with ${bad.id}, and prune.`,
          details: {snapshot: bad.id},
        },
      );
    const missing = ids.filter(id => !backups.some(({snapshot}) => snapshot.id === id));
    if (missing.length > 0) await this.#backup({id: missing[0]!}, signal);
    // The document goes with its data, and first: what is left of a forgetting that was cut off is no backup.
    const documents = backups.map(({document}) => document.id);
    const others = [
      ...backups.flatMap(({data}) => data.map(({id}) => id)),
      ...resultsOf(listed).flatMap(({result, document}) =>
        ids.includes(result.snapshot) ? [document.id] : [],
      ),
    ];
    for (const group of [documents, others]) await this.#forget(group, signal);
  }

  async #forget(ids: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    if (ids.length === 0) return;
    await this.#run({what: `forgetting in ${this.url}`, arguments: ['forget', ...ids], signal});
  }

  async prune({signal}: WorkOptions = {}): Promise<{readonly freedBytes: number}> {
    const left = leftoversOf(await this.#list(signal), Date.now());
    await this.#forget(
      left.map(({id}) => id),
      signal,
    );
    const {stdout} = await this.#run({what: `pruning ${this.url}`, arguments: ['prune'], signal});
    return {freedBytes: bytesIn(/^total prune:\s+\d+ blobs \/ (.+)$/m.exec(stdout)?.[1] ?? '0 B')};
  }

  async record(result: SnapshotResult): Promise<void> {
    const {snapshot} = await this.#backup({id: result.snapshot});
    await this.#saveDocument(result, RESULT_TAG, {}, snapshot.host);
  }

  async results(): Promise<readonly SnapshotResult[]> {
    return resultsOf(await this.#list()).map(({result}) => result);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

interface Saved {
  /** The whole of it, where restic has said so. */
  readonly id?: string;
  readonly parent?: string;
  readonly parts: readonly SnapshotPart[];
  readonly addedBytes: number;
  readonly warnings: readonly string[];
}

/** "restic backup": some of it could not be read. */
const INCOMPLETE = 3;
const BUSY_PAUSE_MS = 2000;
const RESTORE_CAPABILITIES = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'MKNOD', 'SETFCAP'];

function labels(set: string, work: BackupWork): string[] {
  const {host, tags} = work.facts();
  return ['--host', host, ...[setTag(set), ...tags].flatMap(tag => ['--tag', tag])];
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
