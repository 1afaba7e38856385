/**
 * A copy of a directory that shares its blocks, made while others write to it, and brought up to date again and again: what
 * changed since the last time is told by inodes and ctimes. So the last time, when everybody stands still, takes as long as
 * there are changes, and a look at each entry.
 */
import {constants} from 'node:fs';
import {setImmediate as breathe} from 'node:timers/promises';
import {
  cloneContent,
  type FileStatus,
  isErrno,
  isHostRoot,
  linkBelow,
  listXattrsBelow,
  mkdirBelow,
  mknodBelow,
  openBelow,
  openDirectory,
  readlinkBelow,
  removeTreeSync,
  removeXattrBelow,
  statBelow,
  symlinkBelow,
  type WalkChange,
  type WalkedEntry,
  WalkedTree,
} from '../binding/index.js';
import {CoracleError, NativeFailure} from '../errors.js';
import {copyAttributes} from './copy-tree.js';

export class TreeMirror implements Disposable {
  readonly #source;
  readonly #target: number;
  /** What the source was when the copy was made of it. */
  #known: WalkedTree | undefined;
  /** Memory for the next look. */
  #spare: WalkedTree | undefined;
  #lookMs = Number.POSITIVE_INFINITY;
  readonly #asRoot = isHostRoot();

  /** @param target descriptor of an empty directory on the same file system */
  constructor(source: string, target: number) {
    this.#source = openDirectory(source);
    this.#target = target;
  }

  /** What an update takes at least, when nothing has changed: a look at each entry. */
  get lookMs(): number {
    return this.#lookMs;
  }

  /**
   * Makes the copy what the source is. What others change meanwhile may be in it or not.
   * @returns how many entries were made anew
   * @throws `ERR_SNAPSHOT_UNSUPPORTED` where the file system does not share blocks
   */
  async update(): Promise<number> {
    const from = BigInt(Date.now()) * 1_000_000n - CTIME_NS;
    const begin = performance.now();
    const now = await WalkedTree.of(this.#source.fd, this.#spare);
    this.#lookMs = Math.min(this.#lookMs, performance.now() - begin);
    const {changed, gone} =
      this.#known === undefined
        ? {changed: [...now.entries()].map(entry => ({entry, before: undefined})), gone: []}
        : now.changesSince(this.#known);
    const touched = new Set(['']);
    const missing = changed.filter(change => !isKept(change)).map(({entry}) => entry);
    const replaced = changed.flatMap(change => (isKept(change) ? [] : (change.before ?? [])));
    for (const [index, {path}] of [...gone, ...replaced].entries()) {
      if (index % ENTRIES_AT_ONCE === ENTRIES_AT_ONCE - 1) await breathe();
      removeTreeSync(this.#target, bytes(path));
      touched.add(parentOf(path));
    }
    if (replaced.some(({mode}) => isDirectory(mode))) addAllBelow(missing, now);
    await this.#make(missing, now);
    for (const {path} of missing) touched.add(parentOf(path));
    for (const {entry} of changed) if (isDirectory(entry.mode)) touched.add(entry.path);
    for (const entry of missing) if (isDirectory(entry.mode)) touched.add(entry.path);
    await this.#finishDirectories([...touched]);
    // A tick of the clock may hide a second change: what is young counts as changed the next time.
    for (const {entry} of changed) if (entry.ctimeNs >= from) now.expire(entry);
    this.#spare = this.#known ?? now.another();
    this.#known = now;
    return missing.length;
  }

  async #make(missing: readonly WalkedEntry[], now: WalkedTree): Promise<void> {
    const links = new Map<bigint, string>();
    const make = async (entry: WalkedEntry) => {
      try {
        await this.#makeOne(entry, links);
      } catch (error) {
        // It is gone, or is another by now: the next look shows it.
        if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'EEXIST')) throw error;
        removeTreeSync(this.#target, bytes(entry.path));
        now.forget(entry);
      }
    };
    const directories = missing.filter(({mode}) => isDirectory(mode));
    for (const [index, entry] of directories.sort((a, b) => (a.path < b.path ? -1 : 1)).entries()) {
      if (index % ENTRIES_AT_ONCE === ENTRIES_AT_ONCE - 1) await breathe();
      await make(entry);
    }
    const others = missing.filter(({mode}) => !isDirectory(mode));
    for (let at = 0; at < others.length; at += AT_ONCE)
      await Promise.all(others.slice(at, at + AT_ONCE).map(make));
  }

  async #makeOne({path: name}: WalkedEntry, links: Map<bigint, string>): Promise<void> {
    const [source, target, path] = [this.#source.fd, this.#target, bytes(name)];
    const status = statBelow(source, path);
    const type = status.mode & constants.S_IFMT;
    if (type === constants.S_IFDIR) return mkdirBelow(target, path, 0o700);
    const first = status.links > 1 ? links.get(status.inode) : undefined;
    if (first !== undefined) return linkBelow(target, bytes(first), path);
    if (type === constants.S_IFREG) {
      if (status.links > 1) links.set(status.inode, name); // before anything is waited for
      await this.#clone(path);
    } else if (type === constants.S_IFLNK) symlinkBelow(target, path, readlinkBelow(source, path));
    else mknodBelow(target, path, status.mode, status.deviceMajor, status.deviceMinor);
    if (status.links > 1) links.set(status.inode, name);
    this.#copyAttributes(name, status);
  }

  async #clone(path: Buffer): Promise<void> {
    using from = openBelow(
      this.#source.fd,
      path,
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    using made = openBelow(this.#target, path, flags, 0o600);
    try {
      await cloneContent(from.fd, made.fd, path);
    } catch (error) {
      throw isErrno(error, 'ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOTTY', 'ENOSYS')
        ? unsupported(path, error)
        : error;
    }
  }

  /** Deepest first: what is made in one changes its times. */
  async #finishDirectories(paths: readonly string[]): Promise<void> {
    for (const [index, path] of [...paths].sort().reverse().entries()) {
      if (index % ENTRIES_AT_ONCE === ENTRIES_AT_ONCE - 1) await breathe();
      try {
        this.#copyAttributes(path, statBelow(this.#source.fd, bytes(path)));
      } catch (error) {
        if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
      }
    }
  }

  #copyAttributes(path: string, status: FileStatus): void {
    const source = {root: this.#source.fd, path, status};
    // What a directory's default ACL gives to what is made in it, or what it has no more.
    const names = listXattrsBelow(this.#source.fd, bytes(path));
    for (const name of listXattrsBelow(this.#target, bytes(path)))
      if (!names.includes(name) && !isInherent(name)) this.#removeXattr(path, name);
    copyAttributes({target: this.#target, asRoot: this.#asRoot, image: KEEPS_EVERYTHING}, source, path);
  }

  #removeXattr(path: string, name: string): void {
    try {
      removeXattrBelow(this.#target, bytes(path), name);
    } catch (error) {
      if (!isErrno(error, 'ENODATA')) throw error; // XFS has a second name for an ACL, gone with the first
    }
  }

  [Symbol.dispose](): void {
    this.#source.close();
  }
}

const KEEPS_EVERYTHING = {keepsEverything: true, list: () => []};
const AT_ONCE = 8;
/** What is done without a look at what else this process has to do, such as to let containers go on. */
const ENTRIES_AT_ONCE = 32;
/** More than a tick of the clock that ctimes are taken from. */
const CTIME_NS = 50_000_000n;

function unsupported(path: Buffer, cause: unknown): CoracleError {
  const errno = cause instanceof NativeFailure ? cause.errno : '';
  return new CoracleError(
    'ERR_SNAPSHOT_UNSUPPORTED',
    `no copy that shares blocks can be made of ${JSON.stringify(path.toString())}: ${errno}`,
    {
      cause,
      hint: 'It takes XFS or Btrfs below the store; with the fallback pause, containers stand still for longer.',
    },
  );
}

/** A security module gives it to everything. */
function isInherent(name: string): boolean {
  return name === 'security.selinux';
}

function isDirectory(mode: number): boolean {
  return (mode & constants.S_IFMT) === constants.S_IFDIR;
}

/** Is still there in the copy; a directory may have other attributes. */
function isKept({entry, before}: WalkChange): boolean {
  if (before === undefined || before.inode !== entry.inode) return false;
  return isDirectory(entry.mode) && isDirectory(before.mode);
}

/** With a directory that became another one went what was below it, also what is the same. */
function addAllBelow(missing: WalkedEntry[], now: WalkedTree): void {
  const known = new Set(missing.map(({path}) => path));
  const anew = new Set(missing.flatMap(({path, mode}) => (isDirectory(mode) ? [path] : [])));
  for (const entry of now.entries()) {
    if (!anew.has(parentOf(entry.path))) continue;
    if (isDirectory(entry.mode)) anew.add(entry.path);
    if (!known.has(entry.path)) missing.push(entry);
  }
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

function bytes(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}
