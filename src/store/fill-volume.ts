/**
 * Fills an empty volume with what an image has in its place. It is copied into a directory beside, or inside when the
 * volume is a file system of its own or a subvolume, and moved from there name by name: whoever is killed meanwhile leaves a copy that is
 * thrown away (`FILLING`) or one whose rest is still moved (`FILLED`), never a volume that looks full and is not.
 */
import {constants} from 'node:fs';
import {
  isErrno,
  mkdirBelow,
  openBelow,
  openDirectory,
  RENAME_NOREPLACE,
  readDirectory,
  removeTree,
  renameBelow,
  statBelow,
  tryStatBelow,
  utimesBelow,
} from '../binding/index.js';
import {copyAttributesBetween, copyTree} from './copy-tree.js';
import type {MergedLayers} from './merged-layers.js';

const FILLING = '.coracle-filling';
const FILLED = '.coracle-filled';
const DATA = '_data';

/** What a volume's directory may have beside its data. */
export interface FillPlace {
  /** The volume's directory. */
  readonly directory: string;
  /** Nothing can be renamed into its data: a file system is mounted there, or it is a subvolume. */
  readonly isApart: boolean;
}

/** Goes on where somebody was killed. With the volume's lock held. */
export async function resumeFill({directory, isApart}: FillPlace): Promise<void> {
  using volume = openDirectory(directory);
  const base = isApart ? `${DATA}/` : '';
  if (tryStatBelow(volume.fd, `${base}${FILLED}`) !== undefined) await moveIn(volume.fd, base);
  await removeTree(volume.fd, `${base}${FILLING}`);
}

/**
 * With the volume's lock held, after `resumeFill`. @param path inside the image; symlinks on the way stay inside
 * @returns whether something was copied
 */
export async function fillVolume(
  {directory, isApart}: FillPlace,
  image: MergedLayers,
  path: string,
): Promise<boolean> {
  using volume = openDirectory(directory);
  if (!isEmpty(volume.fd)) return false;
  const source = image.resolve(Buffer.from(path).toString('latin1'));
  if (source === undefined) return false;
  const base = isApart ? `${DATA}/` : '';
  mkdirBelow(volume.fd, `${base}${FILLING}`, 0o700);
  {
    using staged = openBelow(volume.fd, `${base}${FILLING}`, constants.O_RDONLY | constants.O_DIRECTORY);
    if (!(await copyTree(image, source, staged.fd))) {
      await removeTree(volume.fd, `${base}${FILLING}`);
      return false;
    }
  }
  renameBelow(volume.fd, `${base}${FILLING}`, `${base}${FILLED}`);
  await moveIn(volume.fd, base);
  return true;
}

/** What a container made meanwhile stays. */
async function moveIn(volume: number, base: string): Promise<void> {
  const staged = `${base}${FILLED}`;
  const status = statBelow(volume, staged); // its times change by what is moved out of it
  using from = openBelow(volume, staged, constants.O_RDONLY | constants.O_DIRECTORY);
  for (const {name} of [...readDirectory(from.fd)]) {
    try {
      const [old, target] = [staged, DATA].map(place => Buffer.concat([Buffer.from(`${place}/`), name]));
      renameBelow(volume, old!, target!, RENAME_NOREPLACE);
    } catch (error) {
      if (!isErrno(error, 'EEXIST', 'ENOENT')) throw error;
    }
  }
  copyAttributesBetween(volume, {path: staged, status}, DATA);
  await removeTree(volume, staged);
  utimesBelow(volume, DATA, status.atimeNs, status.mtimeNs);
}

function isEmpty(volume: number): boolean {
  using data = openBelow(volume, DATA, constants.O_RDONLY | constants.O_DIRECTORY);
  return readDirectory(data.fd).next().done === true;
}
