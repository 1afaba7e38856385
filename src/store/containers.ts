/**
 * The containers of a store: `containers/ID/config.json` each, and `names/NAME`, a symlink to the id. A name is
 * reserved by making its symlink, which only one process can.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import {join} from 'node:path';
import {removeTree} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {withLock} from './lock.js';
import {readRecord, type WriteOptions, writeRecord} from './records.js';
import {explainRefusal} from './roots.js';
import {Workspace} from './workspace.js';

export class Containers {
  readonly #directory: string;
  readonly #names: string;
  readonly #work: string;

  constructor(root: string) {
    this.#directory = join(root, 'containers');
    this.#names = join(root, 'names');
    this.#work = join(root, 'work');
  }

  /** 64 hexadecimal digits, as Docker's. */
  newId(): string {
    return randomBytes(32).toString('hex');
  }

  /** The container's directory, whether it exists or not. */
  directory(id: string): string {
    return join(this.#directory, id);
  }

  /**
   * Takes a name for a container until `releaseName` or `remove`. A name whose container was never finished, because
   * its process died, is free.
   * @throws `ERR_INVALID_NAME`, `ERR_NAME_IN_USE` with Docker's messages; `ERR_ROOT_NOT_WRITABLE`
   */
  reserveName(name: string, id: string): void {
    if (!NAME.test(name)) {
      throw new CoracleError(
        'ERR_INVALID_NAME',
        `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
      );
    }
    try {
      symlinkSync(id, join(this.#names, name));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw explainRefusal(this.#names, cause);
      const holder = this.#holder(name);
      throw new CoracleError(
        'ERR_NAME_IN_USE',
        `Conflict. The container name "/${name}" is already in use by container "${holder}". ` +
          'You have to remove (or rename) that container to be able to reuse that name.',
        {cause, hint: `Remove it: coracle rm ${name}`, details: {name, id: holder}},
      );
    }
  }

  /** Only if it is this container's. */
  releaseName(name: string, id: string): void {
    if (this.#holder(name) === id) rmSync(join(this.#names, name), {force: true});
  }

  /** The container becomes visible: its directory with `config.json`, on disk when the call returns. */
  create(id: string, config: unknown, options?: WriteOptions): void {
    mkdirSync(this.directory(id), {mode: 0o700});
    writeRecord(join(this.directory(id), 'config.json'), config, options);
  }

  /**
   * By id, name or unambiguous beginning of an id.
   * @throws `ERR_CONTAINER_NOT_FOUND`, `ERR_AMBIGUOUS_ID` with Docker's messages
   */
  resolve(nameOrId: string): string {
    if (ID.test(nameOrId) && this.#exists(nameOrId)) return nameOrId;
    const name = nameOrId.replace(/^\//, '');
    if (NAME.test(name)) {
      const holder = this.#holder(name);
      if (holder !== undefined && this.#exists(holder)) return holder;
    }
    const matches = /^[a-f0-9]+$/.test(nameOrId) ? this.ids().filter(id => id.startsWith(nameOrId)) : [];
    if (matches.length > 1) {
      throw new CoracleError('ERR_AMBIGUOUS_ID', `multiple IDs found with provided prefix: ${nameOrId}`, {
        details: {prefix: nameOrId, ids: matches},
      });
    }
    if (matches[0] !== undefined) return matches[0];
    throw new CoracleError('ERR_CONTAINER_NOT_FOUND', `No such container: ${nameOrId}`, {
      hint: 'See what there is: coracle ps --all',
      details: {container: nameOrId},
    });
  }

  /** All that have a `config.json`, in no order. */
  ids(): string[] {
    return readdirSync(this.#directory).filter(name => ID.test(name) && this.#exists(name));
  }

  /** A record of a container's, undefined when it has none: `config.json`, `exit.json`. @throws `ERR_RECORD_DAMAGED` */
  read(id: string, file: string): unknown {
    return readRecord(join(this.directory(id), file));
  }

  write(id: string, file: string, value: unknown, options?: WriteOptions): void {
    writeRecord(join(this.directory(id), file), value, options);
  }

  /** Holds the container's lock. @throws `ERR_STORE_BUSY` */
  withLock<T>(id: string, work: () => T | Promise<T>): Promise<T> {
    return withLock(join(this.directory(id), 'lock'), work);
  }

  /** The directory with all that is in it, at once for everybody who looks; then the name. Absent is fine. */
  async remove(id: string, name: string): Promise<void> {
    await using work = Workspace.open(this.#work);
    try {
      renameSync(this.directory(id), join(work.path, 'container'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    this.releaseName(name, id);
    await removeTree(work.directory.fd, 'container');
  }

  #exists(id: string): boolean {
    return existsSync(join(this.directory(id), 'config.json'));
  }

  #holder(name: string): string | undefined {
    try {
      return readlinkSync(join(this.#names, name));
    } catch {
      return undefined;
    }
  }
}

const ID = /^[a-f0-9]{64}$/;
/** moby, daemon/names/names.go: at least two characters. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** From random(4), since node:crypto takes 1-2 ms to load, which a short life of the command line would notice. */
function randomBytes(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  const random = openSync('/dev/urandom', 'r');
  try {
    readSync(random, bytes); // never short for 256 bytes or less
  } finally {
    closeSync(random);
  }
  return bytes;
}
