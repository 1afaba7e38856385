/**
 * How containers get their root file systems: `overlay` stacks an image's layers under a writable one, by the kernel; `vfs`
 * copies the whole image for each container, on any file system. Decision 0019.
 */
import {accessSync, constants, mkdirSync, readdirSync, readFileSync} from 'node:fs';
import {release} from 'node:os';
import {join} from 'node:path';
import {
  fileSystemMagic,
  isErrno,
  isHostRoot,
  openBelow,
  readDirectory,
  setXattrBelow,
} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {replaceFile} from './records.js';
import {Workspace} from './workspace.js';

export type StorageDriver = 'overlay' | 'vfs';

/** Why overlay is not used where it is not. */
export interface DriverProbe {
  readonly driver: StorageDriver;
  readonly reason: string;
}

/**
 * A driver by Docker's names. @param from where it was named, for the message
 * @throws `ERR_STORAGE_DRIVER`
 */
export function parseStorageDriver(name: string, from: string): StorageDriver {
  if (name === 'overlay' || name === 'overlay2') return 'overlay';
  if (name === 'vfs') return 'vfs';
  const instead = INSTEAD[name] ?? 'Use overlay, or vfs where overlay cannot be used.';
  throw new CoracleError(
    'ERR_STORAGE_DRIVER',
    `${from}: there is no storage driver ${JSON.stringify(name)}`,
    {
      hint: instead,
      details: {driver: name},
    },
  );
}

const ON_TOP = 'Use overlay: it works on this file system as on any other';
const INSTEAD: Readonly<Record<string, string>> = {
  aufs: 'Use overlay, which took its place in the kernel.',
  btrfs: `${ON_TOP}, and vfs shares the blocks of what it copies there.`,
  devicemapper: 'Use overlay on a file system of that device.',
  'fuse-overlayfs': "Use overlay: since Linux 5.11 ordinary users mount the kernel's own.",
  overlayfs: 'Its name is overlay, or overlay2.',
  windowsfilter: 'Windows images cannot run on Linux: use an image made for linux.',
  lcow: 'Windows hosts run Linux images by it; here use overlay.',
  zfs: `${ON_TOP} (OpenZFS 2.2 or newer).`,
};

/** What somebody asked for: the program, the environment, the configuration file. @throws `ERR_STORAGE_DRIVER` */
export function wantedDriver(
  given: string | undefined,
  configured: string | undefined,
): StorageDriver | undefined {
  if (given !== undefined) return parseStorageDriver(given, 'storageDriver');
  const named = process.env['CORACLE_STORAGE_DRIVER'];
  if (named) return parseStorageDriver(named, 'CORACLE_STORAGE_DRIVER');
  return configured ? parseStorageDriver(configured, 'storage-driver') : undefined;
}

/** Where nobody asks: looked into once, when the root is made. @param present what it had before that */
export async function driverOf(root: string, present: ReadonlySet<string>): Promise<StorageDriver> {
  if (present.has(MARK)) return 'vfs';
  if (present.has('oci-layout')) return 'overlay';
  await using work = Workspace.open(join(root, 'work'));
  const {driver, reason} = probeStorageDriver(work);
  if (driver === 'vfs') replaceFile(join(root, MARK), `${reason}\n`, {work: join(root, 'work')});
  return driver;
}

/** Its content says why. */
const MARK = 'vfs';

/** Whether overlayfs can be mounted with its writable layer here. Makes one file in the workspace, and mounts nothing. */
export function probeStorageDriver(work: Workspace): DriverProbe {
  const vfs = (reason: string): DriverProbe => ({driver: 'vfs', reason});
  if (!kernelHasOverlay()) return vfs('the kernel has no overlayfs: modprobe overlay');
  const unsupported = UNSUPPORTED.get(fileSystemMagic(work.directory.fd));
  if (unsupported !== undefined) return vfs(`overlayfs takes no writable layer on ${unsupported}`);
  mkdirSync(join(work.path, 'probe'), {mode: 0o700});
  const name = `${isHostRoot() ? 'trusted' : 'user'}.overlay.origin`;
  try {
    setXattrBelow(work.directory.fd, 'probe', name, Buffer.from('probe'));
  } catch (error) {
    if (!isErrno(error, 'ENOTSUP', 'EPERM')) throw error;
    return vfs(`the file system keeps no ${name.split('.')[0]} attributes`);
  }
  using listed = openBelow(work.directory.fd, '', constants.O_RDONLY);
  const hasTypes = [...readDirectory(listed.fd)].every(({type}) => type !== 0);
  if (!hasTypes) return vfs('the file system tells no file types in directories (d_type, XFS: ftype=1)');
  return {driver: 'overlay', reason: 'overlayfs, with its writable layer on the file system of the root'};
}

function kernelHasOverlay(): boolean {
  if (/\boverlay$/m.test(readFileSync('/proc/filesystems', 'utf8'))) return true;
  try {
    accessSync(`/lib/modules/${release()}/kernel/fs/overlayfs`); // loaded when first asked for
    return readdirSync(`/lib/modules/${release()}/kernel/fs/overlayfs`).length > 0;
  } catch {
    return false;
  }
}

/** Magic numbers of statfs(2). */
const UNSUPPORTED: ReadonlyMap<number, string> = new Map([
  [0x794c7630, 'another overlayfs'],
  [0xf15f, 'eCryptfs'],
  [0x61756673, 'aufs'],
  [0x858458f6, 'ramfs'],
  [0x4d44, 'FAT'],
  [0x2011bab0, 'exFAT'],
]);
