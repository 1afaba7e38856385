import {createHash} from 'node:crypto';
import {resolve} from 'node:path';
import {CoracleError} from '../errors.js';
import {
  checkArchive,
  type InRuntime,
  type Limits,
  plainArchive,
  type ReplaceVolumeOptions,
  Runtime,
  replaceVolume,
} from '../sdk/index.js';
import {expectDone, LISTED, PLACE, readListing, runArchiver, WHOLE} from './archiver.js';
import {LeadingDirectory} from './leading-directory.js';
import {counted, hashed, type Progress} from './progress.js';
import {feed} from './sidecar-streams.js';

export interface RestoreOptions extends ReplaceVolumeOptions {
  /**
   * The directory of the archive that becomes the volume's root: `data` of one that `tar czf backup.tar.gz /data` made. Other
   * entries are left out. '' = the archive's own root. @default the one that comes first and has all the others in it
   */
  readonly directory?: string;
  /** Of the sidecar. @default 16 processes */
  readonly limits?: Limits | undefined;
  readonly onProgress?: (progress: Progress) => void;
  /** Ends it; the volume is as it was then. */
  readonly signal?: AbortSignal;
}

export interface RestoreResult {
  readonly volume: string;
  /** Absolute. */
  readonly file: string;
  /** Of the archive, which became the volume's root; '' = its own. */
  readonly directory: string;
  readonly entries: number;
  /** Of the plain archive. */
  readonly bytes: number;
  readonly sha256: string;
  readonly warnings: readonly string[];
}

/**
 * Brings back what `backupVolume` saved, or another tar archive, plain or compressed by gzip or zstd, such as those of
 * `docker run --volumes-from app … tar czf backup.tar.gz /data`: into a new volume, an empty one, or with `force` in place of what there is. The archive is read first and checked as a whole; a sidecar container
 * unpacks it beside the volume, and all of it takes the volume's place at once.
 * @throws `ERR_INVALID_ARCHIVE`, `ERR_FILE_NOT_FOUND`, `ERR_VOLUME_NOT_EMPTY`, `ERR_VOLUME_IN_USE`, `ERR_SIDECAR_FAILED`,
 * `ERR_BINARY_NOT_FOUND` (package tar)
 */
export async function restoreVolume(
  name: string,
  file: string,
  {onProgress, signal, limits, directory: wanted, ...options}: RestoreOptions = {},
  in_: InRuntime = {},
): Promise<RestoreResult> {
  const runtime = in_.runtime ?? (await Runtime.default());
  const path = resolve(file);
  signal?.throwIfAborted();
  const digest = createHash('sha256');
  let bytes = 0;
  const checking = counted(hashed(plainArchive(path), digest), count => {
    bytes = count;
    onProgress?.({phase: 'check', bytes, totalBytes: undefined});
  });
  const leading = new LeadingDirectory(wanted);
  await checkArchive(checking, entry => leading.see(entry));
  const sha256 = digest.digest('hex');
  const {directory, entries, members} = leading.found(path);
  let warnings: readonly string[] = [];
  await replaceVolume(runtime, name, options, async (target, reach) => {
    const tell = (count: number) => {
      reach(count);
      onProgress?.({phase: 'copy', bytes: count, totalBytes: bytes});
    };
    const done = await unpack({runtime, path, target, members, limits, tell, signal});
    signal?.throwIfAborted();
    warnings = done.said;
    if (done.sha256 === sha256 && done.entries === entries) return;
    throw new CoracleError('ERR_INVALID_ARCHIVE', `${path} changed while it was restored`, {
      details: {entries, unpacked: done.entries},
    });
  });
  return {volume: name, file: path, directory, entries, bytes, sha256, warnings};
}

async function unpack({
  runtime,
  path,
  target,
  members,
  limits,
  tell,
  signal,
}: {
  readonly runtime: Runtime;
  readonly path: string;
  readonly target: string;
  readonly members: readonly string[];
  readonly limits: Limits | undefined;
  readonly tell: (bytes: number) => void;
  readonly signal: AbortSignal | undefined;
}) {
  const container = await runArchiver(
    {
      purpose: 'restore',
      mounts: [{type: 'bind', source: target, target: PLACE}],
      arguments: [
        '--extract',
        '--file=-',
        '--preserve-permissions',
        '--same-owner',
        '--warning=no-timestamp', // a file from before 1970 is as it was
        ...WHOLE,
        ...LISTED,
        `--directory=${PLACE}`,
        ...members,
      ],
      // Files of any owner, set-id bits, device nodes, capabilities of files.
      capabilities: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'MKNOD', 'SETFCAP'],
      stdin: 'pipe',
      limits,
      signal,
    },
    {runtime},
  );
  try {
    const listing = Promise.all([readListing(container.stdout!), readListing(container.stderr!)]);
    const digest = createHash('sha256');
    // Should tar end before it has read all, it says what was wrong.
    await feed(container, hashed(counted(plainArchive(path), tell), digest));
    const [listed, errors] = await listing;
    signal?.throwIfAborted();
    await expectDone(container, 'restore', errors.said);
    return {entries: listed.entries, said: errors.said, sha256: digest.digest('hex')};
  } finally {
    await container[Symbol.asyncDispose]();
  }
}
