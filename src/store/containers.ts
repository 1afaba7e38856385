/**
 * The containers of a store: `containers/ID/config.json` each, and `names/NAME`, a symlink to the id. Those that stay are
 * below the root, those that live as long as their run in the live directory, made and removed by the plan of their run.
 * A name is reserved by making its symlink, which only one process can; then none of that name may be in the other place.
 */
import {
  closeSync,
  existsSync,
  lstatSync,
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
import {isAlive, openDirectory, type ProcessIdentity, removeTree} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {withLock} from './lock.js';
import {readRecord, type WriteOptions, writeRecord} from './records.js';
import {explainRefusal} from './roots.js';
import {Workspace} from './workspace.js';

export class Containers {
  readonly #root: string;
  readonly #live: string;
  readonly #work: string;

  /** @param live where records of containers that live as long as their run are */
  constructor(root: string, live: string) {
    this.#root = root;
    this.#live = live;
    this.#work = join(root, 'work');
  }

  /** 64 hexadecimal digits, as Docker's. */
  newId(): string {
    return randomDigits(64);
  }

  /** Of a container that stays: everything of it, whether it exists or not. */
  keptDirectory(id: string): string {
    return join(this.#root, 'containers', id);
  }

  /** The symlink that reserves a name for a container that stays. */
  keptName(name: string): string {
    return `${this.#root}/names/${name}`;
  }

  /**
   * Of one that lives as long as its run.
   * @param launcher who runs it: when that is gone, and the record as well, what is left of it may go
   */
  livePlaces(
    id: string,
    name: string,
    launcher: ProcessIdentity,
  ): {directory: string; name: string; writable: string; otherName: string} {
    return {
      directory: `${this.#live}/containers/${id}`,
      name: `${this.#live}/names/${name}`,
      writable: `${this.#root}/transient/${launcher.pid}-${launcher.startTime}-${id}`,
      otherName: this.keptName(name),
    };
  }

  /** Where the records of a container are; undefined when there is none of this id. */
  find(id: string): string | undefined {
    return [this.#live, this.#root]
      .map(place => join(place, 'containers', id))
      .find(directory => existsSync(join(directory, 'config.json')));
  }

  /**
   * Takes a name for a container until `releaseName` or `remove`. A name whose container was never finished, because
   * its process died, is free.
   * @throws `ERR_INVALID_NAME`, `ERR_NAME_IN_USE` with Docker's messages; `ERR_ROOT_NOT_WRITABLE`
   */
  reserveName(name: string, id: string): void {
    checkName(name);
    const names = join(this.#root, 'names');
    try {
      symlinkSync(id, join(names, name));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw explainRefusal(names, cause);
      throw nameInUse(name, this.#holder(name), cause);
    }
    const other = linkTarget(join(this.#live, 'names', name));
    if (other === undefined) return;
    this.releaseName(name, id);
    throw nameInUse(name, other);
  }

  /** Only if it is this container's. */
  releaseName(name: string, id: string): void {
    releaseLink(this.keptName(name), id);
  }

  /**
   * Gives a container another name. Whoever dies in between leaves two names, of which the next open drops the wrong one.
   * @param live whether it lives as long as its run: then the plan of that run knows the first name only
   * @param publish writes the record under the new name
   * @throws as `reserveName`
   */
  rename(id: string, from: string, to: string, live: boolean, publish: () => void): void {
    if (live) this.#reserveLiveName(to, id);
    else this.reserveName(to, id);
    const places = live ? join(this.#live, 'names') : join(this.#root, 'names');
    try {
      publish();
    } catch (error) {
      releaseLink(join(places, to), id);
      throw error;
    }
    releaseLink(join(places, from), id);
  }

  /** Marked, since nobody removes it with the container: `dropStaleName` does. */
  #reserveLiveName(name: string, id: string): void {
    checkName(name);
    const holder = this.#holder(name);
    if (holder !== undefined) throw nameInUse(name, holder);
    const path = join(this.#live, 'names', name);
    try {
      symlinkSync(`${id}${RENAMED}`, path);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw explainRefusal(path, cause);
      throw nameInUse(name, this.#holder(name), cause);
    }
    const other = linkTarget(this.keptName(name));
    if (other === undefined) return;
    releaseLink(path, id);
    throw nameInUse(name, other);
  }

  /** A name that a container was given while it ran, and that outlived it, is free. @returns whether it was one */
  async dropStaleName(name: string): Promise<boolean> {
    const path = join(this.#live, 'names', name);
    const isStale = () => {
      const target = rawTarget(path);
      return target?.endsWith(RENAMED) === true && !existsSync(join(this.#live, 'containers', target));
    };
    return isStale() && (await withLock(join(this.#live, 'rename.lock'), () => isStale() && removed(path)));
  }

  /** Holds off other changes of containers that live as long as their runs. */
  withLiveLock<T>(work: () => T | Promise<T>): Promise<T> {
    return withLock(join(this.#live, 'rename.lock'), work);
  }

  /** The container becomes visible: its directory with `config.json`, on disk when the call returns. */
  create(id: string, config: unknown, options?: WriteOptions): void {
    const directory = this.keptDirectory(id);
    mkdirSync(directory, {mode: 0o700});
    writeRecord(join(directory, 'config.json'), config, options);
  }

  /**
   * By id, name or unambiguous beginning of an id.
   * @throws `ERR_CONTAINER_NOT_FOUND`, `ERR_AMBIGUOUS_ID` with Docker's messages
   */
  resolve(nameOrId: string): string {
    if (ID.test(nameOrId) && this.find(nameOrId) !== undefined) return nameOrId;
    const name = nameOrId.replace(/^\//, '');
    if (NAME.test(name)) {
      const holder = this.#holder(name);
      if (holder !== undefined && this.find(holder) !== undefined) return holder;
    }
    const matches = /^[a-f0-9]+$/.test(nameOrId) ? this.ids().filter(id => id.startsWith(nameOrId)) : [];
    if (matches.length > 1) {
      throw new CoracleError('ERR_AMBIGUOUS_ID', `multiple IDs found with provided prefix: ${nameOrId}`, {
        details: {prefix: nameOrId, ids: matches},
      });
    }
    if (matches[0] !== undefined) return matches[0];
    throw containerNotFound(nameOrId);
  }

  /** All that have a `config.json`, in no order. */
  ids(): string[] {
    return [this.#live, this.#root]
      .flatMap(place => readdirSync(join(place, 'containers')))
      .filter(name => ID.test(name) && this.find(name) !== undefined);
  }

  /** A record of a container's, undefined when it has none: `config.json`, `exit.json`. @throws `ERR_RECORD_DAMAGED` */
  read(id: string, file: string): unknown {
    const directory = this.find(id);
    return directory && readRecord(join(directory, file));
  }

  /** `waiting.json` of each start ahead of time that nobody has taken yet, and maybe never will. @throws `ERR_RECORD_DAMAGED` */
  waiting(): unknown[] {
    const directory = join(this.#live, 'containers');
    return readdirSync(directory)
      .filter(id => this.find(id) === undefined)
      .map(id => readRecord(join(directory, id, 'waiting.json')))
      .filter(record => record !== undefined);
  }

  /** Holds the lock of a container that stays. @throws `ERR_STORE_BUSY` */
  withLock<T>(id: string, work: () => T | Promise<T>): Promise<T> {
    return withLock(join(this.keptDirectory(id), 'lock'), work);
  }

  /**
   * What processes that died may have left: directories without a record and names without a container that have been
   * so for a minute, names that a container has no more, and writable layers whose launcher is gone and whose record as
   * well. May be done twice at once.
   * @param nameOf what the record of a container says; undefined for one that came later
   */
  async sweepUnfinished(nameOf: (id: string) => string | undefined): Promise<void> {
    for (const place of [this.#live, this.#root]) {
      const directory = join(place, 'containers');
      for (const id of readdirSync(directory)) {
        const path = join(directory, id);
        const isRecorded = this.find(id) !== undefined || existsSync(join(path, 'waiting.json'));
        if (!isRecorded && isOld(path)) await removeIn(directory, id);
      }
      for (const name of readdirSync(join(place, 'names'))) {
        const path = join(place, 'names', name);
        const id = linkTarget(path) ?? '';
        const isThere = id !== '' && existsSync(join(directory, id));
        const isIts = isThere && (nameOf(id) ?? name) === name;
        if (!isIts && isOld(path)) rmSync(path, {force: true});
      }
    }
    const transient = join(this.#root, 'transient');
    for (const name of readdirSync(transient)) {
      const [, pid, startTime, id] = /^(\d+)-(\d+)-([a-f0-9]{64})$/.exec(name) ?? [];
      if (id === undefined || isAlive({pid: Number(pid), startTime: Number(startTime)})) continue;
      if (this.find(id) === undefined) await removeIn(transient, name);
    }
  }

  /** One that stays: the directory with all that is in it, at once for everybody who looks; then the name. Absent is fine. */
  async remove(id: string, name: string): Promise<void> {
    await using work = Workspace.open(this.#work);
    try {
      renameSync(this.keptDirectory(id), join(work.path, 'container'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    this.releaseName(name, id);
    await removeTree(work.directory.fd, 'container');
  }

  #holder(name: string): string | undefined {
    return linkTarget(join(this.#live, 'names', name)) ?? linkTarget(this.keptName(name));
  }
}

export function containerNotFound(nameOrId: string): CoracleError {
  return new CoracleError('ERR_CONTAINER_NOT_FOUND', `No such container: ${nameOrId}`, {
    hint: 'See what there is: coracle ps --all',
    details: {container: nameOrId},
  });
}

function nameInUse(name: string, holder: string | undefined, cause?: unknown): CoracleError {
  return new CoracleError(
    'ERR_NAME_IN_USE',
    `Conflict. The container name "/${name}" is already in use by container "${holder}". ` +
      'You have to remove (or rename) that container to be able to reuse that name.',
    {cause, hint: `Remove it: coracle rm ${name}`, details: {name, id: holder}},
  );
}

/** Behind the id in the target of a name that was given to a container while it ran. */
const RENAMED = '/';

function linkTarget(path: string): string | undefined {
  const target = rawTarget(path);
  return target?.endsWith(RENAMED) ? target.slice(0, -RENAMED.length) : target;
}

function rawTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined; // there is none
  }
}

function releaseLink(path: string, id: string): void {
  if (linkTarget(path) === id) rmSync(path, {force: true});
}

function removed(path: string): boolean {
  rmSync(path, {force: true});
  return true;
}

function checkName(name: string): void {
  if (NAME.test(name)) return;
  throw new CoracleError(
    'ERR_INVALID_NAME',
    `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
  );
}

async function removeIn(parent: string, name: string): Promise<void> {
  using directory = openDirectory(parent);
  await removeTree(directory.fd, name);
}

/** Half-done things get this long before they count as abandoned. */
const UNFINISHED_MS = 60_000;

function isOld(path: string): boolean {
  const status = lstatSync(path, {throwIfNoEntry: false});
  return status !== undefined && Date.now() - status.ctimeMs > UNFINISHED_MS;
}

const ID = /^[a-f0-9]{64}$/;
/** moby, daemon/names/names.go: at least two characters. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** From random(4), since node:crypto takes 1-2 ms to load, which a short life of the command line would notice. */
function randomDigits(count: number): string {
  if (digits.length < count) {
    const random = openSync('/dev/urandom', 'r');
    try {
      const bytes = Buffer.alloc(256); // never cut short for so few
      readSync(random, bytes);
      digits = bytes.toString('hex');
    } finally {
      closeSync(random);
    }
  }
  const taken = digits.slice(0, count);
  digits = digits.slice(count);
  return taken;
}

let digits = '';
