import {readdirSync} from 'node:fs';
import {readFile, rmdir, writeFile} from 'node:fs/promises';
import {setTimeout as sleep} from 'node:timers/promises';
import {CoracleError} from '../errors.js';
import type {CgroupSteps} from './cgroup.js';
import {freeze, thaw} from './freezer.js';
import {isErrno} from './host-files.js';

type Directories = CgroupSteps['directories'];

/** How long killed processes may take to be gone, and a directory to stop being busy. */
const KILL_TIMEOUT_MS = 2000;
/** Longer is not worth waiting for a race that is unlikely anyway. */
const FREEZE_FIRST_MS = 100;
const POLL_MS = 2;

/**
 * Kills every process of a container, frozen ones too, and resolves once none is left: for what a lost supervisor left
 * behind. A cgroup that is gone is fine.
 * @throws CoracleError `ERR_CGROUP_TIMEOUT` when some still live after `timeoutMs` (default 2 s)
 */
export async function killCgroup(
  directories: Directories,
  {timeoutMs = KILL_TIMEOUT_MS} = {},
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  const v2 = directories[''];
  const v1 =
    directories['freezer'] ?? Object.entries(directories).find(([controller]) => controller !== '')?.[1];
  if (v2 !== undefined) await ifPresent(() => writeFile(`${v2}/cgroup.kill`, '1'));
  if (v1 !== undefined) await killV1(v1, directories, deadline);
  for (const directory of [v2, v1]) {
    if (directory === undefined) continue;
    while ((await processesBelow(directory)).length > 0) {
      if (performance.now() > deadline) {
        throw new CoracleError(
          'ERR_CGROUP_TIMEOUT',
          `processes in ${directory} are still alive ${timeoutMs} ms after SIGKILL`,
          {
            hint: 'a process waits for a device or a network file system and dies when it has answered',
          },
        );
      }
      await sleep(POLL_MS);
    }
  }
}

/** Removes a container's cgroups, with those that it made below them. Absent ones are fine. */
export async function removeCgroup(
  directories: Directories,
  {timeoutMs = KILL_TIMEOUT_MS} = {},
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (const directory of new Set(Object.values(directories))) {
    for (const path of [...levelsBelow(directory).reverse(), directory])
      await removeDirectory(path, deadline);
  }
}

/**
 * v1 has no kill of a whole cgroup. While it is frozen nobody in it can fork or exit, so no number read from its list
 * can come to mean another process before the signal is sent.
 */
async function killV1(directory: string, directories: Directories, deadline: number): Promise<void> {
  while (performance.now() < deadline) {
    if (directories['freezer'] !== undefined) {
      await ifPresent(() => freeze(directories, {timeoutMs: FREEZE_FIRST_MS}), 'ERR_CGROUP_TIMEOUT');
    }
    const pids = await processesBelow(directory);
    for (const pid of pids) await ifPresent(() => process.kill(pid, 'SIGKILL'));
    if (directories['freezer'] !== undefined) await ifPresent(() => thaw(directories));
    if (pids.length === 0) return;
    await sleep(POLL_MS);
  }
}

/** Pids of a container's processes, as the host counts. */
export async function processesIn(directories: Directories): Promise<number[]> {
  const [directory] = Object.values(directories);
  return directory === undefined ? [] : processesBelow(directory);
}

async function processesBelow(directory: string): Promise<number[]> {
  const pids: number[] = [];
  for (const path of [directory, ...levelsBelow(directory)]) {
    const text = (await ifPresent(() => readFile(`${path}/cgroup.procs`, 'utf8'))) ?? '';
    // 0 stands for a process outside our pid namespace; as a target of kill(2) it would be our own group.
    pids.push(
      ...text
        .split('\n')
        .map(Number)
        .filter(pid => pid > 0),
    );
  }
  return pids;
}

/** Every cgroup below, parents first. */
function levelsBelow(directory: string): string[] {
  try {
    return readdirSync(directory, {withFileTypes: true})
      .filter(entry => entry.isDirectory())
      .map(entry => `${directory}/${entry.name}`)
      .flatMap(path => [path, ...levelsBelow(path)]);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENODEV')) return [];
    throw error;
  }
}

async function removeDirectory(path: string, deadline: number): Promise<void> {
  for (;;) {
    try {
      return await rmdir(path);
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return;
      // A killed process leaves its cgroup a moment after it left the list.
      if (!isErrno(error, 'EBUSY') || performance.now() > deadline) throw error;
      await sleep(POLL_MS);
    }
  }
}

async function ifPresent<T>(
  act: () => T | Promise<T>,
  ...alsoFine: readonly string[]
): Promise<T | undefined> {
  try {
    return await act();
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENODEV', 'ESRCH', ...alsoFine)) return undefined;
    throw error;
  }
}
