/**
 * Mounting something over a place that an image has not makes that place, in the layer of whoever runs: an empty directory or
 * file that nobody asked for. This finds out what will be made, and takes it out of the layer afterwards.
 */
import {constants} from 'node:fs';
import {isErrno, openDirectory, rmdirBelow, tryStatBelow, unlinkBelow} from '../binding/index.js';
import {MergedLayers} from './merged-layers.js';

export interface MountStubs {
  /** @param upper what was written over the layers since */
  remove(upper: string): void;
}

/** @param layers directories, bottom first */
export function mountStubs(targets: readonly string[], layers: readonly string[]): MountStubs {
  using merged = new MergedLayers(layers);
  const missing = new Set<string>();
  for (const target of targets) {
    const components = merged.place(Buffer.from(target).toString('latin1'))?.split('/') ?? [];
    for (let count = components.length; count > 0; count--) {
      const path = components.slice(0, count).join('/');
      if (path !== '' && merged.find(path) === undefined) missing.add(path);
    }
  }
  const deepestFirst = [...missing].sort((a, b) => b.length - a.length);
  return {
    remove(upper) {
      using root = openDirectory(upper);
      for (const path of deepestFirst) removeEmpty(root.fd, Buffer.from(path, 'latin1'));
    },
  };
}

/** The program may have put something there, or something else in its place. */
function removeEmpty(root: number, path: Buffer): void {
  const status = tryStatBelow(root, path);
  if (status === undefined) return;
  const type = status.mode & constants.S_IFMT;
  if (type === constants.S_IFREG && status.size === 0) unlinkBelow(root, path);
  if (type !== constants.S_IFDIR) return;
  try {
    rmdirBelow(root, path);
  } catch (error) {
    if (!isErrno(error, 'ENOTEMPTY', 'EEXIST')) throw error;
  }
}
