/**
 * Where a store keeps what ends with its processes, at the latest with the next boot: records of containers that remove
 * themselves. It is below the run-time directory, which is memory on most hosts: a start then writes next to nothing to
 * a disk. Everybody who opens the store must look at the same place, whatever run-time directory they were told: the
 * first one decides, and leaves `root/live`, a symlink to it.
 */
import {existsSync, lstatSync, mkdirSync, readlinkSync, renameSync, rmSync, symlinkSync} from 'node:fs';
import {join} from 'node:path';
import {CoracleError} from '../errors.js';
import {withLock} from './lock.js';
import type {Roots} from './roots.js';

/** The directory's path, with `containers` and `names` in it. */
export async function liveDirectory(roots: Roots): Promise<string> {
  return (
    decided(roots.root) ?? withLock(join(roots.root, 'live.lock'), () => decided(roots.root) ?? decide(roots))
  );
}

/** Undefined before the first opening after a boot. */
function decided(root: string): string | undefined {
  let directory: string;
  try {
    directory = readlinkSync(join(root, 'live'));
  } catch {
    return undefined;
  }
  return existsSync(join(directory, COMPLETE)) && isOurs(directory) ? directory : undefined;
}

function decide({root, run}: Roots): string {
  // Several stores may have one run-time directory.
  const {dev, ino} = lstatSync(root);
  const directory = join(run, `${dev.toString(16)}-${ino.toString(16)}`);
  for (const name of ['containers', COMPLETE])
    mkdirSync(join(directory, name), {recursive: true, mode: 0o700});
  if (!isOurs(directory)) {
    throw new CoracleError('ERR_ROOT_UNSUPPORTED', `${directory} belongs to somebody else`, {
      hint: 'Name a run-time directory that only you may write to: CORACLE_RUN=/some/where',
      details: {path: directory},
    });
  }
  const link = join(root, 'live~');
  rmSync(link, {force: true});
  symlinkSync(directory, link);
  renameSync(link, join(root, 'live'));
  return directory;
}

/** What is recorded there is removed by us: nobody else may write it. */
function isOurs(directory: string): boolean {
  const {uid, mode} = lstatSync(directory);
  return uid === process.geteuid?.() && (mode & 0o022) === 0;
}

/** Made last: where it is, the rest is. */
const COMPLETE = 'names';
