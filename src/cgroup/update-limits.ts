/**
 * Other limits for a container that runs: all of them, or none. What each file held before is kept until the last was
 * written; when the kernel refuses one, those that were written are taken back.
 */
import {mkdirSync, readFileSync, rmdirSync, writeFileSync} from 'node:fs';
import {STEP_FLAGS, type Step} from '../binding/steps.js';
import {CoracleError} from '../errors.js';
import type {Limits} from './cgroup.js';
import {exists, isErrno} from './host-files.js';
import {processesIn} from './kill-cgroup.js';
import type {CgroupPart, FileWrite, PartRequest} from './part.js';

export interface LimitUpdate {
  readonly writes: readonly PlacedWrite[];
  /** Limits that are not enforced, when `whenUnavailable` is 'warn': one sentence each. */
  readonly warnings: readonly string[];
  readonly container: Pick<PartRequest, 'parent' | 'name'>;
}

interface PlacedWrite extends FileWrite {
  readonly limit: keyof Limits;
  readonly part: CgroupPart;
  /** The container's, whether it is there or not. */
  readonly directory: string;
}

/** Takes back what was done; what is gone meanwhile is fine. */
export type Undo = () => Promise<void>;

/**
 * @param present the container's cgroups
 * @param mayExtend whether cgroups that it is not in yet (v1: cpuset, blkio) will be removed with it
 * @throws CoracleError `ERR_LIMIT_REFUSED`, with the file and the kernel's answer; then nothing has changed
 */
export async function applyUpdate(
  {writes, container}: LimitUpdate,
  present: Readonly<Record<string, string>>,
  mayExtend: boolean,
): Promise<Undo> {
  const isThere = ({directory}: PlacedWrite) => Object.values(present).includes(directory);
  const undoWrites = writeAll(writes.filter(isThere));
  const missing = writes.filter(write => !isThere(write));
  if (missing.length === 0) return undoWrites;
  try {
    if (!mayExtend) refuseToExtend(missing[0]!);
    const undoJoins = await extend(missing, container, present);
    return async () => {
      await undoJoins();
      await undoWrites();
    };
  } catch (error) {
    await undoWrites();
    throw error;
  }
}

/**
 * Two files may hold each other back (memory and memory plus swap, period and quota): what is refused as invalid is
 * tried again once another was written.
 */
function writeAll(writes: readonly Pick<PlacedWrite, 'directory' | 'file' | 'value'>[]): Undo {
  const done: {readonly directory: string; readonly file: string; readonly value: string}[] = [];
  const undo = () => {
    try {
      writeAll(done.splice(0).reverse());
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  };
  let waiting = writes;
  while (waiting.length > 0) {
    const refused: typeof waiting = waiting.filter(write => {
      const {directory, file, value} = write;
      const path = `${directory}/${file}`;
      try {
        const before = readFileSync(path, 'utf8').trim();
        writeFileSync(path, value || '\n'); // nothing at all would not reach the kernel
        done.push({directory, file, value: before});
        return false;
      } catch (error) {
        const isLast = waiting.length === 1;
        if (isErrno(error, 'EINVAL') && !isLast) return true;
        undo();
        throw refusal(path, value, error);
      }
    });
    if (refused.length === waiting.length) {
      const {directory, file, value} = refused[0]!;
      undo();
      throw refusal(`${directory}/${file}`, value, Object.assign(new Error('EINVAL'), {code: 'EINVAL'}));
    }
    waiting = refused;
  }
  return async () => undo();
}

/** v1: a container joins the hierarchies of cpuset and blkio when it is given a limit of theirs, now for instance. */
async function extend(
  writes: readonly PlacedWrite[],
  container: LimitUpdate['container'],
  present: Readonly<Record<string, string>>,
): Promise<Undo> {
  const made: string[] = [];
  const undo = async () => {
    for (const directory of made) {
      for (const pid of await processesIn({'': directory}))
        ifPresent(() => writeFileSync(`${parentOf(directory)}/cgroup.procs`, String(pid)));
      ifPresent(() => rmdirSync(directory));
    }
  };
  try {
    for (const part of new Set(writes.map(write => write.part))) {
      const own = writes.filter(write => write.part === part);
      for (const step of part.extend({...container, writes: own, devices: undefined})) carryOut(step, made);
    }
    // Whoever forks meanwhile is in the list at the next look; its child, if it had moved before, is where it is.
    for (let left = await outside(present, made); left.length > 0; left = await outside(present, made)) {
      for (const [directory, pid] of left)
        ifPresent(() => writeFileSync(`${directory}/cgroup.procs`, String(pid)));
    }
    return undo;
  } catch (error) {
    await undo();
    throw error instanceof CoracleError ? error : refusal(made.at(-1) ?? '', '', error);
  }
}

async function outside(
  present: Readonly<Record<string, string>>,
  made: readonly string[],
): Promise<(readonly [directory: string, pid: number])[]> {
  const all = await processesIn(present);
  const left = await Promise.all(
    made.map(async directory => {
      const inside = new Set(await processesIn({'': directory}));
      return all.filter(pid => !inside.has(pid)).map(pid => [directory, pid] as const);
    }),
  );
  return left.flat();
}

function carryOut({op, s1, s2, flags = 0}: Step, made: string[]): void {
  const path = String(s1);
  if (op === 'write') {
    try {
      writeFileSync(path, String(s2));
    } catch (error) {
      throw refusal(path, String(s2), error);
    }
    return;
  }
  if (flags & STEP_FLAGS.existsOk) {
    if (!exists(path)) mkdirSync(path, 0o755);
    return;
  }
  mkdirSync(path, 0o755);
  made.push(path);
}

function parentOf(directory: string): string {
  return directory.slice(0, directory.lastIndexOf('/'));
}

function ifPresent(act: () => void): void {
  try {
    act();
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENODEV', 'ESRCH')) throw error;
  }
}

function refuseToExtend({limit, controller}: PlacedWrite): never {
  throw new CoracleError(
    'ERR_LIMIT_UNSUPPORTED',
    `${limit} cannot be enforced: the container was started without a cgroup of the controller ${controller}`,
    {
      hint: 'Update it while it is stopped, then start it.',
      details: {limit, controller},
    },
  );
}

/** Whether the container ended meanwhile, and its cgroup with it. */
export function isGone(error: unknown): boolean {
  const cause = error instanceof CoracleError && error.code === 'ERR_LIMIT_REFUSED' ? error.cause : error;
  return isErrno(cause, 'ENOENT', 'ENODEV');
}

const WORDS: Readonly<Record<string, string>> = {
  EINVAL: 'invalid argument',
  EBUSY: 'device or resource busy',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  ENOSPC: 'no space left on device',
  ENOENT: 'no such file or directory',
};

/** In runc's words. */
function refusal(path: string, value: string, cause: unknown): CoracleError {
  const {code = 'EIO'} = cause as NodeJS.ErrnoException;
  return new CoracleError(
    'ERR_LIMIT_REFUSED',
    `failed to write ${JSON.stringify(value)}: write ${path}: ${WORDS[code] ?? code}`,
    {
      cause,
      ...(code === 'EBUSY' && {hint: 'It uses more than that; the kernel could not take it back.'}),
      details: {path, value, errno: code},
    },
  );
}
