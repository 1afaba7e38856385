/**
 * The file that a backup is written to until it is whole, beside the one that it will be. It is locked as long as its writer
 * lives (flock(2)): what others left that were killed goes with the next backup of that name.
 */
import {randomBytes} from 'node:crypto';
import {readdirSync, rmSync, statSync} from 'node:fs';
import {type FileHandle, open, rename, rm} from 'node:fs/promises';
import {basename, dirname, join} from 'node:path';
import {LOCK_EXCLUSIVE, tryLock} from '../sdk/index.js';
import {tryHold} from './layout/leftovers.js';

export class PartFile implements AsyncDisposable {
  readonly path: string;
  readonly file: FileHandle;
  readonly #target: string;

  private constructor(target: string, path: string, file: FileHandle) {
    this.#target = target;
    this.path = path;
    this.file = file;
  }

  /** @param target what it will be, absolute */
  static async open(target: string): Promise<PartFile> {
    for (const path of partsOf(target)) {
      using held = tryHold(path);
      if (held !== undefined) rmSync(path, {force: true});
    }
    for (;;) {
      const path = `${target}.${randomBytes(6).toString('hex')}.part`;
      const file = await open(path, 'wx', 0o600); // it may hold what the volume keeps from others
      if (await lock(file, path)) return new PartFile(target, path, file);
      await file.close(); // another backup took it for one that was left
    }
  }

  /** It takes the place of what is there by that name, at once; its content has to be on the disk. */
  async commit(): Promise<void> {
    await rename(this.path, this.#target);
    await using directory = await open(dirname(this.#target), 'r');
    await directory.sync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, {force: true}); // nothing is there any more once it was committed
    await this.file.close();
  }
}

function partsOf(target: string): string[] {
  const [directory, name] = [dirname(target), basename(target)];
  return readdirSync(directory)
    .filter(each => each.startsWith(`${name}.`) && PART.test(each.slice(name.length)))
    .map(each => join(directory, each));
}

const PART = /^\.[0-9a-f]{12}\.part$/;

async function lock(file: FileHandle, path: string): Promise<boolean> {
  if (!tryLock(file.fd, LOCK_EXCLUSIVE)) return false;
  const {ino, dev} = await file.stat();
  const there = statSync(path, {throwIfNoEntry: false});
  return there?.ino === ino && there.dev === dev;
}
