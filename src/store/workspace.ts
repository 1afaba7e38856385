/**
 * Directories for half-done things, and files, the records that `replaceFile` writes. What is complete is renamed out of
 * one; what remains is removed: at the end of the scope, or, when the process died, by the next one that opens the store. A
 * live owner is known by its lock, which the kernel drops with the process: no pid that could be somebody else's by now.
 */
import {constants, mkdirSync, mkdtempSync, openSync, readdirSync} from 'node:fs';
import {join} from 'node:path';
import {Descriptor, LOCK_EXCLUSIVE, openDirectory, removeTree, tryLock} from '../binding/index.js';
import {isStillAt} from './lock.js';
import {explainRefusal} from './roots.js';

export class Workspace implements AsyncDisposable {
  readonly path: string;
  readonly directory: Descriptor;
  readonly #parent: string;

  private constructor(parent: string, path: string, directory: Descriptor) {
    this.#parent = parent;
    this.path = path;
    this.directory = directory;
  }

  /** @param parent a directory on the file system where the result will live @throws `ERR_ROOT_NOT_WRITABLE` */
  static open(parent: string): Workspace {
    for (;;) {
      const path = makeDirectory(parent);
      let directory: Descriptor;
      try {
        directory = openDirectory(path);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue; // swept before it was locked
        throw error;
      }
      if (tryLock(directory.fd, LOCK_EXCLUSIVE) && isStillAt(directory.fd, path)) {
        return new Workspace(parent, path, directory);
      }
      directory.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    using parent = openDirectory(this.#parent);
    await removeTree(parent.fd, this.path.slice(this.#parent.length + 1));
    this.directory.close();
  }
}

function makeDirectory(parent: string): string {
  try {
    return mkdtempSync(join(parent, 'work-'));
  } catch (error) {
    throw explainRefusal(parent, error);
  }
}

/** Removes what dead processes left in `parent`, which is made when missing. */
export async function sweepWorkspaces(parent: string): Promise<void> {
  mkdirSync(parent, {recursive: true, mode: 0o700});
  const left = readdirSync(parent);
  if (left.length === 0) return;
  using directory = openDirectory(parent);
  for (const name of left) {
    using abandoned = tryOpen(join(parent, name));
    if (abandoned && tryLock(abandoned.fd, LOCK_EXCLUSIVE)) await removeTree(directory.fd, name);
  }
}

function tryOpen(path: string): Descriptor | undefined {
  try {
    return new Descriptor(openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK));
  } catch {
    return undefined; // gone meanwhile: its owner lives
  }
}
