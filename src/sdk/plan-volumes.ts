/**
 * Steps about volumes that a plan has for its container: volumes that are file systems are mounted on the host while
 * somebody uses them, and anonymous ones go with their container unless another one shares them. `volumes/NAME/mounted`
 * has a file for each that uses a mount, `volumes/NAME/shared` one for each container that has the volume from another.
 */
import {getSystemErrorMap} from 'node:util';
import {
  AT_RECURSIVE,
  HOST,
  MOUNT_ATTR_RDONLY,
  SLOT_LIMIT,
  type SlotAllocator,
  STEP_FLAGS,
  type Step,
} from '../binding/index.js';
import {CoracleError, type NativeFailure} from '../errors.js';
import {MS_BIND, MS_RDONLY, type VolumeFileSystem} from '../store/index.js';

/** A volume that is mounted while somebody uses it. */
export interface MountableVolume {
  readonly name: string;
  /** The volume's directory: it is mounted at `_data` there. */
  readonly directory: string;
  readonly fileSystem: VolumeFileSystem;
}

/** How long a start waits for others that mount or unmount the same volume: longer than it may take as a whole. */
const PATIENCE_MS = 60_000;
/** The launcher's janitor asks again. */
const TEARDOWN_PATIENCE_MS = 2000;

/** @param user tells users apart: a container's id */
export function mountVolumeSteps(
  {name, directory, fileSystem: {type, device, flags, data}}: MountableVolume,
  user: string,
  slots: SlotAllocator,
): Step[] {
  const stage = `mount volume ${name}`;
  const lock = slots.next();
  const place = `${directory}/_data`;
  // A bind mount takes its read-only flag only when it is there.
  const isReadOnlyBind = (flags & MS_BIND) !== 0 && (flags & MS_RDONLY) !== 0;
  return [
    {op: 'lock', stage, at: HOST, out: lock, s1: `${directory}/mount.lock`, x: PATIENCE_MS},
    {op: 'mkdir', stage, at: HOST, s1: `${directory}/mounted`, x: 0o700, flags: STEP_FLAGS.existsOk},
    {
      op: 'create',
      stage,
      at: HOST,
      s1: `${directory}/mounted/${user}`,
      s2: '',
      x: 0o600,
      flags: STEP_FLAGS.existsOk,
    },
    {op: 'mountOnce', stage, at: HOST, s1: `${device}\0${place}`, s2: `${type}\0${data}`, x: flags},
    ...(isReadOnlyBind
      ? [{op: 'mountSetattr', stage, at: HOST, s1: place, x: MOUNT_ATTR_RDONLY, z: AT_RECURSIVE} as const]
      : []),
    {op: 'close', stage, at: lock},
  ];
}

/** @param users that are gone; the last one takes the mount along */
export function unmountVolumeSteps(
  {name, directory}: Pick<MountableVolume, 'name' | 'directory'>,
  users: readonly string[],
  slots: SlotAllocator,
): Step[] {
  const stage = `unmount volume ${name}`;
  const lock = slots.next();
  return [
    {op: 'lock', stage, at: HOST, out: lock, s1: `${directory}/mount.lock`, x: TEARDOWN_PATIENCE_MS},
    ...users.map((user): Step => ({op: 'unlink', stage, at: HOST, s1: `${directory}/mounted/${user}`})),
    {op: 'unmountUnused', stage, at: lock, s1: `${directory}/_data`, s2: `${directory}/mounted`},
    {op: 'close', stage, at: lock, flags: STEP_FLAGS.optional},
  ];
}

/**
 * Of a container that goes with its anonymous volumes. Slots of a teardown are its own.
 * @param directory of the volume
 */
export function removeVolumeSteps(directory: string, containerId: string): Step[] {
  const stage = 'remove a volume';
  return [
    {op: 'lock', stage, at: HOST, out: REMOVAL_LOCK, s1: `${directory}/share.lock`, x: TEARDOWN_PATIENCE_MS},
    {op: 'unlink', stage, at: HOST, s1: `${directory}/shared/${containerId}`},
    {
      op: 'removeUnshared',
      stage,
      at: REMOVAL_LOCK,
      s1: `${directory}\0${directory}/volume.json`,
      s2: `${directory}/shared`,
    },
    {op: 'close', stage, at: REMOVAL_LOCK, flags: STEP_FLAGS.optional},
  ];
}

/** The last one: a plan's compiler counts from the first. */
const REMOVAL_LOCK = SLOT_LIMIT - 1;

/** What failed when one could not be mounted, in dockerd's words. */
export function volumeMountFailure(step: Step, errno: string, cause: NativeFailure): CoracleError {
  const [device = '', place = ''] = String(step.s1).split('\0');
  const [, data = ''] = String(step.s2).split('\0');
  const flags = Number(step.x ?? 0);
  const why = [...getSystemErrorMap().values()].find(([name]) => name === errno)?.[1] ?? errno;
  const call = [
    `mount ${device}:${place}`,
    flags && `flags: 0x${flags.toString(16)}`,
    data && `data: ${data}`,
  ];
  // As the docker client reads the words of a failure.
  const exitCode = {ENOENT: 127, EACCES: 126, EISDIR: 126}[errno];
  return new CoracleError(
    'ERR_VOLUME_MOUNT',
    `error while mounting volume '${place}': failed to mount local volume: ${call.filter(Boolean).join(', ')}: ${why}`,
    {
      cause,
      hint: HINTS[errno] ?? 'type, device and o of the volume are what mount(8) would be told.',
      details: {errno, device, ...(exitCode && {exitCode})},
    },
  );
}

const HINTS: Readonly<Record<string, string>> = {
  ENODEV: 'The kernel does not know this type of file system, and has no module for it.',
  ENOENT: 'The device is a path of the host: it has to be there before a container uses the volume.',
  EINVAL: 'The kernel does not take these options, or there is no such file system on the device.',
  EPERM: 'Mounting takes CAP_SYS_ADMIN of the host.',
};
