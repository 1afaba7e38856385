/** Where state lies, unless told otherwise, and which places cannot hold it. */
import {homedir} from 'node:os';
import {isAbsolute, join} from 'node:path';
import {type Descriptor, fileSystemMagic, isHostRoot, mkdirsBelow, openDirectory} from '../binding/index.js';
import {CoracleError, NativeFailure} from '../errors.js';

export interface Roots {
  /** What lasts: images, containers, volumes. */
  readonly root: string;
  /** What ends with the next boot: state of running containers, sockets. */
  readonly run: string;
}

/**
 * Explicit paths win, then `CORACLE_ROOT` and `CORACLE_RUN`, then configured ones, then the places of the user's kind:
 * /var/lib/coracle and /run/coracle for root, XDG's data and runtime directories for others. So the state of two users never mixes.
 */
export function resolveRoots(
  given: Partial<Roots> = {},
  environment: NodeJS.ProcessEnv = process.env,
  isRoot = isHostRoot(),
  configured: Partial<Roots> = {},
): Roots {
  const dataHome = () => environment['XDG_DATA_HOME'] || join(homedir(), '.local', 'share');
  const root =
    given.root ||
    environment['CORACLE_ROOT'] ||
    configured.root ||
    (isRoot ? '/var/lib/coracle' : join(dataHome(), 'coracle'));
  const runtime = environment['XDG_RUNTIME_DIR'];
  const userRun = runtime ? join(runtime, 'coracle') : join(root, 'run');
  const run =
    given.run || environment['CORACLE_RUN'] || configured.run || (isRoot ? '/run/coracle' : userRun);
  for (const [name, path] of Object.entries({root, run})) {
    if (!isAbsolute(path)) {
      throw new CoracleError('ERR_INVALID_OPTION', `the ${name} directory ${path} is not an absolute path`);
    }
  }
  return {root, run};
}

/**
 * Makes the directory, for its owner alone, and opens it.
 * @throws `ERR_ROOT_NOT_WRITABLE`, `ERR_ROOT_UNSUPPORTED` on file systems whose locks or renames cannot be trusted
 */
export function openRoot(path: string): Descriptor {
  const directory = makeRoot(path);
  const unsupported = UNSUPPORTED.get(fileSystemMagic(directory.fd));
  if (unsupported === undefined) return directory;
  directory.close();
  throw new CoracleError(
    'ERR_ROOT_UNSUPPORTED',
    `${path} is on ${unsupported}, which cannot hold images and containers`,
    {hint: 'Name a directory on a local disk: CORACLE_ROOT=/some/where', details: {path, unsupported}},
  );
}

/** Not by Node's recursive mkdir: below /proc it never returns. */
function makeRoot(path: string): Descriptor {
  try {
    using host = openDirectory('/');
    mkdirsBelow(host.fd, path, 0o700);
    return openDirectory(path);
  } catch (cause) {
    throw isSystemError(cause) ? rootNotWritable(path, cause) : cause;
  }
}

/** What a refused write below a root means: the root is read-only, or somebody else's. Other errors come back as they are. */
export function explainRefusal(path: string, error: unknown): unknown {
  return REFUSALS.has(errnoOf(error) ?? '') ? rootNotWritable(path, error) : error;
}

const REFUSALS = new Set(['EACCES', 'EPERM', 'EROFS']);

function errnoOf(error: unknown): string | undefined {
  return error instanceof NativeFailure ? error.errno : (error as NodeJS.ErrnoException).code;
}

export function rootNotWritable(path: string, cause: unknown): CoracleError {
  const reason = errnoOf(cause);
  return new CoracleError('ERR_ROOT_NOT_WRITABLE', `${path} cannot be made or written to: ${reason}`, {
    cause,
    hint: 'Name a directory that you may write to: CORACLE_ROOT=/some/where (and CORACLE_RUN), or run as root.',
    details: {path},
  });
}

/** The kernel's refusal, seen through Node or through the core; a missing core is another matter. */
function isSystemError(error: unknown): boolean {
  return error instanceof NativeFailure || typeof (error as NodeJS.ErrnoException).syscall === 'string';
}

/** Magic numbers of statfs(2). */
const UNSUPPORTED: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x01021997, '9p'],
  [0x65735546, 'FUSE'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB'],
]);
