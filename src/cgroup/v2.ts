import {constants, existsSync, writeFileSync} from 'node:fs';
import {type Slot, type SlotAllocator, STEP_FLAGS, type Step} from '../binding/steps.js';
import {blockDeviceNumber} from './block-device.js';
import type {DeviceRate, Limits} from './cgroup.js';
import {EXIT_REPORT} from './cgroup.js';
import {
  CPU_PERIOD_US,
  cpuQuotaUs,
  cpuWeight,
  ioWeight,
  memorySwapOrDefault,
  swapMax,
} from './convert-limits.js';
import {compileDeviceProgram} from './device-program.js';
import {exists, isErrno, makeDirectory, readAgain, readIfPresent} from './host-files.js';
import type {Controller, LimitWrite} from './limit-writes.js';
import {CONTROLLERS} from './limit-writes.js';
import type {CgroupPart, PartRequest, PartSteps, Refusal} from './part.js';
import {joinStep, levelsOf, MONITORS, removeIfEmpty, TEARDOWN_WAIT_MS} from './part.js';

/** The v2 tree as found on the host. */
export interface V2Tree {
  /** The tree's root, or the topmost cgroup that was delegated to this process. */
  readonly base: string;
  /** Whether device programs can be loaded: BPF_PROG_TYPE_CGROUP_DEVICE needs CAP_SYS_ADMIN (bpf(2)). */
  readonly devicePrograms: boolean;
}

/** The v2 tree: one directory, limits in files, joined by being cloned into it. */
export function v2Part(tree: V2Tree): CgroupPart {
  const {base} = tree;
  const enabled = new Map<string, ReadonlySet<Controller>>();

  function controllers(parent: string): ReadonlySet<Controller> {
    const known = enabled.get(parent);
    if (known !== undefined) return known;
    // What children of the parent get; before prepare() has made it, what it could get.
    const names =
      wordsIn(`${base}/${parent}/cgroup.subtree_control`) ?? wordsIn(`${base}/cgroup.controllers`) ?? [];
    const set = new Set(CONTROLLERS.filter(controller => names.includes(controller)));
    // No controllers in v2, but parts of every cgroup: cpu.stat counts time, cgroup.freeze stops it (kernel 5.2).
    set.add('cpuacct');
    set.add('freezer');
    if (tree.devicePrograms) set.add('devices');
    enabled.set(parent, set);
    return set;
  }

  return {
    unified: true,
    controllers,
    limitWrites: v2LimitWrites,
    hasFile(parent, _controller, file) {
      const directory = `${base}/${parent}`;
      if (!exists(directory)) return true; // not prepared yet: nothing says that it will be missing
      return exists(`${directory}/${file}`);
    },
    whyNot: (controller, parent) => whyNot(tree, controller, parent),
    prepare(parent) {
      enabled.clear();
      const levels = levelsOf(parent);
      const listed = wordsIn(`${base}/cgroup.controllers`) ?? [];
      const wanted = CONTROLLERS.filter(controller => listed.includes(controller));
      moveProcessesAside(base, wanted);
      enable(base, wanted);
      for (const level of levels) {
        makeDirectory(`${base}/${level}`);
        enable(`${base}/${level}`, wanted);
      }
    },
    isFrozen: parent => /^frozen 1$/m.test(readAgain(`${base}/${parent}/cgroup.events`) ?? ''),
    build: (request, slots) => build(base, request, slots),
    directories(parent, name): Readonly<Record<string, string>> {
      const directory = `${base}/${parent}/${name}`;
      return exists(directory) ? {'': directory} : {};
    },
    joining([directory], slots) {
      if (directory === undefined) return {host: [], child: [], cloneInto: -1};
      const slot = slots.next();
      return {host: [openStep(directory, slot)], child: [], cloneInto: slot};
    },
    directoryFor: ({parent, name}) => `${base}/${parent}/${name}`,
    extend: () => [], // one directory has them all
    settle(parent) {
      const directory = `${base}/${parent}/${MONITORS}`;
      const flags = STEP_FLAGS.existsOk | STEP_FLAGS.optional;
      return [
        {op: 'mkdir', stage: "leave the caller's cgroup", s1: directory, x: 0o755, flags},
        joinStep(`${directory}/cgroup.procs`),
      ];
    },
    removal: (parent, name) => teardownSteps(`${base}/${parent}/${name}`),
  };
}

function wordsIn(path: string): string[] | undefined {
  return readIfPresent(path)?.trim().split(' ');
}

/** One by one: a controller that the kernel refuses (cpu with real-time tasks around) must not cost us the others. */
function enable(directory: string, controllers: readonly Controller[]): void {
  const present = wordsIn(`${directory}/cgroup.subtree_control`) ?? [];
  for (const controller of controllers.filter(name => !present.includes(name))) {
    try {
      writeFileSync(`${directory}/cgroup.subtree_control`, `+${controller}`);
    } catch (error) {
      // capabilities() and compile() see from subtree_control that it is missing, and say so when it is needed.
      if (!isErrno(error, 'EBUSY', 'EINVAL', 'ENOENT', 'EACCES', 'EPERM', 'EROFS', 'EOPNOTSUPP')) throw error;
    }
  }
}

/** Where the processes of a delegated cgroup go, so that its controllers can be enabled. */
const ASIDE = 'coracle-callers';

/**
 * "No internal processes" (cgroups(7)): outside the real root, a cgroup that has processes cannot hand controllers to
 * children. When the delegated cgroup is our own, this process and its siblings move one level down first, as systemd
 * asks of the owners of delegated units (CGROUP_DELEGATION, "Three Scenarios").
 */
function moveProcessesAside(base: string, wanted: readonly Controller[]): void {
  const isRealRoot = !existsSync(`${base}/cgroup.type`);
  const present = wordsIn(`${base}/cgroup.subtree_control`) ?? [];
  if (isRealRoot || wanted.every(controller => present.includes(controller))) return;
  const pids = () =>
    (readIfPresent(`${base}/cgroup.procs`) ?? '').split('\n').filter(pid => /^[1-9]/.test(pid));
  if (pids().length === 0) return;
  makeDirectory(`${base}/${ASIDE}`);
  // Processes may fork meanwhile: look again until none is left, but not for ever.
  for (let attempt = 0; attempt < 10 && pids().length > 0; attempt++) {
    for (const pid of pids()) {
      try {
        writeFileSync(`${base}/${ASIDE}/cgroup.procs`, pid);
      } catch (error) {
        if (!isErrno(error, 'ESRCH', 'EACCES', 'EPERM', 'EINVAL')) throw error;
      }
    }
  }
}

function whyNot({base}: V2Tree, controller: Controller, parent: string): Refusal {
  if (controller === 'devices') {
    return {
      reason: 'device programs need CAP_SYS_ADMIN',
      remedy: 'run as root; in a user namespace the kernel refuses device nodes anyway',
    };
  }
  if (wordsIn(`${base}/cgroup.controllers`)?.includes(controller) !== true) {
    return {
      reason: `${base}/cgroup.controllers does not list ${controller}`,
      remedy: `have it delegated: systemctl edit user@.service, [Service] Delegate=cpu cpuset io memory pids; as root, see that no v1 hierarchy holds it (cgroup_no_v1=${controller} on the kernel's command line)`,
    };
  }
  return {
    reason: `${controller} is not enabled in ${base}/${parent}/cgroup.subtree_control`,
    remedy:
      'a cgroup above it has processes of its own or does not enable it: move them down, or choose another parent',
  };
}

/** A new cgroup has no limits, so the order is only that of the reader. */
function v2LimitWrites(limits: Limits): LimitWrite[] {
  const writes: LimitWrite[] = [];
  const add = (limit: keyof Limits, controller: Controller, file: string, value: string | number) =>
    writes.push({limit, controller, choices: [{file, value: String(value)}]});
  const absent = (limit: keyof Limits, controller: Controller) =>
    writes.push({limit, controller, choices: []});

  const {memoryBytes = 0, memorySwapBytes = 0, memoryReservationBytes = 0} = limits;
  if (memoryBytes > 0) {
    add('memoryBytes', 'memory', 'memory.max', memoryBytes);
    const value = swapMax(memoryBytes, memorySwapOrDefault(memoryBytes, memorySwapBytes));
    const choices = [{file: 'memory.swap.max', value}];
    writes.push({limit: 'memorySwapBytes', controller: 'memory', choices, implied: memorySwapBytes === 0});
  }
  if (memoryReservationBytes > 0)
    add('memoryReservationBytes', 'memory', 'memory.low', memoryReservationBytes);
  if (limits.memorySwappiness !== undefined) absent('memorySwappiness', 'memory');
  if (limits.oomKillDisable) absent('oomKillDisable', 'memory');

  if (limits.cpuShares) add('cpuShares', 'cpu', 'cpu.weight', cpuWeight(limits.cpuShares));
  if (limits.cpus) add('cpus', 'cpu', 'cpu.max', `${cpuQuotaUs(limits.cpus)} ${CPU_PERIOD_US}`);
  const {cpuQuotaUs: quota = 0, cpuPeriodUs: period = 0} = limits;
  if (quota !== 0 || period !== 0) {
    const asked = quota === 0 ? 'cpuPeriodUs' : 'cpuQuotaUs';
    add(asked, 'cpu', 'cpu.max', `${quota > 0 ? quota : 'max'} ${period === 0 ? CPU_PERIOD_US : period}`);
  }
  if (limits.cpusetCpus) add('cpusetCpus', 'cpuset', 'cpuset.cpus', limits.cpusetCpus);
  if (limits.cpusetMems) add('cpusetMems', 'cpuset', 'cpuset.mems', limits.cpusetMems);
  if ((limits.processes ?? 0) > 0) add('processes', 'pids', 'pids.max', limits.processes ?? 0);

  // BFQ takes v1's range; the kernel's other weight, io.cost's, has its own.
  const weight = (limit: keyof Limits, value: number, prefix: string) => {
    const choices = [
      {file: 'io.bfq.weight', value: `${prefix}${value}`},
      {file: 'io.weight', value: `${prefix}${ioWeight(value)}`},
    ];
    writes.push({limit, controller: 'io', choices});
  };
  if (limits.blkioWeight) weight('blkioWeight', limits.blkioWeight, '');
  for (const device of limits.blkioWeightDevice ?? []) {
    weight('blkioWeightDevice', device.weight, `${blockDeviceNumber(device.path)} `);
  }
  const throttle = (limit: keyof Limits, rates: readonly DeviceRate[] | undefined, key: string) => {
    for (const {path, rate} of rates ?? []) {
      // 0 is no limit in v1, and refused here.
      add(limit, 'io', 'io.max', `${blockDeviceNumber(path)} ${key}=${rate === 0 ? 'max' : rate}`);
    }
  };
  throttle('deviceReadBps', limits.deviceReadBps, 'rbps');
  throttle('deviceWriteBps', limits.deviceWriteBps, 'wbps');
  throttle('deviceReadIops', limits.deviceReadIops, 'riops');
  throttle('deviceWriteIops', limits.deviceWriteIops, 'wiops');

  for (const {pageSize, limitBytes} of limits.hugetlb ?? []) {
    add('hugetlb', 'hugetlb', `hugetlb.${pageSize}.max`, limitBytes);
  }
  return writes;
}

function build(base: string, {parent, name, writes, devices}: PartRequest, slots: SlotAllocator): PartSteps {
  const directory = `${base}/${parent}/${name}`;
  const slot = slots.next();
  const host: Step[] = [{op: 'mkdir', stage: 'cgroup directory', s1: directory, x: 0o755}];
  for (const {file, value} of writes) {
    host.push({op: 'write', stage: `limit ${file}`, s1: `${directory}/${file}`, s2: value});
  }
  host.push(openStep(directory, slot));
  if (devices !== undefined && !(devices.allowByDefault && devices.exceptions.length === 0)) {
    host.push({op: 'bpfDevice', stage: 'device rules', at: slot, s1: compileDeviceProgram(devices)});
  }
  const report = (file: string, key: number): Step => ({
    op: 'report',
    stage: 'cgroup counters',
    s1: `${directory}/${file}`,
    x: key,
  });
  return {
    host,
    child: [],
    cloneInto: slot,
    exit: [
      report('memory.events', EXIT_REPORT.memoryEvents),
      report('memory.peak', EXIT_REPORT.memoryPeak),
      report('cpu.stat', EXIT_REPORT.cpuStat),
      report('pids.events', EXIT_REPORT.pidsEvents),
    ],
    teardown: teardownSteps(directory),
    directories: {'': directory},
  };
}

/** An O_PATH descriptor serves both clone3(CLONE_INTO_CGROUP) and BPF_PROG_ATTACH. */
function openStep(directory: string, out: Slot): Step {
  const x = O_PATH | constants.O_DIRECTORY | O_CLOEXEC;
  return {op: 'open', stage: 'cgroup directory', s1: directory, out, x};
}

function teardownSteps(directory: string): Step[] {
  return [
    removeIfEmpty(directory),
    {op: 'killCgroup', stage: 'kill cgroup', s1: directory, x: TEARDOWN_WAIT_MS},
    {op: 'rmdir', stage: 'remove cgroup', s1: directory, x: TEARDOWN_WAIT_MS},
  ];
}

/** Octal, the same on every architecture we run on; node:fs does not export them. open(2) */
const O_CLOEXEC = 0o2000000;
const O_PATH = 0o10000000;
