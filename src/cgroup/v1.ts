import {constants} from 'node:fs';
import type {SlotAllocator, Step} from '../binding/steps.js';
import {STEP_FLAGS} from '../binding/steps.js';
import {blockDeviceNumber} from './block-device.js';
import type {DeviceRate, Limits} from './cgroup.js';
import {EXIT_REPORT} from './cgroup.js';
import {CPU_PERIOD_US, cpuQuotaUs, memorySwapOrDefault} from './convert-limits.js';
import type {DevicePolicy} from './device-rules.js';
import {formatDeviceException} from './device-rules.js';
import {exists, makeDirectory, readAgain, readIfPresent} from './host-files.js';
import type {Controller, LimitWrite} from './limit-writes.js';
import type {CgroupPart, PartRequest, PartSteps, Refusal} from './part.js';
import {joinStep, levelsOf, removeIfEmpty, TEARDOWN_WAIT_MS} from './part.js';

/** A v1 controller as found on the host. */
export interface V1Controller {
  /** The directory below which parents are made; undefined when this process may not write there. */
  readonly base: string | undefined;
  readonly mountPoint: string;
}

/** What every container joins, to be limited, counted, frozen and killed as one. The others only when asked for. */
const ALWAYS: readonly Controller[] = ['memory', 'cpu', 'cpuacct', 'pids', 'freezer'];

/**
 * The v1 hierarchies: a directory in each, limits in files, joined by the child itself.
 * @param hierarchies mount points of all of them, also those that limit nothing (`name=systemd`)
 */
export function v1Part(
  found: ReadonlyMap<Controller, V1Controller>,
  hierarchies: readonly string[] = [],
): CgroupPart {
  const usable = new Map<Controller, string>();
  for (const [controller, {base}] of found) if (base !== undefined) usable.set(controller, base);
  const controllers = new Set(usable.keys());
  const knownFiles = new Map<string, boolean>();

  function hasFile(parent: string, controller: Controller, file: string): boolean {
    const base = usable.get(controller);
    if (base === undefined) return false;
    // Some files exist below the root only (blkio.bfq.weight): look where containers will be, once it is there.
    const directory = [`${base}/${parent}`, base].find(exists) ?? base;
    const path = `${directory}/${file}`;
    const known = knownFiles.get(path) ?? exists(path);
    knownFiles.set(path, known);
    return known;
  }

  return {
    unified: false,
    controllers: () => controllers,
    hasFile,
    limitWrites: v1LimitWrites,
    whyNot: controller => whyNot(controller, found.get(controller)),
    prepare(parent) {
      for (const base of new Set(usable.values())) {
        for (const level of levelsOf(parent)) makeDirectory(`${base}/${level}`);
      }
    },
    isFrozen(parent) {
      const base = usable.get('freezer');
      return base !== undefined && /^FR/.test(readAgain(`${base}/${parent}/freezer.state`) ?? '');
    },
    build: (request, slots) => build(usable, request, slots),
    directories(parent, name) {
      const present: Record<string, string> = {};
      for (const [controller, base] of usable) {
        const directory = `${base}/${parent}/${name}`;
        if (exists(directory)) present[controller] = directory;
      }
      return present;
    },
    joining: directories => ({
      host: [],
      child: directories.map(directory => ({
        op: 'write',
        stage: 'join cgroup',
        s1: `${directory}/tasks`,
        s2: '0',
      })),
      cloneInto: -1,
    }),
    directoryFor: ({parent, name}, controller) => `${usable.get(controller)}/${parent}/${name}`,
    extend(request) {
      const needed = new Set(request.writes.map(({controller}) => controller));
      return makeSteps(usable, directoriesFor(usable, needed, request), request);
    },
    settle: () => hierarchies.map(mountPoint => joinStep(`${mountPoint}/tasks`)),
    removal(parent, name) {
      const directories: Record<string, string> = {};
      for (const [controller, base] of usable) directories[controller] = `${base}/${parent}/${name}`;
      return teardownSteps(directories, [...new Set(Object.values(directories))]);
    },
  };
}

function whyNot(controller: Controller, found: V1Controller | undefined): Refusal {
  const name = V1_NAMES[controller] ?? controller;
  if (found === undefined) {
    return {
      reason: `the v1 controller ${name} is not mounted`,
      remedy: `mkdir -p /sys/fs/cgroup/${name} && mount -t cgroup -o ${name} cgroup /sys/fs/cgroup/${name}, if /proc/cgroups lists it as enabled`,
    };
  }
  return {
    reason: `${found.mountPoint} is not writable for this process`,
    remedy: 'run as root, or use cgroup v2 with a delegated subtree',
  };
}

/** Where v1 has another name. */
export const V1_NAMES: Readonly<Partial<Record<Controller, string>>> = {io: 'blkio'};

/**
 * The order matters: memsw may not be under memory's limit, so memory comes first; the CFS period comes before the
 * quota that it is checked against. (A new cgroup has no limits, so lowering is all that ever happens there; an update
 * tries again later what is refused at first.)
 */
function v1LimitWrites(limits: Limits): LimitWrite[] {
  const writes: LimitWrite[] = [];
  const add = (limit: keyof Limits, controller: Controller, value: string | number, ...files: string[]) =>
    writes.push({limit, controller, choices: files.map(file => ({file, value: String(value)}))});

  const {memoryBytes = 0, memorySwapBytes = 0, memoryReservationBytes = 0} = limits;
  if (memoryBytes > 0) {
    add('memoryBytes', 'memory', memoryBytes, 'memory.limit_in_bytes');
    const value = String(memorySwapOrDefault(memoryBytes, memorySwapBytes));
    const choices = [{file: 'memory.memsw.limit_in_bytes', value}];
    writes.push({limit: 'memorySwapBytes', controller: 'memory', choices, implied: memorySwapBytes === 0});
  }
  if (memoryReservationBytes > 0)
    add('memoryReservationBytes', 'memory', memoryReservationBytes, 'memory.soft_limit_in_bytes');
  if (limits.memorySwappiness !== undefined)
    add('memorySwappiness', 'memory', limits.memorySwappiness, 'memory.swappiness');
  if (limits.oomKillDisable) add('oomKillDisable', 'memory', 1, 'memory.oom_control');

  if (limits.cpuShares) add('cpuShares', 'cpu', limits.cpuShares, 'cpu.shares');
  if (limits.cpus) {
    add('cpus', 'cpu', CPU_PERIOD_US, 'cpu.cfs_period_us');
    add('cpus', 'cpu', cpuQuotaUs(limits.cpus), 'cpu.cfs_quota_us');
  }
  if (limits.cpuPeriodUs) add('cpuPeriodUs', 'cpu', limits.cpuPeriodUs, 'cpu.cfs_period_us');
  if (limits.cpuQuotaUs) add('cpuQuotaUs', 'cpu', limits.cpuQuotaUs, 'cpu.cfs_quota_us');
  if (limits.cpusetCpus) add('cpusetCpus', 'cpuset', limits.cpusetCpus, 'cpuset.cpus');
  if (limits.cpusetMems) add('cpusetMems', 'cpuset', limits.cpusetMems, 'cpuset.mems');
  if ((limits.processes ?? 0) > 0) add('processes', 'pids', limits.processes ?? 0, 'pids.max');

  if (limits.blkioWeight) add('blkioWeight', 'io', limits.blkioWeight, 'blkio.weight', 'blkio.bfq.weight');
  for (const {path, weight} of limits.blkioWeightDevice ?? []) {
    add(
      'blkioWeightDevice',
      'io',
      `${blockDeviceNumber(path)} ${weight}`,
      'blkio.weight_device',
      'blkio.bfq.weight_device',
    );
  }
  const throttle = (limit: keyof Limits, rates: readonly DeviceRate[] | undefined, file: string) => {
    for (const {path, rate} of rates ?? []) add(limit, 'io', `${blockDeviceNumber(path)} ${rate}`, file);
  };
  throttle('deviceReadBps', limits.deviceReadBps, 'blkio.throttle.read_bps_device');
  throttle('deviceWriteBps', limits.deviceWriteBps, 'blkio.throttle.write_bps_device');
  throttle('deviceReadIops', limits.deviceReadIops, 'blkio.throttle.read_iops_device');
  throttle('deviceWriteIops', limits.deviceWriteIops, 'blkio.throttle.write_iops_device');

  for (const {pageSize, limitBytes} of limits.hugetlb ?? []) {
    add('hugetlb', 'hugetlb', limitBytes, `hugetlb.${pageSize}.limit_in_bytes`);
  }
  return writes;
}

function build(
  usable: ReadonlyMap<Controller, string>,
  request: PartRequest,
  slots: SlotAllocator,
): PartSteps {
  const {devices} = request;
  const needed = new Set<Controller>([...ALWAYS, ...request.writes.map(write => write.controller)]);
  if (devices !== undefined) needed.add('devices');
  const directories = directoriesFor(usable, needed, request);
  // Co-mounted controllers share a directory: make, join and remove it once.
  const unique = [...new Set(Object.values(directories))];
  const host = makeSteps(usable, directories, request);
  const devicesDirectory = directories['devices'];
  if (devices !== undefined && devicesDirectory !== undefined)
    host.push(...deviceSteps(devicesDirectory, devices, slots));

  const child: Step[] = [];
  for (const directory of unique) {
    const tasks = slots.next();
    host.push({
      op: 'open',
      stage: 'cgroup tasks',
      s1: `${directory}/tasks`,
      out: tasks,
      x: constants.O_WRONLY | O_CLOEXEC,
    });
    // By the child itself and through `tasks`: any other way waits for an RCU grace period of some 11 ms.
    child.push({op: 'write', stage: 'join cgroup', at: tasks, s1: '', s2: '0'});
  }
  return {
    host,
    child,
    cloneInto: -1,
    exit: exitSteps(directories),
    teardown: teardownSteps(directories, unique),
    directories,
  };
}

/** Where a container's cgroups of some controllers are, or will be. */
function directoriesFor(
  usable: ReadonlyMap<Controller, string>,
  controllers: Iterable<Controller>,
  {parent, name}: Pick<PartRequest, 'parent' | 'name'>,
): Partial<Record<Controller, string>> {
  const directories: Partial<Record<Controller, string>> = {};
  for (const controller of controllers) {
    const base = usable.get(controller);
    if (base !== undefined) directories[controller] = `${base}/${parent}/${name}`;
  }
  return directories;
}

/** Makes these cgroups, and writes the limits. */
function makeSteps(
  usable: ReadonlyMap<Controller, string>,
  directories: Readonly<Partial<Record<Controller, string>>>,
  request: PartRequest,
): Step[] {
  const {parent, name} = request;
  const steps: Step[] = [];
  for (const directory of new Set(Object.values(directories))) {
    const base = directory.slice(0, -`/${parent}/${name}`.length);
    for (const level of levelsOf(parent)) {
      steps.push({
        op: 'mkdir',
        stage: 'cgroup parent',
        s1: `${base}/${level}`,
        x: 0o755,
        flags: STEP_FLAGS.existsOk,
      });
    }
    steps.push({op: 'mkdir', stage: 'cgroup directory', s1: directory, x: 0o755});
  }
  const cpusetBase = usable.get('cpuset');
  if (directories.cpuset !== undefined && cpusetBase !== undefined)
    steps.push(...cpusetSteps(cpusetBase, request));
  for (const {controller, file, value} of request.writes) {
    steps.push({op: 'write', stage: `limit ${file}`, s1: `${directories[controller]}/${file}`, s2: value});
  }
  return steps;
}

/** octal 02000000 on every architecture we run on; node:fs does not export it. */
const O_CLOEXEC = 0o2000000;

/** devices.allow takes one rule a write, so it is opened once. */
function deviceSteps(directory: string, policy: DevicePolicy, slots: SlotAllocator): Step[] {
  const steps: Step[] = [];
  const stage = 'device rules';
  if (!policy.allowByDefault) steps.push({op: 'write', stage, s1: `${directory}/devices.deny`, s2: 'a'});
  if (policy.exceptions.length === 0) return steps;
  const slot = slots.next();
  const file = policy.allowByDefault ? 'devices.deny' : 'devices.allow';
  steps.push({op: 'open', stage, s1: `${directory}/${file}`, out: slot, x: constants.O_WRONLY | O_CLOEXEC});
  for (const exception of policy.exceptions) {
    steps.push({op: 'write', stage, at: slot, s1: '', s2: formatDeviceException(exception)});
  }
  steps.push({op: 'close', stage, at: slot});
  return steps;
}

/**
 * A v1 cpuset refuses tasks until both its lists are set, and grants only what its parent has. So each parent that is
 * still empty gets what is above it, and the container's own list that was not asked for too.
 */
function cpusetSteps(base: string, {parent, name, writes}: PartRequest): Step[] {
  const steps: Step[] = [];
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    let inherited = listIn(`${base}/${file}`);
    const fill = (directory: string) =>
      steps.push({op: 'write', stage: `inherit ${file}`, s1: `${directory}/${file}`, s2: inherited});
    for (const level of levelsOf(parent)) {
      const present = listIn(`${base}/${level}/${file}`);
      if (present === '') fill(`${base}/${level}`);
      else inherited = present;
    }
    if (!writes.some(write => write.file === file)) fill(`${base}/${parent}/${name}`);
  }
  return steps;
}

function listIn(path: string): string {
  return readIfPresent(path)?.trim() ?? '';
}

function exitSteps(directories: Readonly<Record<string, string>>): Step[] {
  const {memory, cpuacct, pids} = directories;
  const stage = 'cgroup counters';
  const steps: Step[] = [];
  if (memory !== undefined) {
    steps.push({op: 'report', stage, s1: `${memory}/memory.oom_control`, x: EXIT_REPORT.oomControl});
    steps.push({op: 'report', stage, s1: `${memory}/memory.max_usage_in_bytes`, x: EXIT_REPORT.memoryPeak});
  }
  if (cpuacct !== undefined)
    steps.push({op: 'report', stage, s1: `${cpuacct}/cpuacct.usage`, x: EXIT_REPORT.cpuacctUsage});
  if (pids !== undefined)
    steps.push({op: 'report', stage, s1: `${pids}/pids.events`, x: EXIT_REPORT.pidsEvents});
  return steps;
}

/** A frozen v1 task does not die of SIGKILL until thawed: signal, thaw, then wait until all are gone. */
function teardownSteps(directories: Readonly<Record<string, string>>, unique: readonly string[]): Step[] {
  const all = directories['freezer'] ?? unique[0];
  if (all === undefined) return [];
  const stage = 'kill cgroup';
  const steps = unique.map(removeIfEmpty);
  if (directories['freezer'] !== undefined) {
    steps.push({op: 'killCgroup', stage, s1: all, x: 0, flags: STEP_FLAGS.optional});
    steps.push({
      op: 'write',
      stage: 'thaw cgroup',
      s1: `${all}/freezer.state`,
      s2: 'THAWED',
      flags: STEP_FLAGS.optional,
    });
  }
  steps.push({op: 'killCgroup', stage, s1: all, x: TEARDOWN_WAIT_MS});
  for (const directory of unique)
    steps.push({op: 'rmdir', stage: 'remove cgroup', s1: directory, x: TEARDOWN_WAIT_MS});
  return steps;
}
