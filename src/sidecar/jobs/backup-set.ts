import {resolve} from 'node:path';
import {CoracleError} from '../../errors.js';
import {type InRuntime, Runtime, tryExclusive} from '../../sdk/index.js';
import {type DumpSidecar, dumpSource} from '../dump.js';
import type {Progress} from '../progress.js';
import {type QuietOptions, type VolumeSet, volumesOfSet, withQuiet} from '../quiesce/index.js';
import {applicationsOf} from '../quiesce/users.js';
import type {DumpSource, Repository, Snapshot} from '../repository.js';
import {type CheckOptions, planCheck} from './check-application.js';
import {type DrillReport, drillSnapshot} from './drill.js';
import {type InRepository, kindOf, withRepository} from './open-repository.js';

/** What is saved under one snapshot: volumes, and what dumps print. */
export interface BackupSet extends VolumeSet {
  readonly dumps?: readonly (DumpSource | NamedDump)[] | undefined;
}

/** What a command in a sidecar prints: `{name: 'app.sql', container: 'db', image: 'postgres:15', command: 'pg_dump …'}`. */
export interface NamedDump extends DumpSidecar {
  readonly name: string;
}

export interface BackupSetOptions extends Omit<InRepository, 'signal'>, QuietOptions {
  /** @default [] */
  readonly tags?: readonly string[] | undefined;
  /** Which host the snapshot says it is of. @default this one's name */
  readonly host?: string | undefined;
  /** The backup is done once this was passed. @default no drill */
  readonly drill?: CheckOptions | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

export interface SavedSet {
  readonly snapshot: Snapshot;
  /** What could not be kept or was not as asked, one line each: sockets, files that changed, a fallback. */
  readonly warnings: readonly string[];
  /** With `drill`. A snapshot that did not pass is kept, with that result beside it. */
  readonly drill?: DrillReport;
  readonly durationMs: number;
}

/**
 * Saves volumes and dumps as one snapshot, of one moment. A repository that is not there yet is made. Containers that write to
 * the volumes are held still as `consistency` says, and go on as soon as everything has been read.
 * @throws `ERR_BACKUP_RUNNING` while the same is being saved to the same repository, `ERR_VOLUME_NOT_FOUND`,
 * `ERR_CONTAINER_NOT_FOUND`, and as `openRepository`
 */
export async function backup(
  set: BackupSet,
  options: BackupSetOptions,
  in_: InRuntime = {},
): Promise<SavedSet> {
  const runtime = in_.runtime ?? (await Runtime.default());
  const {dumps: asked = [], ...volumeSet} = set;
  const dumps = asked.map(dump => ('open' in dump ? dump : dumpSource(dump.name, dump, {runtime})));
  const from = performance.now();
  options.signal?.throwIfAborted();
  const wantsVolumes = [set.volumes, set.volumesFrom, set.labels].some(list => (list ?? []).length > 0);
  const volumes = wantsVolumes || dumps.length === 0 ? await volumesOfSet(volumeSet, {runtime}) : [];
  const names = [...volumes, ...dumps.map(({name}) => name)];
  if (new Set(names).size < names.length)
    throw new CoracleError('ERR_INVALID_OPTION', `two parts have one name: ${names.join(', ')}`);
  const {repository} = options;
  const named = typeof repository === 'string' ? repository : repository.url;
  const url = kindOf(named) === 'layout' ? resolve(named) : named;
  using running = tryExclusive(runtime, `backup ${url} ${[...names].sort().join(' ')}`);
  if (running === undefined)
    throw new CoracleError(
      'ERR_BACKUP_RUNNING',
      `${names.join(', ')}: a backup to ${url} is running already`,
      {
        details: {repository: url, parts: names},
      },
    );
  // A drill that cannot be held is told of before anything is saved.
  const parts = volumes.map(name => ({kind: 'volume', name}) as const);
  if (options.drill)
    await planCheck({applications: applicationsOf(runtime, volumes), parts}, options.drill, runtime);
  const toRead = options.consistency === 'snapshot' ? [] : volumes; // else copies are read
  return await withRepository({create: true, ...options, toRead}, runtime, async opened => {
    const {snapshot, warnings} = await save(opened, {volumes, dumps}, options, runtime);
    const drill =
      options.drill && (await drillSnapshot(opened, snapshot, {...options, ...options.drill}, runtime));
    return {snapshot, warnings, ...(drill && {drill}), durationMs: Math.round(performance.now() - from)};
  });
}

async function save(
  repository: Repository,
  {volumes, dumps}: {readonly volumes: readonly string[]; readonly dumps: readonly DumpSource[]},
  options: BackupSetOptions,
  runtime: Runtime,
) {
  const {tags = [], host = runtime.facts.hostname, onProgress, signal} = options;
  return await withQuiet(runtime, volumes, options, async quiet => {
    const saved = await repository.backup([...quiet.sources, ...dumps], {
      facts: () => {
        const facts = quiet.facts({host, tags});
        return volumes.length === 0 ? {...facts, consistency: 'dump'} : facts;
      },
      released: quiet.released,
      onProgress,
      signal,
    });
    return {snapshot: saved.snapshot, warnings: [...quiet.warnings, ...saved.warnings]};
  });
}
