import {constants} from 'node:fs';
import {type FileStatus, isErrno, openBelow, readDirectory, statBelow} from '../binding/index.js';
import type {SourceTree} from './copy-tree.js';
import type {Found} from './merged-layers.js';

/** A directory as it is, while others may change it. */
export class PlainTree implements SourceTree {
  readonly keepsEverything = true;
  readonly root: Found;
  readonly #device: bigint;

  constructor(fd: number) {
    const status = statBelow(fd, '');
    this.root = {root: fd, path: '', status};
    this.#device = status.device;
  }

  *list(path: string): Generator<Found> {
    const {root} = this.root;
    const names: string[] = [];
    try {
      using directory = openBelow(
        root,
        Buffer.from(path, 'latin1'),
        constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW,
      );
      // What is mounted there is no part of it.
      if (statBelow(directory.fd, '').device !== this.#device) return;
      for (const {name} of readDirectory(directory.fd)) names.push(name.toString('latin1'));
    } catch (error) {
      if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw error;
    }
    for (const name of names.sort()) {
      const below = path === '' ? name : `${path}/${name}`;
      const status = this.#status(below);
      if (status !== undefined) yield {root, path: below, status};
    }
  }

  #status(path: string): FileStatus | undefined {
    try {
      return statBelow(this.root.root, Buffer.from(path, 'latin1'));
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined; // removed since it was listed
      throw error;
    }
  }
}
