/**
 * Options of the `local` driver, by the names that Docker gives them: `type`, `device` and `o` as mount(8) has them. A
 * volume with them is no directory of the store's but a file system that is mounted while somebody uses it.
 * @see https://docs.docker.com/reference/cli/docker/volume/create/#opt
 */
import {CoracleError} from '../errors.js';

export type VolumeDriverOptions = Readonly<Record<string, string>>;

/** What mount(2) is to be told. */
export interface VolumeFileSystem {
  readonly type: string;
  readonly device: string;
  /** MS_* of mount(2). */
  readonly flags: number;
  /** What is left of `o` for the file system itself. */
  readonly data: string;
}

/** @throws `ERR_INVALID_VOLUME_OPTION`, `ERR_QUOTA_UNSUPPORTED` in dockerd's words */
export function checkVolumeOptions(name: string, options: VolumeDriverOptions): void {
  for (const key of Object.keys(options))
    if (!KNOWN.includes(key)) throw invalid(name, `invalid option: ${JSON.stringify(key)}`, key);
  for (const [key, others] of Object.entries(NEEDS)) {
    const missing = Object.hasOwn(options, key) && others.find(other => !Object.hasOwn(options, other));
    if (missing) throw invalid(name, `missing required option: ${JSON.stringify(missing)}`, missing);
  }
  for (const [key, value] of Object.entries(options))
    if (value.includes('\0')) throw invalid(name, `the option ${key} has a NUL byte`, key);
  const {size} = options;
  if (size === undefined) return;
  if (!/^\d+(\.\d+)? ?([kmgtp]i?b?|b)?$/i.test(size)) throw invalid(name, `invalid size: '${size}'`, 'size');
  throw new CoracleError(
    'ERR_QUOTA_UNSUPPORTED',
    `create ${name}: quota size requested but no quota support`,
    {
      hint: 'A volume of limited size: --opt type=tmpfs --opt device=tmpfs --opt o=size=1g, or a file system of its own by type and device.',
      details: {name, size},
    },
  );
}

function invalid(name: string, what: string, option: string): CoracleError {
  return new CoracleError('ERR_INVALID_VOLUME_OPTION', `create ${name}: ${what}`, {
    hint: 'type=…, device=… and o=…, as for mount(8)',
    details: {name, option},
  });
}

const KNOWN = ['type', 'o', 'device', 'size'];
/** moby, volume/local/local_unix.go: mandatoryOpts. */
const NEEDS: Readonly<Record<string, readonly string[]>> = {
  device: ['type'],
  type: ['device'],
  o: ['device', 'type'],
};

/** Undefined for a volume that is a directory of the store's. */
export function fileSystemOf(options: VolumeDriverOptions | null): VolumeFileSystem | undefined {
  const {type, device, o = ''} = options ?? {};
  if (type === undefined || device === undefined) return undefined;
  let flags = 0;
  const data: string[] = [];
  for (const word of o.split(',')) {
    const flag = FLAGS[word];
    if (flag === undefined) {
      if (word !== '') data.push(word);
    } else if (flag < 0) flags &= ~-flag;
    else flags |= flag;
  }
  return {type, device, flags, data: data.join(',')};
}

export const MS_BIND = 4096;
export const MS_RDONLY = 1;

/** Words of mount(8) that are flags of mount(2); negative: what they take away. linux/mount.h */
const FLAGS: Readonly<Record<string, number>> = {
  defaults: 0,
  rw: -MS_RDONLY,
  ro: MS_RDONLY,
  suid: -2,
  nosuid: 2,
  dev: -4,
  nodev: 4,
  exec: -8,
  noexec: 8,
  async: -16,
  sync: 16,
  nomand: -64,
  mand: 64,
  dirsync: 128,
  atime: -1024,
  noatime: 1024,
  diratime: -2048,
  nodiratime: 2048,
  bind: MS_BIND,
  rbind: MS_BIND | 16384,
  norelatime: -2097152,
  relatime: 2097152,
  nostrictatime: -16777216,
  strictatime: 16777216,
};
