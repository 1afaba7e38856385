import {spawnSync} from 'node:child_process';
import {accessSync, constants, readFileSync} from 'node:fs';
import {delimiter, join} from 'node:path';
import test, {type Implementation} from 'ava';

/**
 * `test` where the host has what the test needs, else `test.skip` with the Debian package to install in the title:
 *
 *     const withBusybox = requires('busybox', 'busybox-static');
 *     withBusybox('a shell runs', async t => { … });
 *
 * @param need a command looked up on the PATH, or an absolute path that has to exist
 * @param debianPackage the package that brings it; listed in test/debian-packages.txt
 */
export function requires(need: string, debianPackage: string) {
  return testsThatNeed(`the Debian package ${debianPackage}`, isPresent(need));
}

/** As `requires`, for root alone. */
export function requiresAsRoot(need: string, debianPackage: string) {
  return process.getuid?.() === 0 ? requires(need, debianPackage) : asRoot;
}

/** `test` for root where the kernel has a file system, as a module or built in, else `test.skip`. */
export function requiresFileSystem(name: string) {
  const isRoot = process.getuid?.() === 0;
  if (isRoot && !isKnown(name)) spawnSync('modprobe', [name]);
  return testsThatNeed(`root and the file system ${name} in the kernel`, isRoot && isKnown(name));
}

/** proc_filesystems(5) */
function isKnown(fileSystem: string): boolean {
  return readFileSync('/proc/filesystems', 'utf8').split(/\s/).includes(fileSystem);
}

/** `test` for root, else `test.skip`: limits, networks and device nodes are not for ordinary users. */
export const asRoot = testsThatNeed('root', process.getuid?.() === 0);

function testsThatNeed(what: string, present: boolean) {
  const declare =
    (run: typeof test | typeof test.serial, skip: typeof test.skip) =>
    (title: string, implementation: Implementation<[]>): void => {
      if (present) run(title, implementation);
      else skip(`${title} (needs ${what})`, implementation);
    };
  return Object.assign(declare(test, test.skip), {
    serial: declare(test.serial, test.serial.skip),
    isMet: present,
  });
}

function isPresent(need: string): boolean {
  if (need.startsWith('/')) return isAccessible(need, constants.F_OK);
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.some(folder => isAccessible(join(folder, need), constants.X_OK));
}

function isAccessible(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}
