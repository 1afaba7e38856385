import {statfsSync} from 'node:fs';
import {posix} from 'node:path';
import {
  checkAbsolutePath,
  checkBoolean,
  checkInteger,
  checkOneOf,
  checkRecord,
  checkString,
  checkStringRecord,
  describe,
  invalidOption,
} from './check-option.js';
import type {BindMount, Device, Mount, TmpfsMount, VolumeMount} from './run-options.js';

const COMMON = ['type', 'target', 'readOnly', 'writtenAs'] as const;
const KEYS = {
  bind: [
    ...COMMON,
    'source',
    'propagation',
    'createSource',
    'nonRecursive',
    'writableBelow',
  ] satisfies (keyof BindMount)[],
  volume: [
    ...COMMON,
    'name',
    'nocopy',
    'subpath',
    'driver',
    'driverOptions',
    'labels',
  ] satisfies (keyof VolumeMount)[],
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

/** Mounts with clean paths. @throws CoracleError `ERR_INVALID_OPTION` */
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
    checkPlace(`mounts[${index}].target`, {...mount, target});
    if (taken.has(target)) throw invalidOption(`mounts[${index}].target`, `Duplicate mount point: ${target}`);
    taken.add(target);
    return mount.type === 'bind' ? {...mount, target, source: cleanPath(mount.source)} : {...mount, target};
  });
}

/** Files of /proc that may be replaced, as runc lets lxcfs and CRIU do it: checkProcMount in its rootfs_linux.go. */
export const REPLACEABLE_IN_PROC: ReadonlySet<string> = new Set([
  '/proc/cpuinfo',
  '/proc/diskstats',
  '/proc/meminfo',
  '/proc/stat',
  '/proc/swaps',
  '/proc/uptime',
  '/proc/loadavg',
  '/proc/slabinfo',
  '/proc/net/dev',
  '/proc/sys/kernel/ns_last_pid',
  '/proc/sys/crypto/fips_enabled',
]);

/**
 * Why nothing can be mounted at a path of /proc, in runc's words; undefined where it can. What is written there decides
 * over privileges. @param source of a bind mount: /proc as a whole may come from another procfs
 */
export function refusalInProc(target: string, source?: string): string | undefined {
  if (target === '/proc' && (source === undefined || !isProcfs(source)))
    return `${JSON.stringify(target)} cannot be mounted because it is not of type proc`;
  if (target.startsWith('/proc/') && !REPLACEABLE_IN_PROC.has(target))
    return `${JSON.stringify(target)} cannot be mounted because it is inside /proc`;
  return undefined;
}

const PROC_SUPER_MAGIC = 0x9fa0; // linux/magic.h

function isProcfs(path: string): boolean {
  try {
    return statfsSync(path).type === PROC_SUPER_MAGIC;
  } catch {
    return false;
  }
}

/** Where Coracle mounts on top of what the caller mounted: masks, /etc/hosts and its like, /sbin/docker-init. */
const MOUNTED_OVER = /^\/(?:(?:proc|sys)(?:\/.*)?|etc|usr|(?:usr\/)?sbin)$/;

function checkPlace(option: string, mount: Mount): void {
  const {target} = mount;
  const source = mount.type === 'bind' ? mount.source : undefined;
  const refusal = refusalInProc(target, source);
  if (refusal !== undefined) {
    const what = source ?? ((mount.type === 'volume' && mount.name) || mount.type);
    throw invalidOption(
      option,
      `error mounting ${JSON.stringify(what)} to rootfs at ${JSON.stringify(target)}: ${refusal}`,
    );
  }
  if (mount.type === 'bind' && isShared(mount.propagation) && MOUNTED_OVER.test(target)) {
    throw invalidOption(
      option,
      `error mounting ${JSON.stringify(source)} to rootfs at ${JSON.stringify(target)}: it cannot be shared there`,
      'What Coracle mounts over it, as masks and /etc/hosts, would appear on the host as well: take rslave.',
    );
  }
}

/** Whether mounts below it inside appear on the host as well. */
export function isShared(propagation: BindMount['propagation']): boolean {
  return propagation === 'shared' || propagation === 'rshared';
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

function checkBind(option: string, mount: BindMount): void {
  const {source, propagation, createSource, nonRecursive, writableBelow} = mount;
  checkString(`${option}.source`, source);
  if (!source.startsWith('/')) {
    throw invalidOption(
      `${option}.source`,
      `invalid mount config for type "bind": invalid mount path: '${source}' mount path must be absolute`,
    );
  }
  if (propagation !== undefined && !(PROPAGATIONS as readonly unknown[]).includes(propagation)) {
    throw invalidOption(
      `${option}.propagation`,
      `invalid mount config for type "bind": invalid propagation mode: ${propagation}`,
      PROPAGATIONS.join(', '),
    );
  }
  if (createSource !== undefined) checkBoolean(`${option}.createSource`, createSource);
  if (nonRecursive !== undefined) checkBoolean(`${option}.nonRecursive`, nonRecursive);
  if (writableBelow !== undefined) checkBoolean(`${option}.writableBelow`, writableBelow);
}

function checkVolume(option: string, mount: VolumeMount): void {
  const {name, nocopy, subpath, driver, driverOptions, labels} = mount;
  if (nocopy !== undefined) checkBoolean(`${option}.nocopy`, nocopy);
  if (driver !== undefined) checkString(`${option}.driver`, driver);
  if (driverOptions !== undefined) checkStringRecord(`${option}.driverOptions`, driverOptions);
  if (labels !== undefined) checkStringRecord(`${option}.labels`, labels);
  if (subpath !== undefined) checkSubpath(`${option}.subpath`, subpath);
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

function checkSubpath(option: string, subpath: string): void {
  checkString(option, subpath);
  const components = subpath.split('/');
  if (subpath !== '' && !subpath.startsWith('/') && !components.includes('..')) return;
  throw invalidOption(
    option,
    'invalid mount config for type "volume": subpath must be a relative path within the volume',
  );
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
