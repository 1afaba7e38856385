/**
 * What a container has added, changed and deleted: its upper directory against the layers below, by Docker's rules
 * (moby, pkg/archive/changes_linux.go).
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
import {MergedLayers} from './merged-layers.js';

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
  const changes: PathChange[] = [];
  walk({merged, changes, told: new Set()}, root.fd, '');
  return changes;
}

interface Walk {
  readonly merged: MergedLayers;
  readonly changes: PathChange[];
  /** Directories that are in the list. */
  readonly told: Set<string>;
}

/** @param path as latin1, without a slash at its end */
function walk(state: Walk, directory: number, path: string): void {
  const names = [...readDirectory(directory)].map(({name}) => name).sort(Buffer.compare);
  for (const name of names) {
    const own = `${path}/${name.toString('latin1')}`;
    const status = statBelow(directory, name);
    const isDirectory = (status.mode & constants.S_IFMT) === constants.S_IFDIR;
    const kind = kindOf(state, directory, name, own, status);
    if (kind !== undefined) tell(state, own, path, kind, isDirectory);
    if (!isDirectory) continue;
    using opened = openBelow(
      directory,
      name,
      constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW,
    );
    walk(state, opened.fd, own);
  }
}

/** Whatever came or went changed its parent, too. */
function tell(
  {changes, told}: Walk,
  path: string,
  parent: string,
  kind: PathChange['kind'],
  isDirectory: boolean,
): void {
  const add = (each: string, how: PathChange['kind']) =>
    changes.push({kind: how, path: Buffer.from(each, 'latin1').toString()});
  if (isDirectory) told.add(path);
  if (kind !== 'C' && parent !== '' && !told.has(parent)) {
    told.add(parent);
    add(parent, 'C');
  }
  add(path, kind);
}

function kindOf(
  {merged}: Walk,
  directory: number,
  name: Buffer,
  path: string,
  status: FileStatus,
): PathChange['kind'] | undefined {
  const type = status.mode & constants.S_IFMT;
  if (type === constants.S_IFCHR && status.deviceMajor === 0 && status.deviceMinor === 0) return 'D';
  const below = merged.find(path.slice(1))?.status;
  if (below === undefined) return 'A';
  const bothDirectories = type === constants.S_IFDIR && (below.mode & constants.S_IFMT) === constants.S_IFDIR;
  if (!bothDirectories) return 'C';
  // Removed and made again: Docker calls that deleted.
  if (isOpaque(directory, name)) return 'D';
  const same = below.size === status.size && below.mode === status.mode && below.mtimeNs === status.mtimeNs;
  return same ? undefined : 'C';
}

/** Root marks it in trusted, an ordinary user's mount in user attributes. */
function isOpaque(directory: number, name: Buffer): boolean {
  return ['trusted.overlay.opaque', 'user.overlay.opaque'].some(
    attribute => getXattrBelow(directory, name, attribute)?.toString('latin1') === 'y',
  );
}
