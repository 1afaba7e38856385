/**
 * Processes are written down by number and start time, which counts from the boot: after another boot both may be somebody
 * else's. The first opening after a boot takes the numbers away. That something ran stays written, for the repair.
 */
import {readdirSync, readFileSync, renameSync} from 'node:fs';
import {join} from 'node:path';
import {withLock} from './lock.js';
import {replaceFile} from './records.js';

const BOOT_ID = '/proc/sys/kernel/random/boot_id';
/** Of a container: who watches over its run, who carries its start out, and its first process. */
const IDENTITIES = ['watcher', 'launcher', 'pid'];

/**
 * @param root of the store; `booted` in it names the boot that its processes are of
 * @returns whether this is the first opening since
 */
export async function forgetLastBoot(root: string): Promise<boolean> {
  const present = textOf(BOOT_ID);
  const isPresent = () => textOf(join(root, 'booted')) === present;
  if (isPresent()) return false;
  return await withLock(join(root, 'live.lock'), () => {
    if (isPresent()) return false;
    // A store without that file is new, or of a release that did not write it, whose processes may live.
    if (textOf(join(root, 'booted')) !== undefined) forgetProcesses(root);
    replaceFile(join(root, 'booted'), present ?? '', {work: join(root, 'work')});
    return true;
  });
}

/** Nobody's number, and one that the kernel takes: PID_MAX_LIMIT, numbers are below it. */
const NOBODY = 4_194_304;

function forgetProcesses(root: string): void {
  for (const id of readdirSync(join(root, 'containers'))) {
    for (const name of IDENTITIES) {
      const path = join(root, 'containers', id, name);
      const [, startTime] = /^\d+ (\d+)\n$/.exec(textOf(path) ?? '') ?? [];
      if (startTime !== undefined) replaceFile(path, `${NOBODY} ${startTime}\n`, {work: join(root, 'work')});
    }
  }
  for (const name of readdirSync(join(root, 'transient'))) {
    renameSync(join(root, 'transient', name), join(root, 'transient', name.replace(/^\d+-/, `${NOBODY}-`)));
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
