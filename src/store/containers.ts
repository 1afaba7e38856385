/**
 * The containers of a store: `containers/ID/config.json` each, and `names/NAME`, a symlink to the id. Those that stay are
 * below the root, those that live as long as their run in the live directory, made and removed by the plan of their run.
 * A name is reserved by making its symlink, which only one process can; then none of that name may be in the other place.
 *
 * A container has its record before it has its name, and loses the name first: whoever dies in between leaves one without
 * a name, which nobody sees and the next open removes, and never a name that nobody has.
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
import {type Descriptor, isAlive, openDirectory, type ProcessIdentity, removeTree} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {tryAcquire, withLock} from './lock.js';
import {readRecord, syncDirectory, type WriteOptions, writeRecord} from './records.js';
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
   * Takes a name for a container until `releaseName` or `remove`.
   * @throws `ERR_INVALID_NAME`, `ERR_NAME_IN_USE` with Docker's messages; `ERR_ROOT_NOT_WRITABLE`
   */
  #reserveName(name: string, id: string): void {
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
    this.#releaseName(name, id);
    throw nameInUse(name, other);
  }

  /** Only if it is this container's. */
  #releaseName(name: string, id: string): void {
    releaseLink(this.keptName(name), id);
  }

  /**
   * Gives a container another name. Whoever dies in between leaves two names, of which the next open drops the wrong one.
   * @param live whether it lives as long as its run: then the plan of that run knows the first name only
   * @param publish writes the record under the new name
   * @throws as `create`
   */
  rename(id: string, from: string, to: string, live: boolean, publish: () => void): void {
    if (live) this.#reserveLiveName(to, id);
    else this.#reserveName(to, id);
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

  /**
   * A name whose container is gone is free: one that removes itself takes only its first name along. @returns whether it was
   * one
   */
  async dropStaleName(name: string): Promise<boolean> {
    let dropped = false;
    for (const place of [this.#live, this.#root]) {
      const path = join(place, 'names', name);
      const isStale = () => {
        const id = linkTarget(path);
        return id !== undefined && !existsSync(join(place, 'containers', id));
      };
      // Under a lock: a moment later the name may be another's.
      if (isStale() && (await this.withLiveLock(() => isStale() && removed(path)))) dropped = true;
    }
    return dropped;
  }

  /** Holds off other changes of containers that live as long as their runs. */
  withLiveLock<T>(work: () => T | Promise<T>): Promise<T> {
    return withLock(join(this.#live, 'rename.lock'), work);
  }

  /**
   * One that stays, with a place for what it writes, or with what `fill` puts into its directory. It becomes visible with its name; its record is on disk when this
   * resolves.
   * @throws `ERR_INVALID_NAME`, `ERR_NAME_IN_USE` with Docker's messages; `ERR_ROOT_NOT_WRITABLE`
   */
  async create(
    id: string,
    name: string,
    config: unknown,
    {fill, ...options}: WriteOptions & {readonly fill?: (directory: string) => Promise<void>} = {},
  ): Promise<void> {
    checkName(name);
    const holder = this.#holder(name);
    if (holder !== undefined) throw nameInUse(name, holder); // before anything is made
    await using work = Workspace.open(this.#work);
    const made = join(work.path, 'container');
    const directory = this.keptDirectory(id);
    mkdirSync(made, {mode: 0o700});
    if (fill === undefined) {
      mkdirSync(join(made, 'upper'), {mode: 0o755});
      mkdirSync(join(made, 'work'), {mode: 0o700});
    } else {
      await fill(made);
    }
    writeRecord(join(made, 'config.json'), config, options);
    using _lock = tryAcquire(join(made, 'lock')); // nobody takes it for abandoned before it has its name
    renameSync(made, directory);
    try {
      this.#reserveName(name, id);
      if (options.durable !== false) syncDirectory(join(this.#root, 'containers'));
    } catch (error) {
      renameSync(directory, made);
      throw error;
    }
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

  /** Holds the lock of a container that stays. @throws `ERR_STORE_BUSY`, `ERR_CONTAINER_NOT_FOUND` when it was removed meanwhile */
  async withLock<T>(id: string, work: () => T | Promise<T>): Promise<T> {
    let isHeld = false;
    try {
      return await withLock(join(this.keptDirectory(id), 'lock'), () => {
        isHeld = true;
        return work();
      });
    } catch (error) {
      const isGone = !isHeld && (error as NodeJS.ErrnoException).code === 'ENOENT';
      throw isGone ? containerNotFound(id) : error;
    }
  }

  /** Whether a container that stays holds its name; one that does not is being made or removed, or was when somebody died. */
  holdsName(id: string, name: string): boolean {
    return linkTarget(this.keptName(name)) === id;
  }

  /** The lock of one that stays if nobody has it. */
  tryLock(id: string): Descriptor | undefined {
    try {
      return tryAcquire(join(this.keptDirectory(id), 'lock'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined; // removed meanwhile
      throw error;
    }
  }

  /**
   * What processes that died may have left: directories without a record, names that a container has no more, names without
   * a container, and writable layers whose launcher is gone and whose record as well. A directory that somebody may be about
   * to finish gets a minute. May be done twice at once.
   */
  async sweepUnfinished(): Promise<void> {
    await this.#sweepTransient();
    for (const place of [this.#root, this.#live]) {
      const directory = join(place, 'containers');
      for (const id of readdirSync(directory)) {
        const path = join(directory, id);
        const isRecorded = this.find(id) !== undefined || existsSync(join(path, 'waiting.json'));
        // One that stays comes with its record: without, it was removed half.
        if (!isRecorded && (place === this.#root || isOld(path))) await removeIn(directory, id);
      }
      for (const name of readdirSync(join(place, 'names'))) await this.#sweepName(place, name);
    }
  }

  /** Pids of launchers that died before all that they had begun was removed. */
  deadLaunchers(): Set<number> {
    return new Set(this.#abandoned().map(({pid}) => pid));
  }

  async #sweepTransient(): Promise<void> {
    for (const {name, id} of this.#abandoned()) {
      if (this.find(id) !== undefined) continue;
      await removeIn(join(this.#live, 'containers'), id);
      await removeIn(join(this.#root, 'transient'), name);
    }
  }

  /** Writable layers whose launcher is dead. */
  #abandoned(): {readonly name: string; readonly pid: number; readonly id: string}[] {
    return readdirSync(join(this.#root, 'transient')).flatMap(name => {
      const [, pid, startTime, id] = /^(\d+)-(\d+)-([a-f0-9]{64})$/.exec(name) ?? [];
      if (id === undefined || isAlive({pid: Number(pid), startTime: Number(startTime)})) return [];
      return [{name, pid: Number(pid), id}];
    });
  }

  async #sweepName(place: string, name: string): Promise<void> {
    const path = join(place, 'names', name);
    const id = linkTarget(path);
    if (id === undefined || (await this.dropStaleName(name))) return;
    if (this.#nameOf(id) === name) return;
    // Whoever renames it has both names for a moment, and a lock.
    const drop = () => {
      const now = this.#nameOf(id);
      if (now !== undefined && now !== name) releaseLink(path, id);
    };
    if (place === this.#live) return this.withLiveLock(drop);
    using lock = this.tryLock(id);
    if (lock !== undefined) drop();
  }

  #nameOf(id: string): string | undefined {
    return (this.read(id, 'config.json') as {name?: string} | undefined)?.name;
  }

  /** One that stays: its name; then the directory with all that is in it, at once for everybody who looks. Absent is fine. */
  async remove(id: string, name: string): Promise<void> {
    await using work = Workspace.open(this.#work);
    this.#releaseName(name, id);
    try {
      renameSync(this.keptDirectory(id), join(work.path, 'container'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
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
