/**
 * Images of this host's own programs: nothing is pulled, and what runs inside is what is installed here. The files are
 * packed into a layer like any other, in a fixed order, owned by root, so that equal hosts make equal layers.
 */
import {accessSync, constants, existsSync, lstatSync, readdirSync, readlinkSync, statSync} from 'node:fs';
import {open} from 'node:fs/promises';
import {delimiter, dirname, isAbsolute, join, posix} from 'node:path';
import {CoracleError} from '../errors.js';
import {digestOf, hexOf, parseReference} from '../oci/index.js';
import type {ImageShelves} from './add-image.js';
import {findLibraries} from './find-libraries.js';
import type {StoredImage} from './images.js';
import {importImage} from './import-image.js';
import {readRecord, writeRecord} from './records.js';
import {TAR_END, tarHeader, tarPadding} from './write-tar.js';

export interface HostImageOptions {
  /** The image's name. */
  readonly name: string;
  /** Absolute paths, or names looked up on the PATH. The first is the default command. */
  readonly binaries: readonly string[];
  /** More files and directories of the host, by absolute path: they are at the same place in the image. */
  readonly files?: readonly string[];
  /** Added to PATH, which names the directories of the binaries. */
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/**
 * An image of this host's programs, the libraries they need, and as much of /etc as libc wants. While none of the
 * files changed, the image made before is returned.
 * @throws `ERR_BINARY_NOT_FOUND`, `ERR_LIBRARY_NOT_FOUND`, `ERR_UNSUPPORTED_BINARY`, `ERR_FILE_NOT_FOUND`
 */
export async function imageFromHost(
  shelves: ImageShelves,
  memory: string,
  options: HostImageOptions,
): Promise<StoredImage> {
  const reference = parseReference(options.name);
  const binaries = options.binaries.map(findBinary);
  if (binaries[0] === undefined) {
    throw new CoracleError(
      'ERR_INVALID_OPTION',
      'binaries: an image of this host needs at least one program',
    );
  }
  const config = {
    Env: environment(binaries, options.env),
    Cmd: [binaries[0]],
    WorkingDir: '/',
  };
  const key = digestOf(JSON.stringify([FORMAT, binaries, options.files ?? [], config]));
  const remembered = join(memory, `${hexOf(key)}.json`);
  const known = recall(shelves, remembered);
  if (known !== undefined) return shelves.images.tag(known.id, reference);

  const tree = new HostTree();
  for (const path of findLibraries(...binaries)) tree.add(path);
  for (const path of options.files ?? []) tree.addAll(path);
  if (existsSync('/etc/ld.so.cache')) tree.add('/etc/ld.so.cache');
  tree.addRootLinks();
  const image = await importImage(shelves, packTree(tree), {
    reference,
    config,
    message: 'Made of programs of this host',
    ...(options.signal && {signal: options.signal}),
  });
  writeRecord(remembered, {id: image.id, files: tree.identities()} satisfies Remembered, {
    durable: false,
    work: shelves.work,
  });
  return image;
}

/** The programs of `host-shell`: those of them that this host has. */
export const HOST_SHELL_BINARIES: readonly string[] = [
  ...[
    'sh',
    'bash',
    'cat',
    'chmod',
    'chown',
    'cp',
    'cut',
    'date',
    'dd',
    'df',
    'dirname',
    'basename',
    'du',
    'echo',
  ],
  ...[
    'env',
    'expr',
    'false',
    'find',
    'free',
    'grep',
    'gzip',
    'head',
    'hostname',
    'id',
    'kill',
    'ln',
    'ls',
    'mkdir',
  ],
  ...[
    'mkfifo',
    'mktemp',
    'mount',
    'mv',
    'nproc',
    'od',
    'printenv',
    'printf',
    'ps',
    'pwd',
    'readlink',
    'rm',
    'rmdir',
  ],
  ...[
    'sed',
    'seq',
    'sha256sum',
    'sleep',
    'sort',
    'stat',
    'stty',
    'sync',
    'tail',
    'tar',
    'tee',
    'test',
    'timeout',
  ],
  ...['touch', 'tr', 'true', 'truncate', 'tty', 'umount', 'uname', 'uniq', 'wc', 'whoami', 'xargs', 'yes'],
];

/** The ready-made image of a shell and the usual small programs. */
export function hostShell(name = 'host-shell'): HostImageOptions {
  return {name, binaries: HOST_SHELL_BINARIES.filter(binary => tryFindBinary(binary) !== undefined)};
}

/** Raise it when the same input makes another image. */
const FORMAT = 1;

interface Remembered {
  readonly id: string;
  /** Path, modification time in nanoseconds and size of every file and symlink packed. */
  readonly files: readonly (readonly [string, string, number])[];
}

function recall(shelves: ImageShelves, path: string): StoredImage | undefined {
  const record = readRecord(path) as Remembered | undefined;
  if (record === undefined || !record.files.every(file => identityOf(file[0])?.join() === file.join()))
    return undefined;
  return shelves.images.find(record.id);
}

function identityOf(path: string): readonly [string, string, number] | undefined {
  const status = lstatSync(path, {bigint: true, throwIfNoEntry: false});
  return status && [path, String(status.mtimeNs), Number(status.size)];
}

function findBinary(name: string): string {
  const path = tryFindBinary(name);
  if (path !== undefined) return path;
  throw new CoracleError('ERR_BINARY_NOT_FOUND', `${name}: there is no such program on this host`, {
    details: {binary: name},
  });
}

function tryFindBinary(name: string): string | undefined {
  if (isAbsolute(name)) return isProgram(name) ? posix.normalize(name) : undefined;
  if (name.includes('/')) return undefined;
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), ...STANDARD_PATH];
  return directories
    .filter(isAbsolute)
    .map(directory => join(directory, name))
    .find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

const STANDARD_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

function environment(binaries: readonly string[], added: Readonly<Record<string, string>> = {}): string[] {
  const path = [...new Set([...binaries.map(binary => dirname(binary)), ...STANDARD_PATH])].join(':');
  return Object.entries({PATH: path, ...added}).map(([name, value]) => `${name}=${value}`);
}

/** What of the host goes into the image: each path that leads somewhere, symlinks as symlinks. */
class HostTree {
  /** Path to what is there; symlinks by their target. */
  readonly files = new Set<string>();
  readonly links = new Map<string, string>();
  readonly directories = new Set<string>();

  /** The file, and every directory and symlink on the way to it. */
  add(path: string): void {
    const pending = path.split('/').reverse();
    let at = '/';
    for (let links = 0; pending.length > 0; ) {
      const component = pending.pop()!;
      if (component === '' || component === '.') continue;
      const next = posix.join(at, component);
      const status = lstatSync(next, {throwIfNoEntry: false});
      if (status === undefined)
        throw new CoracleError('ERR_FILE_NOT_FOUND', `${path}: no such file or directory`);
      if (status.isSymbolicLink()) {
        if (++links > 40)
          throw new CoracleError('ERR_FILE_NOT_FOUND', `${path}: too many levels of symbolic links`);
        const target = readlinkSync(next);
        this.links.set(next, target);
        if (target.startsWith('/')) at = '/';
        pending.push(...target.split('/').reverse());
      } else if (status.isDirectory()) {
        if (component !== '..') this.directories.add(next);
        at = next;
      } else if (status.isFile()) {
        this.files.add(next);
      } // sockets, devices and fifos are not content
    }
  }

  /** A directory with all below it. */
  addAll(path: string): void {
    if (!isAbsolute(path))
      throw new CoracleError('ERR_INVALID_OPTION', `files: ${path} is not an absolute path`);
    this.add(path);
    const status = lstatSync(path);
    if (!status.isDirectory()) return;
    for (const name of readdirSync(path).sort()) {
      const child = join(path, name);
      if (!lstatSync(child).isSymbolicLink()) this.addAll(child);
      else this.links.set(child, readlinkSync(child)); // it may lead anywhere, or nowhere
    }
  }

  /** Scripts say /bin/sh where the PATH found /usr/bin/sh: on hosts with a merged /usr the one is a symlink. */
  addRootLinks(): void {
    for (const link of ['/bin', '/sbin']) {
      if (!lstatSync(link, {throwIfNoEntry: false})?.isSymbolicLink()) continue;
      const target = readlinkSync(link);
      if (this.directories.has(posix.resolve('/', target))) this.links.set(link, target);
    }
  }

  identities(): Remembered['files'] {
    return [...this.files, ...this.links.keys()].map(path => identityOf(path)!);
  }
}

async function* packTree({files, links, directories}: HostTree): AsyncGenerator<Buffer> {
  const paths = [...files, ...links.keys(), ...directories, ...OWN_DIRECTORIES.keys(), ...OWN_FILES.keys()];
  for (const at of [...new Set(paths)].sort()) {
    const path = at.slice(1);
    const own = OWN_FILES.get(at);
    const target = links.get(at);
    const mode = OWN_DIRECTORIES.get(at);
    if (own !== undefined) yield* packContent(path, own);
    else if (mode !== undefined) yield tarHeader({type: 'directory', path, mode});
    else if (target !== undefined) yield tarHeader({type: 'symlink', path, target});
    else if (directories.has(at)) yield tarHeader({type: 'directory', path});
    else yield* packFile(at, path);
  }
  yield TAR_END;
}

function* packContent(path: string, text: string): Generator<Buffer> {
  const content = Buffer.from(text);
  yield tarHeader({type: 'file', path, size: content.length});
  yield content;
  yield tarPadding(content.length);
}

/** Set-id bits stay behind: inside, everybody who needs root is root already. */
async function* packFile(source: string, path: string): AsyncGenerator<Buffer> {
  await using file = await open(source);
  const {size: bytes, mode, mtimeNs} = await file.stat({bigint: true});
  const size = Number(bytes);
  yield tarHeader({type: 'file', path, size, mode: Number(mode) & 0o777, mtimeNs});
  let left = size;
  if (size > 0) {
    for await (const chunk of file.createReadStream({
      end: size - 1,
      highWaterMark: 262_144,
      autoClose: false,
    })) {
      left -= (chunk as Buffer).length;
      yield chunk as Buffer;
    }
  }
  if (left !== 0) throw new CoracleError('ERR_FILE_UNREADABLE', `${source} changed while it was read`);
  yield tarPadding(size);
}

/** With their modes. */
const OWN_DIRECTORIES: ReadonlyMap<string, number> = new Map([
  ['/etc', 0o755],
  ['/root', 0o700],
  ['/tmp', 0o1777],
]);

/** With their contents. */
const OWN_FILES: ReadonlyMap<string, string> = new Map([
  [
    '/etc/passwd',
    'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n',
  ],
  ['/etc/group', 'root:x:0:\nnogroup:x:65534:\n'],
  ['/etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files dns\n'],
]);
