import {CoracleError} from '../../errors.js';
import {type InRuntime, Runtime, replaceVolume, Volume} from '../../sdk/index.js';
import type {Progress} from '../progress.js';
import {findPart, findReadable, shortId} from './find-snapshot.js';
import {type InRepository, withRepository} from './open-repository.js';

export interface RestoreSnapshotOptions extends InRepository {
  /** An id, the beginning of one, or `latest`: of those that have the part. @default 'latest' */
  readonly snapshot?: string | undefined;
  /** Which volume of the snapshot it becomes. @default the one of the same name, or the only one */
  readonly part?: string | undefined;
  /** Only snapshots that this host made are the latest. @default of any */
  readonly host?: string | undefined;
  /** Takes the place of what the volume has; that stays until all has been restored. @default false */
  readonly replace?: boolean | undefined;
  /** Only these, relative to the volume's root, with all that is below them: into a new or an empty volume. @default all */
  readonly paths?: readonly string[] | undefined;
  /** Of a volume that is made by this. @default {} */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Says what would be restored, and where. @default false */
  readonly dryRun?: boolean | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Ends it; the volume is as it was then. */
  readonly signal?: AbortSignal | undefined;
}

export interface RestoredVolume {
  readonly volume: string;
  /** Id. */
  readonly snapshot: string;
  /** RFC 3339, UTC: of the moment that it shows. */
  readonly time: string;
  readonly part: string;
  /** That were restored; with `dryRun` all that the snapshot has. */
  readonly entries: number;
  readonly bytes: number;
  /** The volume was there, and had content. */
  readonly replaced: boolean;
  readonly dryRun: boolean;
  readonly warnings: readonly string[];
}

/**
 * Brings a volume back from a snapshot, its root directory's owner and mode included: a new volume, an empty one, or with
 * `replace` in place of what there is, all at once or not at all.
 * @throws `ERR_SNAPSHOT_NOT_FOUND`, `ERR_REPOSITORY_DAMAGED`, `ERR_VOLUME_NOT_EMPTY`, `ERR_VOLUME_IN_USE` while a container runs that has it,
 * `ERR_UNSUPPORTED_OPTION` for single paths over what there is and for volumes that are file systems
 */
export async function restore(
  volume: string,
  options: RestoreSnapshotOptions,
  in_: InRuntime = {},
): Promise<RestoredVolume> {
  const runtime = in_.runtime ?? (await Runtime.default());
  const {replace = false, paths, labels = {}, dryRun = false, onProgress, signal} = options;
  return await withRepository(options, runtime, async repository => {
    const snapshots = await repository.snapshots();
    const {snapshot, warnings} = await findReadable(repository, snapshots, {
      ...options,
      part: options.part ?? wantedPart(snapshots, volume),
    });
    const ofSameName = snapshot.parts.some(({name}) => name === volume);
    const part = findPart(snapshot, options.part ?? (ofSameName ? volume : undefined));
    if (part.kind === 'dump')
      throw new CoracleError(
        'ERR_UNSUPPORTED_OPTION',
        `${part.name} of snapshot ${shortId(snapshot.id)} is a dump, and no volume`,
        {hint: 'It is fed to the command that reads it: see "Dumps" in docs/backup.md.'},
      );
    const replaced = (await volumeAsItIs(runtime, volume)) === 'full';
    if (replaced && paths !== undefined)
      throw new CoracleError(
        'ERR_UNSUPPORTED_OPTION',
        `single paths are restored into a new or an empty volume, and ${volume} has content`,
        {hint: 'Restore them into a new volume, and copy from there.', details: {volume}},
      );
    const what = {volume, snapshot: snapshot.id, time: snapshot.time, part: part.name, replaced, dryRun};
    if (dryRun) {
      if (replaced && !replace) throw notEmpty(volume);
      return {...what, entries: part.entries, bytes: part.bytes, warnings};
    }
    let restored = {entries: 0, bytes: 0, warnings: [] as readonly string[]};
    await replaceVolume(runtime, volume, {force: replace, labels}, async (directory, reach) => {
      const tell = (progress: Progress) => {
        reach(progress.bytes);
        onProgress?.(progress);
      };
      restored = await repository.restore(snapshot, part.name, directory, {paths, onProgress: tell, signal});
      signal?.throwIfAborted();
    });
    return {...what, ...restored, warnings: [...warnings, ...restored.warnings]};
  });
}

/** What the latest snapshot has to have: of a repository with several volumes the one of the same name. */
function wantedPart(
  snapshots: readonly {readonly parts: readonly {readonly name: string}[]}[],
  volume: string,
): string | undefined {
  return snapshots.some(({parts}) => parts.some(({name}) => name === volume)) ? volume : undefined;
}

async function volumeAsItIs(runtime: Runtime, name: string): Promise<'absent' | 'empty' | 'full'> {
  const found = (await Volume.list({runtime})).some(volume => volume.name === name);
  if (!found) return 'absent';
  return runtime.store.volumes.isEmpty(name) ? 'empty' : 'full';
}

function notEmpty(name: string): CoracleError {
  return new CoracleError('ERR_VOLUME_NOT_EMPTY', `restore ${name}: the volume is not empty`, {
    hint: 'With replace (--replace) what it has is replaced.',
    details: {name},
  });
}
