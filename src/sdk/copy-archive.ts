/** Files in and out of containers as tar archives, by the rules of `docker cp`. */
import {constants} from 'node:fs';
import {posix} from 'node:path';
import {
  Descriptor,
  type FileStatus,
  fileSystemMagic,
  isErrno,
  O_PATH,
  openBelow,
  openDirectory,
  readlinkBelow,
  statBelow,
} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {
  type ArchivedIds,
  archiveName,
  archiveTree,
  decompress,
  extractTree,
  KERNEL_FILE_SYSTEMS,
  OWN_DATA_LIMITS,
  type PathChange,
  pathForbidden,
} from '../store/index.js';
import type {ContainerRecord} from './container-files.js';
import {type ContainerRoot, openContainerRoot} from './container-root.js';
import {containerEvent} from './record-events.js';
import {resolveUser} from './resolve-user.js';
import type {IdRange, UserNamespaceMap} from './run-options.js';
import type {Runtime} from './runtime.js';

export type {PathChange};

/** What is at a path. */
export interface PathStatus {
  readonly name: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'other';
  /** Bytes. */
  readonly size: number;
  /** Permission bits, setuid, setgid and sticky included. */
  readonly mode: number;
  readonly mtime: Date;
  /** Of a symlink, as it is written. */
  readonly target: string;
}

export interface GetArchiveOptions {
  readonly signal?: AbortSignal;
}

export interface PutArchiveOptions {
  /** Everything becomes the container's user's (`--archive`); otherwise owners are those in the archive. @default false */
  readonly asUser?: boolean;
  /** What the first component of the paths in the archive is to be called inside. @default as it is */
  readonly rename?: {readonly from: string; readonly to: string};
  readonly signal?: AbortSignal;
}

/** @internal */
export async function* getArchive(
  runtime: Runtime,
  id: string,
  shownAs: string,
  path: string,
  {signal}: GetArchiveOptions,
): AsyncGenerator<Buffer, void, void> {
  await using root = await openContainerRoot(runtime, id);
  using place = openPlace(root, path, shownAs);
  runtime.tell([containerEvent(root.record, 'archive-path')]);
  yield* archiveTree(place.directory.fd, place.entry, {
    name: archiveName(path),
    ids: ownersInside(runtime, root.record),
    ...(signal && {signal}),
  });
}

/** @internal */
export async function* exportRoot(
  runtime: Runtime,
  id: string,
  {signal}: GetArchiveOptions,
): AsyncGenerator<Buffer, void, void> {
  await using root = await openContainerRoot(runtime, id);
  using directory = openBelow(root.fd, '', constants.O_RDONLY | constants.O_DIRECTORY);
  runtime.tell([containerEvent(root.record, 'export')]);
  const ids = ownersInside(runtime, root.record);
  yield* archiveTree(directory.fd, Buffer.alloc(0), {name: '', kind: 'root', ids, signal});
}

/** @internal Owners of files on disk as its processes see them; undefined: just so. */
export function ownersInside(
  runtime: Runtime,
  {userNamespace}: Pick<ContainerRecord, 'userNamespace'>,
): ArchivedIds | undefined {
  const map = runtime.facts.isRoot ? userNamespace : OWN_ID;
  return map === 'host' ? undefined : idsInside(map);
}

/** @internal */
export async function putArchive(
  runtime: Runtime,
  id: string,
  shownAs: string,
  path: string,
  archive: AsyncIterable<Uint8Array>,
  {asUser = false, rename, signal}: PutArchiveOptions,
): Promise<void> {
  await using root = await openContainerRoot(runtime, id);
  const {record} = root;
  openTarget(root, path, shownAs).close();
  const user = resolveUser(record.user, [], runtime.store.imageOfContainer(record.image.id));
  const map = outsideIds(record.userNamespace);
  const owner = (uid: number, gid: number) =>
    asUser && record.user !== '' ? map(user.uid, user.gid) : map(uid, gid);
  runtime.tell([containerEvent(record, 'extract-to-dir')]);
  try {
    await extractTree(root.fd, posix.join('/', path), decompress(archive, OWN_DATA_LIMITS), {
      owner: runtime.facts.isRoot ? owner : null,
      ...(rename && {rename}),
      ...(signal && {signal}),
    });
  } catch (error) {
    if (error instanceof CoracleError && error.code === 'ERR_PATH_BUSY') {
      const {code, message, details} = error;
      throw new CoracleError(code, `Error processing tar file(exit status 1): ${message}`, {
        cause: error,
        details,
      });
    }
    if (!isErrno(error, 'EROFS')) throw error;
    throw new CoracleError('ERR_READ_ONLY', readOnlyMessage(record.readOnly), {
      cause: error,
      details: {path},
    });
  }
}

/** @internal */
export async function statPath(
  runtime: Runtime,
  id: string,
  shownAs: string,
  path: string,
): Promise<PathStatus> {
  await using root = await openContainerRoot(runtime, id);
  using place = openPlace(root, path, shownAs);
  const status = statBelow(place.directory.fd, place.entry);
  const target = isSymlink(status) ? readlinkBelow(place.directory.fd, place.entry).toString() : '';
  return pathStatus(posix.basename(posix.join('/', path)) || '/', status, target);
}

/** Of the host's, as `statPath` tells it. @returns undefined when there is nothing */
export function hostPathStatus(path: string): PathStatus | undefined {
  using host = openDirectory('/');
  try {
    const status = statBelow(host.fd, path);
    const target = isSymlink(status) ? readlinkBelow(host.fd, path).toString() : '';
    return pathStatus(posix.basename(path), status, target);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** A tree of the host's as an archive; @param name what it is called there */
export async function* archiveHostPath(path: string, name: string): AsyncGenerator<Buffer, void, void> {
  const isContents = /(^|\/)\.$/.test(path);
  const whole = posix.resolve('/', path);
  using directory = openDirectory(isContents || whole === '/' ? whole : posix.dirname(whole));
  const entry = isContents || whole === '/' ? '' : posix.basename(whole);
  yield* archiveTree(directory.fd, Buffer.from(entry), {name});
}

/** Puts an archive into a directory of the host's; what is made belongs to whoever makes it. */
export async function extractOnHost(
  directory: string,
  archive: AsyncIterable<Uint8Array>,
  rename?: PutArchiveOptions['rename'],
): Promise<void> {
  using host = openDirectory('/');
  await extractTree(host.fd, directory, archive, {owner: null, ...(rename && {rename})});
}

function pathStatus(name: string, status: FileStatus, target: string): PathStatus {
  const type =
    (
      {[constants.S_IFREG]: 'file', [constants.S_IFDIR]: 'directory', [constants.S_IFLNK]: 'symlink'} as const
    )[status.mode & constants.S_IFMT] ?? 'other';
  const mtime = new Date(Number(status.mtimeNs / 1_000_000n));
  return {name, type, size: status.size, mode: status.mode & 0o7777, mtime, target};
}

function isSymlink(status: FileStatus): boolean {
  return (status.mode & constants.S_IFMT) === constants.S_IFLNK;
}

interface Place extends Disposable {
  readonly directory: Descriptor;
  /** '' = the directory itself. */
  readonly entry: Buffer;
}

/** Where a path is: symlinks on the way are followed, inside the root; the last one is not, unless a slash is behind it. */
function openPlace(root: ContainerRoot, path: string, shownAs: string, said = path): Place {
  if (path === '') throw new CoracleError('ERR_INVALID_OPTION', 'bad parameter: pathcannot be empty');
  const isDirectory = /(^|\/)\.?$/.test(path);
  const whole = posix.join('/', path);
  try {
    const directoryPath = isDirectory ? whole : posix.dirname(whole);
    const directory = openChecked(root.fd, directoryPath);
    const entry = Buffer.from(isDirectory || whole === '/' ? '' : posix.basename(whole));
    const place = {directory, entry, [Symbol.dispose]: () => directory.close()};
    try {
      statBelow(directory.fd, entry);
    } catch (error) {
      directory.close();
      throw error;
    }
    return place;
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw error;
    throw new CoracleError('ERR_PATH_NOT_FOUND', `Could not find the file ${said} in container ${shownAs}`, {
      cause: error,
      details: {path, container: root.record.id},
    });
  }
}

function openTarget(root: ContainerRoot, path: string, shownAs: string): Descriptor {
  using place = openPlace(root, `${path}/`, shownAs, path);
  return new Descriptor(openBelow(place.directory.fd, '', O_PATH | constants.O_DIRECTORY).fd);
}

function openChecked(root: number, path: string): Descriptor {
  const directory = openBelow(root, path, O_PATH | constants.O_DIRECTORY);
  if (!KERNEL_FILE_SYSTEMS.has(fileSystemMagic(directory.fd))) return directory;
  directory.close();
  throw pathForbidden(path);
}

function readOnlyMessage(rootIsReadOnly: boolean): string {
  return rootIsReadOnly ? 'container rootfs is marked read-only' : 'mounted volume is marked read-only';
}

type Owner = {readonly uid: number; readonly gid: number};

function outsideIds(map: 'host' | UserNamespaceMap): (uid: number, gid: number) => Owner {
  if (map === 'host') return (uid, gid) => ({uid, gid});
  return (uid, gid) => ({uid: shifted(uid, map.uids, 'out'), gid: shifted(gid, map.gids, 'out')});
}

function idsInside(map: UserNamespaceMap) {
  return {
    uid: (uid: number) => shifted(uid, map.uids, 'in'),
    gid: (gid: number) => shifted(gid, map.gids, 'in'),
  };
}

/** What no range maps is nobody's: 65534, as the kernel shows it. */
function shifted(id: number, ranges: readonly IdRange[], way: 'in' | 'out'): number {
  for (const {inside, outside, count} of ranges) {
    const [from, to] = way === 'in' ? [outside, inside] : [inside, outside];
    if (id >= from && id < from + count) return to + (id - from);
  }
  return OVERFLOW_ID;
}

const OVERFLOW_ID = 65_534;

/** An ordinary user's containers have one id: root inside is that user. */
const OWN_ID: UserNamespaceMap = {
  uids: [{inside: 0, outside: process.geteuid?.() ?? 0, count: 1}],
  gids: [{inside: 0, outside: process.getegid?.() ?? 0, count: 1}],
};
