/**
 * What a container has added, changed and deleted: its upper directory against the layers below, as dockerd compares the two trees
 * (moby, pkg/archive/changes.go). A directory is changed when its owner or mode is, or anything in it; a file that was only
 * copied up is not.
 * @see https://docs.kernel.org/filesystems/overlayfs.html#whiteouts-and-opaque-directories
 */
import {constants} from 'node:fs';
import {
  type FileStatus,
  getXattrBelow,
  openBelow,
  openDirectory,
  readDirectory,
  statBelow,
} from '../binding/index.js';
import {type Found, MergedLayers} from './merged-layers.js';

export interface PathChange {
  /** Added, changed, deleted. */
  readonly kind: 'A' | 'C' | 'D';
  /** Absolute, inside. */
  readonly path: string;
}

/**
 * In the order of the paths, parents first.
 * @param layers directories below the upper one, bottom first
 */
export function diffUpper(upper: string, layers: readonly string[]): PathChange[] {
  using merged = new MergedLayers(layers);
  using root = openDirectory(upper);
  return walk(merged, root.fd, '', false);
}

/**
 * @param path as latin1, without a slash at its end
 * @param hides nothing of the layers below is seen in the directory but what it has itself
 */
function walk(merged: MergedLayers, directory: number, path: string, hides: boolean): PathChange[] {
  const names = new Set([...readDirectory(directory)].map(({name}) => name.toString('latin1')));
  const hidden = hides ? namesBelow(merged, path).filter(name => !names.has(name)) : [];
  const own = (name: string) => `${path}/${name}`;
  return [...names, ...hidden]
    .sort()
    .flatMap(name =>
      names.has(name)
        ? compare(merged, directory, Buffer.from(name, 'latin1'), own(name), hides)
        : [change('D', own(name))],
    );
}

function namesBelow(merged: MergedLayers, path: string): string[] {
  const below = merged.find(path.slice(1));
  if (below === undefined || typeOf(below.status) !== constants.S_IFDIR) return [];
  return merged.list(below.path).map(found => found.path.slice(found.path.lastIndexOf('/') + 1));
}

function compare(
  merged: MergedLayers,
  directory: number,
  name: Buffer,
  path: string,
  hides: boolean,
): PathChange[] {
  const status = statBelow(directory, name);
  const below = merged.find(path.slice(1));
  if (isDeletion(status)) return below === undefined ? [] : [change('D', path)];
  const inside = typeOf(status) === constants.S_IFDIR ? walkInto(merged, directory, name, path, hides) : [];
  if (below === undefined) return [change('A', path), ...inside];
  const differs = inside.length > 0 || isOther(status, below.status) || hasOther(directory, name, below);
  return differs ? [change('C', path), ...inside] : [];
}

function walkInto(
  merged: MergedLayers,
  directory: number,
  name: Buffer,
  path: string,
  hides: boolean,
): PathChange[] {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  using opened = openBelow(directory, name, flags);
  return walk(merged, opened.fd, path, hides || isOpaque(directory, name));
}

function change(kind: PathChange['kind'], path: string): PathChange {
  return {kind, path: Buffer.from(path, 'latin1').toString()};
}

/** Size and time of a directory tell nothing. */
function isOther(now: FileStatus, before: FileStatus): boolean {
  if (now.mode !== before.mode || now.uid !== before.uid || now.gid !== before.gid) return true;
  if (now.deviceMajor !== before.deviceMajor || now.deviceMinor !== before.deviceMinor) return true;
  if (typeOf(now) === constants.S_IFDIR) return false;
  return now.mtimeNs !== before.mtimeNs || now.size !== before.size;
}

/** Capabilities: the only attributes that count. */
function hasOther(directory: number, name: Buffer, {root, path}: Found): boolean {
  const now = getXattrBelow(directory, name, 'security.capability');
  const before = getXattrBelow(root, Buffer.from(path, 'latin1'), 'security.capability');
  return now?.toString('latin1') !== before?.toString('latin1');
}

function typeOf({mode}: Pick<FileStatus, 'mode'>): number {
  return mode & constants.S_IFMT;
}

function isDeletion(status: FileStatus): boolean {
  return typeOf(status) === constants.S_IFCHR && status.deviceMajor === 0 && status.deviceMinor === 0;
}

/** Root marks it in trusted, an ordinary user's mount in user attributes. */
function isOpaque(directory: number, name: Buffer): boolean {
  return ['trusted.overlay.opaque', 'user.overlay.opaque'].some(
    attribute => getXattrBelow(directory, name, attribute)?.toString('latin1') === 'y',
  );
}
