import {readFileSync, writeFileSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import {setTimeout as sleep} from 'node:timers/promises';
import {CoracleError} from '../errors.js';
import type {CgroupSteps} from './cgroup.js';
import {isErrno, readIfPresent} from './host-files.js';

type Directories = CgroupSteps['directories'];

// Reads and writes of the kernel's own files, which wait for no disk, are synchronous here: each turn by way of the pool of threads
// would be a part of the pause, on a busy host the larger one.

/** How long the kernel may take to stop every task. */
const FREEZE_TIMEOUT_MS = 10_000;
const POLL_MS = 2;

/**
 * Stops all processes of a container where they stand; resolves once the kernel says that every one stands. When that
 * takes longer than `timeoutMs` (default 10 s; a task in an uninterruptible wait), they run on.
 * @throws CoracleError `ERR_CGROUP_TIMEOUT`, `ERR_LIMIT_UNSUPPORTED` without a freezer
 */
export async function freeze(directories: Directories, {timeoutMs = FREEZE_TIMEOUT_MS} = {}): Promise<void> {
  const files = freezerFiles(directories);
  const deadline = performance.now() + timeoutMs;
  do {
    // Again each time: a v1 task that forked while freezing can leave the cgroup half frozen until told once more.
    writeFileSync(files.control, files.frozen);
    if (stands(files)) return;
    await sleep(POLL_MS);
  } while (performance.now() < deadline);
  writeFileSync(files.control, files.thawed);
  throw new CoracleError(
    'ERR_CGROUP_TIMEOUT',
    `not all processes of ${files.directory} could be frozen within ${timeoutMs} ms`,
    {
      hint: 'a process waits for a device or a network file system; try again when it has answered',
    },
  );
}

/** Lets them run on. @throws CoracleError `ERR_LIMIT_UNSUPPORTED` without a freezer */
export async function thaw(directories: Directories): Promise<void> {
  const {control, thawed} = freezerFiles(directories);
  writeFileSync(control, thawed);
}

/** As `thaw`, at once; fine for one that moves, or has no freezer, or is gone. */
export function thawNow(directories: Directories): void {
  try {
    const {control, thawed} = freezerFiles(directories);
    writeFileSync(control, thawed);
  } catch (error) {
    const isFine = error instanceof CoracleError && error.code === 'ERR_LIMIT_UNSUPPORTED';
    if (!isFine && !isErrno(error, 'ENOENT', 'ENODEV')) throw error;
  }
}

/** Whether it was paused: its own freezer is on, whatever those above it are. */
export function isPaused(directories: Directories): boolean {
  const file = pauseFile(directories);
  return file !== undefined && readIfPresent(file)?.trim() === '1';
}

/** The file that says so: `1`; undefined for a container that cannot be paused. */
export function pauseFile(directories: Directories): string | undefined {
  const v1 = directories['freezer'];
  if (v1 !== undefined) return `${v1}/freezer.self_freezing`;
  const v2 = directories[''];
  return v2 === undefined ? undefined : `${v2}/cgroup.freeze`;
}

/** Whether its processes stand, or are about to, by its own freezer or that of a cgroup above it. */
export async function isFrozen(directories: Directories): Promise<boolean> {
  try {
    const files = freezerFiles(directories);
    const state = await readFile(files.state, 'utf8');
    return files.isV1 ? state.trim() !== 'THAWED' : /^frozen 1$/m.test(state);
  } catch (error) {
    if (
      isErrno(error, 'ENOENT', 'ENODEV') ||
      (error instanceof CoracleError && error.code === 'ERR_LIMIT_UNSUPPORTED')
    )
      return false;
    throw error;
  }
}

interface FreezerFiles {
  readonly isV1: boolean;
  readonly directory: string;
  readonly control: string;
  readonly state: string;
  readonly frozen: string;
  readonly thawed: string;
}

function freezerFiles(directories: Directories): FreezerFiles {
  const v1 = directories['freezer'];
  if (v1 !== undefined) {
    const state = `${v1}/freezer.state`;
    return {isV1: true, directory: v1, control: state, state, frozen: 'FROZEN', thawed: 'THAWED'};
  }
  const v2 = directories[''];
  if (v2 !== undefined) {
    return {
      isV1: false,
      directory: v2,
      control: `${v2}/cgroup.freeze`,
      state: `${v2}/cgroup.events`,
      frozen: '1',
      thawed: '0',
    };
  }
  throw new CoracleError(
    'ERR_LIMIT_UNSUPPORTED',
    'this container cannot be paused: it has no cgroup with a freezer',
    {
      hint: 'coracle doctor says what cgroups this host offers',
      details: {controller: 'freezer'},
    },
  );
}

function stands({isV1, state}: FreezerFiles): boolean {
  const text = readFileSync(state, 'utf8');
  return isV1 ? text.trim() === 'FROZEN' : /^frozen 1$/m.test(text);
}
