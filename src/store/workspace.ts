/**
 * Directories for half-done things, and files, the records that `replaceFile` writes. What is complete is renamed out of
 * one; what remains is removed: at the end of the scope, or, when the process died, by the next one that opens the store. A
 * live owner is known by its lock, which the kernel drops with the process: no pid that could be somebody else's by now.
 */
import {constants, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {Descriptor, LOCK_EXCLUSIVE, openDirectory, removeTree, tryLock} from '../binding/index.js';
import {type Digest, hexOf} from '../oci/index.js';
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

  /** Says that this needs a layer or a blob of the store: nobody removes it while the workspace is there. */
  pin(kind: PinKind, digest: Digest): void {
    const pins = join(this.path, PINS, kind);
    mkdirSync(pins, {recursive: true, mode: 0o700});
    writeFileSync(join(pins, hexOf(digest)), '');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    using _directory = this.directory;
    if (!existsSync(this.#parent)) return; // it was removed, or its file system unmounted
    using parent = openDirectory(this.#parent);
    await removeTree(parent.fd, this.path.slice(this.#parent.length + 1));
  }
}

const WORKSPACE = 'work-';

function makeDirectory(parent: string): string {
  try {
    return mkdtempSync(join(parent, WORKSPACE));
  } catch (error) {
    throw explainRefusal(parent, error);
  }
}

/** Layers or blobs that workspaces need, by the hexadecimal digits of their digests. */
export function pinned(parent: string, kind: PinKind): Set<string> {
  return new Set(readdirSync(parent).flatMap(name => namesIn(join(parent, name, PINS, kind))));
}

export type PinKind = 'layers' | 'blobs';

const PINS = 'pins';

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}

/**
 * Removes what dead processes left in `parent`, which is made when missing.
 * @param tidy runs first when somebody died amid something: what it left elsewhere is found before this forgets it
 */
export async function sweepWorkspaces(parent: string, tidy?: () => Promise<void>): Promise<void> {
  mkdirSync(parent, {recursive: true, mode: 0o700});
  const left = readdirSync(parent);
  if (left.length === 0) return;
  using directory = openDirectory(parent);
  const dead: {readonly name: string; readonly held: Descriptor}[] = [];
  try {
    for (const name of left) {
      const held = tryOpen(join(parent, name));
      if (held === undefined) continue;
      if (tryLock(held.fd, LOCK_EXCLUSIVE)) dead.push({name, held});
      else held.close();
    }
    const workspaces = dead.filter(({name}) => name.startsWith(WORKSPACE));
    for (const {name} of workspaces) await removeTree(directory.fd, `${name}/${PINS}`);
    if (workspaces.length > 0) await tidy?.();
    for (const {name} of dead) await removeTree(directory.fd, name);
  } finally {
    for (const {held} of dead) held.close();
  }
}

function tryOpen(path: string): Descriptor | undefined {
  try {
    return new Descriptor(openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK));
  } catch {
    return undefined; // gone meanwhile: its owner lives
  }
}
