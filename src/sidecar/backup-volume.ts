import {createHash} from 'node:crypto';
import type {FileHandle} from 'node:fs/promises';
import {resolve} from 'node:path';
import {CoracleError} from '../errors.js';
import {
  type Compression,
  checkArchive,
  compress,
  holdStill,
  type InRuntime,
  type Limits,
  plainArchive,
  Runtime,
  Volume,
} from '../sdk/index.js';
import {expectDone, LISTED, PLACE, readListing, runArchiver, WHOLE} from './archiver.js';
import {expectVolumes} from './expect-volumes.js';
import {PartFile} from './part-file.js';
import {counted, hashed, type Progress} from './progress.js';
import {type VolumeSet, volumesOfSet} from './quiesce/index.js';

export interface BackupOptions {
  /**
   * `pause`: containers that use the volume stand still while it is copied, so that the backup is of one moment, as after
   * a power cut. `none`: they go on; what they write meanwhile may be in it or not. @default 'pause'
   */
  readonly consistency?: 'pause' | 'none';
  /** Of the sidecar. @default 16 processes */
  readonly limits?: Limits | undefined;
  readonly onProgress?: (progress: Progress) => void;
  /** Ends it; nothing is left of it then, and whoever was paused goes on. */
  readonly signal?: AbortSignal;
}

/** Of one volume or several. */
export interface ArchivedVolumes {
  /** Absolute. */
  readonly file: string;
  readonly compression: Compression;
  /** Files, directories and the rest, the volume's root included. */
  readonly entries: number;
  /** Of the plain archive, and of the file. */
  readonly bytes: number;
  readonly fileBytes: number;
  /** SHA-256 of the plain archive, in hexadecimal digits. */
  readonly sha256: string;
  /** Names of the containers that were paused, and for how long. */
  readonly paused: readonly string[];
  readonly pausedMs: number;
  /** What the archiver had to say: sockets that were left out, files that changed. */
  readonly warnings: readonly string[];
}

export interface BackupResult extends ArchivedVolumes {
  readonly volume: string;
}

export interface BackupsResult extends ArchivedVolumes {
  /** Names: in the archive each is a directory of that name. */
  readonly volumes: readonly string[];
}

/**
 * Saves a volume as a tar archive: `FILE.tar`, `.tar.gz` or `.tar.zst`, by its name. A sidecar container reads the volume,
 * which it cannot write to. The file has been read back, compared and counted when this resolves, and is not there before:
 * whatever goes wrong, a backup of that name that was there stays.
 * @throws `ERR_VOLUME_NOT_FOUND`, `ERR_INVALID_OPTION`, `ERR_BACKUP_FILE`, `ERR_BACKUP_DAMAGED`, `ERR_SIDECAR_FAILED`,
 * `ERR_BINARY_NOT_FOUND` (package tar), `ERR_LIBRARY_MISSING` (zstd without libzstd1)
 */
export async function backupVolume(
  name: string,
  file: string,
  options: BackupOptions = {},
  in_: InRuntime = {},
): Promise<BackupResult> {
  const runtime = in_.runtime ?? (await Runtime.default());
  const saved = await archive({names: [name], members: ['.'], targetOf: () => PLACE}, file, options, runtime);
  return {volume: name, ...saved};
}

/**
 * As `backupVolume`, of several volumes and of one moment: in the archive each is a directory of its name, from which
 * `restoreVolume` with `directory` brings it back.
 * @throws as `backupVolume`; `ERR_CONTAINER_NOT_FOUND`, `ERR_INVALID_OPTION` when there are none
 */
export async function backupVolumes(
  set: VolumeSet,
  file: string,
  options: BackupOptions = {},
  in_: InRuntime = {},
): Promise<BackupsResult> {
  const runtime = in_.runtime ?? (await Runtime.default());
  const names = await volumesOfSet(set, {runtime});
  const members = names.map(name => `./${name}`);
  const saved = await archive({names, members, targetOf: name => `${PLACE}/${name}`}, file, options, runtime);
  return {volumes: names, ...saved};
}

interface Archived {
  readonly names: readonly string[];
  /** Below PLACE. */
  readonly members: readonly string[];
  /** Where a volume is mounted. */
  readonly targetOf: (name: string) => string;
}

async function archive(
  what: Archived,
  file: string,
  {consistency = 'pause', limits, onProgress, signal}: BackupOptions,
  runtime: Runtime,
): Promise<ArchivedVolumes> {
  const compression = compressionOf(file);
  if (consistency !== 'pause' && consistency !== 'none')
    throw new CoracleError('ERR_INVALID_OPTION', `consistency must be 'pause' or 'none', not ${consistency}`);
  signal?.throwIfAborted();
  const totalBytes = await sizeOf(what.names, onProgress !== undefined, runtime);
  const path = resolve(file);
  await using part = await PartFile.open(path).catch(cause => {
    throw refused(path, cause, 'Its directory has to be there, and to have room.');
  });
  const copied = await copyStill(
    {...what, runtime, compression, consistency, limits, signal},
    part.file,
    bytes => onProgress?.({phase: 'copy', bytes, totalBytes}),
  ).catch(cause => {
    throw cause.syscall === 'write' ? refused(path, cause) : cause;
  });
  await part.file.sync().catch(cause => {
    throw refused(path, cause);
  });
  const tell = (bytes: number) => onProgress?.({phase: 'verify', bytes, totalBytes: copied.bytes});
  await verify(part.path, copied, tell, signal).catch(cause => {
    throw orVanished(path, cause);
  });
  const {size} = await part.file.stat();
  await part.commit().catch(cause => {
    throw orVanished(path, cause);
  });
  return {file: path, compression, ...copied, fileBytes: size};
}

/** @throws `ERR_VOLUME_NOT_FOUND` */
async function sizeOf(
  names: readonly string[],
  isWanted: boolean,
  runtime: Runtime,
): Promise<number | undefined> {
  let bytes = 0;
  for (const name of names) {
    const volume = await Volume.get(name, {runtime});
    if (isWanted) bytes += await volume.size();
  }
  return isWanted ? bytes : undefined;
}

function compressionOf(file: string): Compression {
  if (file.endsWith('.tar')) return 'none';
  if (/\.(tar\.gz|tgz)$/.test(file)) return 'gzip';
  if (/\.(tar\.zst|tzst)$/.test(file)) return 'zstd';
  throw new CoracleError('ERR_INVALID_OPTION', `${file} says no format that a backup may have`, {
    hint: 'Call it FILE.tar, FILE.tar.gz or FILE.tar.zst.',
  });
}

function refused(path: string, cause: NodeJS.ErrnoException, hint?: string): CoracleError {
  return new CoracleError('ERR_BACKUP_FILE', `${path} cannot be written: ${cause.code}`, {
    cause,
    ...(hint !== undefined && {hint}),
  });
}

function orVanished(path: string, cause: {readonly code?: unknown}): unknown {
  if (cause.code !== 'ENOENT' && cause.code !== 'ERR_FILE_NOT_FOUND') return cause;
  return new CoracleError(
    'ERR_BACKUP_FILE',
    `${path} cannot be written: its directory is not there any more`,
    {
      cause,
      hint: 'It was there when this began: see whether its file system is mounted.',
    },
  );
}

interface Copy extends Archived {
  readonly runtime: Runtime;
  readonly compression: Compression;
  readonly consistency: 'pause' | 'none';
  readonly limits: Limits | undefined;
  readonly signal: AbortSignal | undefined;
}

type Copied = Pick<ArchivedVolumes, 'entries' | 'bytes' | 'sha256' | 'paused' | 'pausedMs' | 'warnings'>;

/** Copies while those who could change it stand still. */
async function copyStill(copy: Copy, target: FileHandle, tell: (bytes: number) => void): Promise<Copied> {
  if (copy.consistency === 'none')
    return {...(await copyVolumes(copy, target, tell)), paused: [], pausedMs: 0};
  const still = await holdStill(copy.runtime, copy.names);
  try {
    const copied = await copyVolumes(copy, target, tell);
    await still[Symbol.asyncDispose]();
    const {from, until = performance.now()} = still;
    const pausedMs = still.names.length === 0 ? 0 : Math.round(until - from);
    return {...copied, paused: still.names, pausedMs};
  } finally {
    await still[Symbol.asyncDispose]();
  }
}

async function copyVolumes(
  {runtime, names, members, targetOf, compression, limits, signal}: Copy,
  target: FileHandle,
  tell: (bytes: number) => void,
): Promise<Omit<Copied, 'paused' | 'pausedMs'>> {
  const container = await runArchiver(
    {
      purpose: 'backup',
      mounts: names.map(name => ({
        type: 'volume',
        name,
        target: targetOf(name),
        readOnly: true,
        nocopy: true,
      })),
      arguments: ['--create', '--file=-', ...FORMAT, ...WHOLE, ...LISTED, `--directory=${PLACE}`, ...members],
      capabilities: ['DAC_READ_SEARCH'],
      stdin: 'ignore',
      limits,
      signal,
    },
    {runtime},
  );
  await using _container = container;
  const listing = readListing(container.stderr!);
  const hash = createHash('sha256');
  let bytes = 0;
  const plain = counted(container.stdout!, count => {
    bytes = count;
    tell(count);
  });
  for await (const chunk of compress(hashed(plain, hash), compression)) await target.writeFile(chunk);
  const {entries, said} = await listing;
  signal?.throwIfAborted();
  await expectDone(container, `backup of ${names.join(', ')}`, said);
  expectVolumes(runtime, names);
  return {entries, bytes, sha256: hash.digest('hex'), warnings: said};
}

const FORMAT = [
  '--format=posix',
  '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime',
  '--sparse',
  '--one-file-system',
  '--sort=name',
];

/** What is on the disk now is what the sidecar wrote, and whoever unpacks it gets as many entries. */
async function verify(
  path: string,
  {entries, sha256}: Pick<Copied, 'entries' | 'sha256'>,
  tell: (bytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const hash = createHash('sha256');
  const found = await checkArchive(hashed(counted(plainArchive(path), tell), hash));
  signal?.throwIfAborted();
  const read = hash.digest('hex');
  if (read === sha256 && found === entries) return;
  throw new CoracleError(
    'ERR_BACKUP_DAMAGED',
    `${path} is not what was written: ${found} of ${entries} entries`,
    {
      hint: 'The disk or the memory of this host is not to be trusted.',
      details: {entries, found, sha256, read},
    },
  );
}
