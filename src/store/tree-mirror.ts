/**
 * A copy of a directory that shares its blocks, made while others write to it, and brought up to date again and again: what
 * changed since the last time is told by inodes and ctimes. So the last time, when everybody stands still, takes as long as
 * there are changes, and a look at each entry.
 */
import {constants} from 'node:fs';
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
  type WalkedEntry,
  walkTree,
} from '../binding/index.js';
import {CoracleError, NativeFailure} from '../errors.js';
import {copyAttributes} from './copy-tree.js';

export class TreeMirror implements Disposable {
  readonly #source;
  readonly #target: number;
  /** Entries of the copy, as they were at the source when they were looked at. */
  #known = new Map<string, WalkedEntry>();
  readonly #asRoot = isHostRoot();

  /** @param target descriptor of an empty directory on the same file system */
  constructor(source: string, target: number) {
    this.#source = openDirectory(source);
    this.#target = target;
  }

  /**
   * Makes the copy what the source is. What others change meanwhile may be in it or not.
   * @returns how many entries were made anew
   * @throws `ERR_SNAPSHOT_UNSUPPORTED` where the file system does not share blocks
   */
  async update(): Promise<number> {
    const from = BigInt(Date.now()) * 1_000_000n - CTIME_NS;
    const found = await walkTree(this.#source.fd);
    const now = new Map(found.map(entry => [entry.path, entry]));
    const isKept = ({path, mode, inode, ctimeNs}: WalkedEntry) => {
      const before = this.#known.get(path);
      if (before?.inode !== inode || (before.mode ^ mode) & constants.S_IFMT) return false;
      return isDirectory(mode) || before.ctimeNs === ctimeNs;
    };
    const touched = new Set(['']);
    for (const {path} of this.#known.values()) {
      const entry = now.get(path);
      if (entry !== undefined && isKept(entry)) continue;
      removeTreeSync(this.#target, bytes(path));
      touched.add(parentOf(path));
    }
    // With a directory that became another one went what was below it.
    const anew = new Set<string>();
    const missing = found.filter(entry => {
      const isMissing = !isKept(entry) || anew.has(parentOf(entry.path));
      if (isMissing && isDirectory(entry.mode)) anew.add(entry.path);
      return isMissing;
    });
    await this.#make(missing, now);
    for (const {path, mode, ctimeNs} of found) {
      if (isDirectory(mode) && this.#known.get(path)?.ctimeNs !== ctimeNs) touched.add(path);
    }
    for (const {path} of missing) touched.add(parentOf(path));
    this.#finishDirectories([...touched].filter(path => path === '' || now.has(path)));
    // A tick of the clock may hide a second change: what is young counts as changed the next time.
    for (const entry of found)
      if (entry.ctimeNs >= from && now.has(entry.path)) now.set(entry.path, {...entry, ctimeNs: -1n});
    this.#known = now;
    return missing.length;
  }

  /** @param now loses those that are gone by now */
  async #make(missing: readonly WalkedEntry[], now: Map<string, WalkedEntry>): Promise<void> {
    const links = new Map<bigint, string>();
    const make = async (entry: WalkedEntry) => {
      try {
        await this.#makeOne(entry, links);
      } catch (error) {
        // It is gone, or is another by now: the next look shows it.
        if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'EEXIST')) throw error;
        removeTreeSync(this.#target, bytes(entry.path));
        now.delete(entry.path);
      }
    };
    for (const entry of missing) if (isDirectory(entry.mode)) await make(entry);
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
  #finishDirectories(paths: readonly string[]): void {
    for (const path of [...paths].sort().reverse()) {
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

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

function bytes(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}
