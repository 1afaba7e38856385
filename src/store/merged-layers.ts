/**
 * Reads a stack of layers as overlayfs would show it, without mounting anything: to learn an image's users, and to copy
 * its content into new volumes. Symlinks are resolved inside the stack.
 */
import {constants, readFileSync} from 'node:fs';
import {
  type FileStatus,
  getXattrBelow,
  openBelow,
  openDirectory,
  readDirectory,
  readlinkBelow,
  tryStatBelow,
} from '../binding/index.js';
import {CoracleError} from '../errors.js';

/** Where a path is really found: in the layer with this descriptor, by this path. */
export interface Found {
  readonly root: number;
  readonly path: string;
  readonly status: FileStatus;
}

export class MergedLayers implements Disposable {
  /** Top first. */
  readonly #layers: {readonly fd: number; close(): void}[] = [];

  /** @param directories of the layers, bottom first */
  constructor(directories: readonly string[]) {
    try {
      for (const directory of directories.toReversed()) this.#layers.push(openDirectory(directory));
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    for (const layer of this.#layers) layer.close();
  }

  /** The last component's symlink is followed too. Undefined when there is nothing. Paths are latin1: bytes as chars. */
  resolve(path: string): Found | undefined {
    const place = this.place(path);
    return place === undefined ? undefined : this.find(place);
  }

  /** Where a path leads, whether there is something or not: no component of that is a symlink. Undefined for a circle of them. */
  place(path: string): string | undefined {
    const pending = path.split('/').reverse();
    const done: string[] = [];
    for (let links = 0; pending.length > 0; ) {
      const component = pending.pop()!;
      if (component === '' || component === '.') continue;
      if (component === '..') {
        done.pop();
        continue;
      }
      const found = this.find([...done, component].join('/'));
      if (found === undefined || typeOf(found) !== constants.S_IFLNK) {
        done.push(component);
        continue;
      }
      if (++links > 40) return undefined; // ELOOP, as path_resolution(7) counts
      const target = readlinkBelow(found.root, bytes(found.path)).toString('latin1');
      if (target.startsWith('/')) done.length = 0;
      pending.push(...target.split('/').reverse());
    }
    return done.join('/');
  }

  /** What is shown at a path none of whose directories is a symlink. */
  find(path: string): Found | undefined {
    for (const {fd} of this.#layersShowing(parentOf(path))) {
      const status = tryStatBelow(fd, bytes(path));
      if (status !== undefined) return isWhiteout(status) ? undefined : {root: fd, path, status};
    }
    return undefined;
  }

  /** The entries of a directory: the union of the layers', the uppermost of each name. */
  list(path: string): Found[] {
    const seen = new Map<string, Found | undefined>();
    for (const {fd} of this.#layersShowing(path)) {
      using directory = openBelow(fd, bytes(path), constants.O_RDONLY | constants.O_DIRECTORY);
      for (const {name} of readDirectory(directory.fd)) {
        const key = name.toString('latin1');
        if (seen.has(key)) continue;
        const at = path === '' ? key : `${path}/${key}`;
        const status = tryStatBelow(fd, bytes(at));
        seen.set(key, status && !isWhiteout(status) ? {root: fd, path: at, status} : undefined);
      }
    }
    return [...seen.values()].filter(found => found !== undefined);
  }

  /** A small file as text; undefined when there is none. @throws `ERR_INVALID_IMAGE` when larger than `limit` bytes */
  readText(path: string, limit: number): string | undefined {
    const found = this.resolve(path);
    if (found === undefined || typeOf(found) !== constants.S_IFREG) return undefined;
    if (found.status.size > limit) {
      throw new CoracleError('ERR_INVALID_IMAGE', `${path} of the image is larger than ${limit} bytes`);
    }
    using file = openBelow(found.root, bytes(found.path), constants.O_RDONLY | constants.O_NOFOLLOW);
    return readFileSync(file.fd, 'utf8');
  }

  /** The layers in which `path` is a directory that no layer above hides, top first. */
  *#layersShowing(path: string): Generator<{readonly fd: number}> {
    const prefixes = prefixesOf(path);
    for (const layer of this.#layers) {
      let isOpaque = false;
      let isMissing = false;
      for (const prefix of prefixes) {
        const status = tryStatBelow(layer.fd, bytes(prefix));
        if (status === undefined) {
          isMissing = true;
          break;
        }
        if ((status.mode & constants.S_IFMT) !== constants.S_IFDIR) return; // hides what is below
        isOpaque ||= isOpaqueDirectory(layer.fd, prefix);
      }
      if (!isMissing) yield layer;
      if (isOpaque) return;
    }
  }
}

/** "a/b/c" for a, a/b, a/b/c. */
function prefixesOf(path: string): string[] {
  if (path === '') return [];
  const components = path.split('/');
  return components.map((_, index) => components.slice(0, index + 1).join('/'));
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

function typeOf({status}: Found): number {
  return status.mode & constants.S_IFMT;
}

function isWhiteout({mode, deviceMajor, deviceMinor}: FileStatus): boolean {
  return (mode & constants.S_IFMT) === constants.S_IFCHR && deviceMajor === 0 && deviceMinor === 0;
}

function isOpaqueDirectory(root: number, path: string): boolean {
  return ['trusted', 'user'].some(
    prefix => getXattrBelow(root, bytes(path), `${prefix}.overlay.opaque`)?.toString('latin1') === 'y',
  );
}

function bytes(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}
