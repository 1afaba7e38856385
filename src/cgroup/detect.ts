import {readFileSync} from 'node:fs';
import type {CgroupDriver} from './cgroup.js';
import {parseCpuList} from './cpu-list.js';
import {makeDriver} from './driver.js';
import {isDelegated, readIfPresent} from './host-files.js';
import type {Controller} from './limit-writes.js';
import {CONTROLLERS} from './limit-writes.js';
import type {CgroupMounts, HierarchyMount} from './mountinfo.js';
import {findCgroupMounts} from './mountinfo.js';
import type {Refusal} from './part.js';
import type {V1Controller} from './v1.js';
import {V1_NAMES, v1Part} from './v1.js';
import type {V2Tree} from './v2.js';
import {v2Part} from './v2.js';
import type {HostResources} from './validate-limits.js';

export interface DetectOptions {
  /** Where to look for hierarchies. Default `/sys/fs/cgroup`. */
  readonly root?: string;
  /** Text of `/proc/self/mountinfo` and `/proc/self/cgroup`; read when absent. */
  readonly mountinfo?: string;
  readonly selfCgroup?: string;
}

/**
 * Looks once at what this host mounts and what this process may write, and picks the layout: v1, v2, hybrid (v1
 * controllers beside a v2 tree, which may own some controllers itself) or none. Changes nothing.
 */
export function detectCgroups(options: DetectOptions = {}): CgroupDriver {
  const mounts = findCgroupMounts(
    options.root ?? '/sys/fs/cgroup',
    options.mountinfo ?? readFileSync('/proc/self/mountinfo', 'utf8'),
    options.selfCgroup ?? readFileSync('/proc/self/cgroup', 'utf8'),
  );
  const v1 = findV1Controllers(mounts);
  const v2 = mounts.v2 === undefined ? undefined : findV2Tree(mounts.v2);
  const v1Usable = [...v1.values()].some(({base}) => base !== undefined);
  const parts = [
    ...(v1Usable ? [v1Part(v1, mountPointsOf(mounts))] : []),
    ...(v2 === undefined ? [] : [v2Part(v2)]),
  ];
  return makeDriver({
    layout: parts.length === 0 ? 'none' : !v1Usable ? 'v2' : mounts.v2 === undefined ? 'v1' : 'hybrid',
    parts,
    host: hostResources(v1, mounts.v2),
    nothing: whyNothing(mounts),
  });
}

function mountPointsOf({v1}: CgroupMounts): string[] {
  return [...new Set([...v1.values()].map(({mountPoint}) => mountPoint))];
}

function findV1Controllers({v1}: CgroupMounts): ReadonlyMap<Controller, V1Controller> {
  const found = new Map<Controller, V1Controller>();
  for (const controller of CONTROLLERS) {
    const mount = v1.get(V1_NAMES[controller] ?? controller);
    if (mount !== undefined) {
      found.set(controller, {
        mountPoint: mount.mountPoint,
        base: [mount.mountPoint, mount.ownDirectory].find(isDelegated),
      });
    }
  }
  return found;
}

/** The base is the root when it is ours to write, else the topmost of our ancestors that was delegated to us. */
function findV2Tree({mountPoint, ownDirectory}: HierarchyMount): V2Tree | undefined {
  const names = ownDirectory
    .slice(mountPoint.length)
    .split('/')
    .filter(name => name !== '');
  const ancestors = [
    mountPoint,
    ...names.map((_, index) => `${mountPoint}/${names.slice(0, index + 1).join('/')}`),
  ];
  const base = ancestors.find(isDelegated);
  return base === undefined ? undefined : {base, devicePrograms: mayLoadDevicePrograms()};
}

/** BPF_PROG_TYPE_CGROUP_DEVICE wants CAP_SYS_ADMIN (bit 21) of the first user namespace: bpf(2), capabilities(7). */
function mayLoadDevicePrograms(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  // The first user namespace maps all 2^32 - 1 ids to themselves: user_namespaces(7).
  const isFirstNamespace = /^\s*0\s+0\s+4294967295$/m.test(readFileSync('/proc/self/uid_map', 'utf8'));
  return isFirstNamespace && (BigInt(`0x${effective}`) & (1n << 21n)) !== 0n;
}

function whyNothing({v1, v2}: CgroupMounts): Refusal {
  if (v2 !== undefined) {
    return {
      reason: `${v2.ownDirectory} was not delegated to this user`,
      remedy:
        'start the program in a delegated cgroup: systemd-run --user --scope -p Delegate=yes PROGRAM; or run as root',
    };
  }
  if (v1.size > 0)
    return {reason: 'the v1 cgroup hierarchies are not writable for this process', remedy: 'run as root'};
  return {reason: 'no cgroup file system is mounted', remedy: 'mount -t cgroup2 cgroup2 /sys/fs/cgroup'};
}

function hostResources(
  v1: ReadonlyMap<Controller, V1Controller>,
  v2: HierarchyMount | undefined,
): HostResources {
  const v1Cpuset = v1.get('cpuset')?.mountPoint;
  const inCpuset = (kind: 'cpus' | 'mems') => [
    ...(v1Cpuset === undefined ? [] : [`${v1Cpuset}/cpuset.${kind}`]),
    ...(v2 === undefined ? [] : [`${v2.mountPoint}/cpuset.${kind}.effective`]),
  ];
  const onlineCpus = '/sys/devices/system/cpu/online';
  return {
    cpuCount: parseCpuList(firstList([onlineCpus]))?.size ?? 1,
    availableCpus: firstList([...inCpuset('cpus'), onlineCpus]),
    availableMems: firstList([...inCpuset('mems'), '/sys/devices/system/node/online']),
  };
}

/** The first list that is there and not empty. A kernel built for one memory node, or one CPU, has only number 0. */
function firstList(paths: readonly string[]): string {
  for (const path of paths) {
    const text = readIfPresent(path)?.trim() ?? '';
    if (text !== '') return text;
  }
  return '0';
}
