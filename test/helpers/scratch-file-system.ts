import {execFileSync} from 'node:child_process';
import {mkdirSync, mkdtempSync} from 'node:fs';
import {join} from 'node:path';

/** A file system of its own in an image below a folder, mounted until the test ends. @returns where */
export function scratchFileSystem(
  t: {teardown(undo: () => void): void},
  below: string,
  {type, size}: {readonly type: 'xfs' | 'btrfs' | 'ext4'; readonly size: string},
): string {
  const folder = mkdtempSync(join(below, `${type}-`));
  const [image, place] = [join(folder, 'image'), join(folder, 'mounted')];
  execFileSync('truncate', ['-s', size, image]);
  execFileSync(`/usr/sbin/mkfs.${type}`, ['-q', image]);
  mkdirSync(place);
  execFileSync('mount', ['-o', 'loop', image, place]);
  t.teardown(() => execFileSync('umount', [place]));
  return place;
}
