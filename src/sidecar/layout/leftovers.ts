/**
 * What writers that were killed left: their directories in `work`, and the blobs that they had given names already, but that no
 * artifact names. A live writer is known by its lock.
 */
import {mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {type Descriptor, LOCK_EXCLUSIVE, tryLock} from '../../sdk/index.js';
import {openForLocking} from './repository-lock.js';

/** Names of blobs that a writer is about to publish, one a line. */
const JOURNAL = 'publishing';

/** Said before the first blob gets its name. */
export function announceBlobs(workspace: string, hexes: readonly string[]): void {
  writeFileSync(join(workspace, JOURNAL), hexes.map(hex => `${hex}\n`).join(''), {mode: 0o600});
}

/**
 * @param alone whether nobody else uses the repository: only then is a blob without an artifact nobody's
 * @param removeBlobs removes those of the blobs that no artifact needs
 */
export async function sweepLeftovers(
  work: string,
  {
    alone,
    removeBlobs,
  }: {readonly alone: boolean; readonly removeBlobs: (hexes: readonly string[]) => Promise<unknown>},
): Promise<void> {
  mkdirSync(work, {recursive: true, mode: 0o700});
  for (const name of readdirSync(work)) {
    const path = join(work, name);
    using held = tryHold(path);
    if (held === undefined) continue;
    const announced = readJournal(path);
    if (announced.length > 0 && !alone) continue;
    await removeBlobs(announced);
    rmSync(path, {recursive: true, force: true});
  }
}

/** Undefined: its owner lives, or it is gone. */
export function tryHold(path: string): Descriptor | undefined {
  const held = openForLocking(path);
  if (held === undefined || tryLock(held.fd, LOCK_EXCLUSIVE)) return held;
  held.close();
  return undefined;
}

function readJournal(workspace: string): string[] {
  try {
    const lines = readFileSync(join(workspace, JOURNAL), 'utf8').split('\n');
    return lines.filter(line => /^[a-f0-9]{64}$/.test(line)); // the last may be cut short
  } catch {
    return [];
  }
}
