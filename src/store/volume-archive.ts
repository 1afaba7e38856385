/** Volumes as archives, and as copies: all of their content, the root's owner and mode included. */
import {isHostRoot, openDirectory} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {archiveTree} from './archive-tree.js';
import {copyTree} from './copy-tree.js';
import {decompress} from './decompress.js';
import {invalidLayer, OWN_DATA_LIMITS} from './layer-limits.js';
import {type ArchiveSource, openSource} from './open-source.js';
import {PlainTree} from './plain-tree.js';
import {readTar, type TarEntry} from './read-tar.js';
import {unpackEntries, unpackLayer} from './unpack-layer.js';

/** As a tar archive: PAX, with attributes as GNU tar and star write them, and holes as GNU tar does. */
export async function* archiveVolume(mountpoint: string, signal?: AbortSignal): AsyncGenerator<Buffer> {
  using data = openDirectory(mountpoint);
  yield* archiveTree(data.fd, Buffer.alloc(0), {name: '.', kind: 'volume', signal});
}

/**
 * @param data descriptor of an empty directory, which gets the owner and mode of the archive's root
 * @throws `ERR_INVALID_ARCHIVE` for what is none, is damaged or would lead out; `ERR_FILE_NOT_FOUND`
 */
export async function unpackVolume(source: ArchiveSource, data: number, signal?: AbortSignal): Promise<void> {
  try {
    const plain = decompress(openSource(source, {reuse: true}), OWN_DATA_LIMITS);
    const options = {
      kind: 'volume',
      limits: OWN_DATA_LIMITS,
      asRoot: isHostRoot(),
      ...(signal && {signal}),
    } as const;
    await unpackLayer(plain, data, options);
  } catch (error) {
    throw asArchiveError(error);
  }
}

/**
 * As `unpackVolume`, of what an archive might have and for whoever may do what root may: ownership that cannot be set is an error.
 * @param directory an empty one, whatever is in its path
 */
export async function makeVolume(entries: AsyncIterable<TarEntry>, directory: string): Promise<void> {
  using data = openDirectory(directory);
  try {
    await unpackEntries(entries, data.fd, {kind: 'volume', limits: OWN_DATA_LIMITS, asRoot: true});
  } catch (error) {
    throw asArchiveError(error);
  }
}

/** The plain bytes of a volume's archive. @throws `ERR_INVALID_ARCHIVE`, `ERR_LIBRARY_MISSING` */
export async function* plainArchive(source: ArchiveSource): AsyncGenerator<Uint8Array> {
  try {
    yield* decompress(openSource(source), OWN_DATA_LIMITS);
  } catch (error) {
    throw asArchiveError(error);
  }
}

/**
 * Whether a tar archive can be unpacked into a directory without leading out of it: as `unpackVolume` sees it, without
 * unpacking.
 * @param see is shown each entry: its path as it is written, and the components of that, both as Latin-1
 * @returns the number of entries, the root's included @throws as `unpackVolume`
 */
export async function checkArchive(
  plain: AsyncIterable<Uint8Array>,
  see?: (entry: {readonly path: string; readonly place: readonly string[]; readonly type: string}) => void,
): Promise<number> {
  const symlinks = new Set<string>();
  const files = new Set<string>();
  let entries = 0;
  try {
    for await (const {type, path, target, xattrs} of readTar(plain, {sparse: true})) {
      entries++;
      const place = componentsOf(path, 'path');
      const name = place.join('/');
      see?.({path: path.toString('latin1'), place, type});
      if (place.length === 0 && type !== 'directory') throw invalidLayer(`the archive's root is a ${type}`);
      refuseThrough(symlinks, place);
      if ([...xattrs.keys()].some(each => /^(trusted|user)\.overlay\./.test(each)))
        throw invalidLayer(`${printable(path)} has an attribute that steers overlayfs`);
      if (type === 'link' && !files.has(componentsOf(target, 'link target').join('/')))
        throw invalidLayer(`${printable(path)} is a hard link to what is no file of the archive`);
      if (type === 'symlink') symlinks.add(name);
      else symlinks.delete(name);
      if (type !== 'directory') files.add(name);
    }
  } catch (error) {
    throw asArchiveError(error);
  }
  return entries;
}

function componentsOf(path: Buffer, what: string): string[] {
  const components = path.toString('latin1').split('/');
  if (components.includes('..')) throw invalidLayer(`the ${what} ${printable(path)} has ".."`);
  if (path.includes(0)) throw invalidLayer(`the ${what} ${printable(path)} has a NUL byte`);
  return components.filter(component => component !== '' && component !== '.');
}

function refuseThrough(symlinks: ReadonlySet<string>, place: readonly string[]): void {
  for (let length = 1; length < place.length && symlinks.size > 0; length++) {
    const prefix = place.slice(0, length).join('/');
    if (symlinks.has(prefix))
      throw invalidLayer(
        `${JSON.stringify(place.join('/'))} would be unpacked through the symlink ${JSON.stringify(prefix)}`,
      );
  }
}

function printable(path: Buffer): string {
  return JSON.stringify(path.toString('utf8').slice(0, 300));
}

/** What unpacks layers says so of layers. */
function asArchiveError(error: unknown): unknown {
  const {code, message} = error as CoracleError;
  if (code !== 'ERR_INVALID_LAYER' && code !== 'ERR_LAYER_TOO_LARGE') return error;
  return new CoracleError('ERR_INVALID_ARCHIVE', message.replaceAll('the layer', 'the archive'), {
    cause: error,
  });
}

/**
 * Copies a volume's data into an empty directory: shared blocks where the file system can (FICLONE), else holes stay
 * holes; owners, modes, attributes, hard links and times are kept.
 */
export async function copyVolume(mountpoint: string, data: number): Promise<void> {
  using source = openDirectory(mountpoint);
  const tree = new PlainTree(source.fd);
  await copyTree(tree, tree.root, data);
}
