import {posix} from 'node:path';
import {
  checkAbsolutePath,
  checkBoolean,
  checkInteger,
  checkOneOf,
  checkRecord,
  checkString,
  describe,
  invalidOption,
} from './check-option.js';
import type {BindMount, Device, Mount, TmpfsMount, VolumeMount} from './run-options.js';

const COMMON = ['type', 'target', 'readOnly', 'writtenAs'] as const;
const KEYS = {
  bind: [...COMMON, 'source', 'propagation', 'createSource', 'nonRecursive'] satisfies (keyof BindMount)[],
  volume: [...COMMON, 'name', 'nocopy'] satisfies (keyof VolumeMount)[],
  tmpfs: [
    ...COMMON,
    'sizeBytes',
    'mode',
    'uid',
    'gid',
    'inodes',
    'exec',
    'suid',
    'dev',
  ] satisfies (keyof TmpfsMount)[],
};

export const PROPAGATIONS = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'] as const;

/** The greatest uid and gid, as in Docker; the kernel would take up to 2^32-2, programs with signed ids would not. */
export const GREATEST_ID = 2 ** 31 - 1;

/** Mounts with clean targets. @throws CoracleError `ERR_INVALID_OPTION` */
export function normalizeMounts(mounts: readonly Mount[]): readonly Mount[] {
  if (!Array.isArray(mounts))
    throw invalidOption('mounts', `mounts must be an array, not ${describe(mounts)}`);
  const taken = new Set<string>();
  return mounts.map((mount: Mount, index) => {
    checkMount(`mounts[${index}]`, mount);
    const target = cleanPath(mount.target);
    if (target === '/') {
      throw invalidOption(
        `mounts[${index}].target`,
        `invalid mount config for type "${mount.type}": invalid specification: destination can't be '/'`,
      );
    }
    if (taken.has(target)) throw invalidOption(`mounts[${index}].target`, `Duplicate mount point: ${target}`);
    taken.add(target);
    return {...mount, target};
  });
}

/** Without "//", "." and "..", and without the last slash. */
export function cleanPath(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

function checkMount(option: string, mount: Mount): void {
  checkOneOf(`${option}.type`, (mount as Mount | undefined)?.type, ['bind', 'volume', 'tmpfs']);
  checkRecord(option, mount, KEYS[mount.type]);
  checkTarget(option, mount);
  if (mount.readOnly !== undefined) checkBoolean(`${option}.readOnly`, mount.readOnly);
  if (mount.writtenAs !== undefined) checkString(`${option}.writtenAs`, mount.writtenAs);
  if (mount.type === 'bind') checkBind(option, mount);
  else if (mount.type === 'volume') checkVolume(option, mount);
  else checkTmpfs(option, mount);
}

function checkTarget(option: string, {type, target}: Mount): void {
  checkString(`${option}.target`, target);
  if (!target.startsWith('/')) {
    throw invalidOption(
      `${option}.target`,
      `invalid mount config for type "${type}": invalid mount path: '${target}' mount path must be absolute`,
    );
  }
}

function checkBind(option: string, {source, propagation, createSource, nonRecursive}: BindMount): void {
  checkString(`${option}.source`, source);
  if (!source.startsWith('/')) {
    throw invalidOption(
      `${option}.source`,
      `invalid mount config for type "bind": invalid mount path: '${source}' mount path must be absolute`,
    );
  }
  if (propagation !== undefined) checkOneOf(`${option}.propagation`, propagation, PROPAGATIONS);
  if (createSource !== undefined) checkBoolean(`${option}.createSource`, createSource);
  if (nonRecursive !== undefined) checkBoolean(`${option}.nonRecursive`, nonRecursive);
}

function checkVolume(option: string, {name, nocopy}: VolumeMount): void {
  if (nocopy !== undefined) checkBoolean(`${option}.nocopy`, nocopy);
  if (name === undefined) return;
  checkString(`${option}.name`, name);
  if (name.length < 2) {
    throw invalidOption(
      `${option}.name`,
      `create ${name}: volume name is too short, names should be at least two alphanumeric characters`,
    );
  }
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) {
    throw invalidOption(
      `${option}.name`,
      `create ${name}: ${JSON.stringify(name)} includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    );
  }
}

function checkTmpfs(option: string, mount: TmpfsMount): void {
  const {sizeBytes, mode, uid, gid, inodes} = mount;
  if (sizeBytes !== undefined) checkInteger(`${option}.sizeBytes`, sizeBytes, 0, Number.MAX_SAFE_INTEGER);
  if (mode !== undefined) checkInteger(`${option}.mode`, mode, 0, 0o7777);
  if (uid !== undefined) checkInteger(`${option}.uid`, uid, 0, GREATEST_ID);
  if (gid !== undefined) checkInteger(`${option}.gid`, gid, 0, GREATEST_ID);
  if (inodes !== undefined) checkInteger(`${option}.inodes`, inodes, 0, Number.MAX_SAFE_INTEGER);
  for (const flag of ['exec', 'suid', 'dev'] as const) {
    if (mount[flag] !== undefined) checkBoolean(`${option}.${flag}`, mount[flag]);
  }
}

/** Devices with target and access filled in. @throws CoracleError `ERR_INVALID_OPTION` */
export function normalizeDevices(devices: readonly Device[]): readonly Required<Device>[] {
  if (!Array.isArray(devices))
    throw invalidOption('devices', `devices must be an array, not ${describe(devices)}`);
  return devices.map((device: Device, index) => {
    const option = `devices[${index}]`;
    checkRecord(option, device, ['source', 'target', 'access'] satisfies (keyof Device)[]);
    const {source, target = source, access = 'rwm'} = device;
    checkAbsolutePath(`${option}.source`, source);
    checkAbsolutePath(`${option}.target`, target);
    if (typeof access !== 'string' || !/^(?!.*(.).*\1)[rwm]{1,3}$/.test(access)) {
      throw invalidOption(
        `${option}.access`,
        `${option}.access must be letters of "rwm", not ${describe(access)}`,
      );
    }
    return {source: cleanPath(source), target: cleanPath(target), access};
  });
}
