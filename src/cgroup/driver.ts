import type {SlotAllocator} from '../binding/steps.js';
import {CoracleError} from '../errors.js';
import type {
  CgroupCapability,
  CgroupDriver,
  CgroupRequest,
  CgroupSteps,
  Limits,
  UpdateRequest,
} from './cgroup.js';
import {DEFAULT_PARENT} from './cgroup.js';
import {resolveDeviceRules} from './device-rules.js';
import {decodeExitReports, killCounters} from './exit-facts.js';
import type {Controller, LimitWrite} from './limit-writes.js';
import {askedLimits, CONTROLLER_OF} from './limit-writes.js';
import type {CgroupPart, FileWrite, Refusal} from './part.js';
import type {LimitUpdate} from './update-limits.js';
import type {HostResources} from './validate-limits.js';
import {checkLimits} from './validate-limits.js';

export interface DriverFacts {
  readonly layout: CgroupDriver['layout'];
  /** Where a controller is looked for, in this order. */
  readonly parts: readonly CgroupPart[];
  readonly host: HostResources;
  /** Layout none: why there is no cgroup to be had. */
  readonly nothing: Refusal;
}

/** Joins the parts of a layout to one driver. */
export function makeDriver({layout, parts, host, nothing}: DriverFacts): CgroupDriver {
  const ownerOf = (controller: Controller, parent: string) =>
    parts.find(part => part.controllers(parent).has(controller));
  const whyNot = (controller: Controller, parent: string) => parts[0]?.whyNot(controller, parent) ?? nothing;

  /** Which part writes what, and what of it this host cannot enforce. */
  function assign(request: LimitRequest, parent: string, warnings: string[]): Assigned {
    const refuse: Refuse = (what, controller, {reason, remedy}) => {
      if (request.whenUnavailable === 'warn') {
        warnings.push(`${what} is not enforced: ${reason}`);
        return;
      }
      throw new CoracleError('ERR_LIMIT_UNSUPPORTED', `${what} cannot be enforced: ${reason}`, {
        hint: remedy,
        details: {limit: what, controller, reason},
      });
    };

    const writesOf = new Map<CgroupPart, (FileWrite & Pick<LimitWrite, 'limit'>)[]>(
      parts.map(part => [part, []]),
    );
    const served = new Map<CgroupPart, Partial<Record<keyof Limits, unknown>>>(parts.map(part => [part, {}]));
    for (const limit of askedLimits(request.limits)) {
      const controller = CONTROLLER_OF[limit];
      const owner = ownerOf(controller, parent);
      if (owner === undefined) refuse(limit, controller, whyNot(controller, parent));
      else served.get(owner)![limit] = request.limits[limit];
    }
    for (const part of parts) {
      for (const {limit, controller, choices, implied} of part.limitWrites(served.get(part) as Limits)) {
        const choice = choices.find(({file}) => part.hasFile(parent, controller, file));
        if (choice !== undefined) writesOf.get(part)!.push({limit, controller, ...choice});
        else if (!implied)
          refuse(
            limit,
            controller,
            whyNoFile(
              choices.map(({file}) => file),
              layout,
            ),
          );
      }
    }
    return {writesOf, refuse};
  }

  function compile(request: CgroupRequest, slots: SlotAllocator): CgroupSteps {
    const parent = checkPath(request.parent ?? DEFAULT_PARENT, 'parent');
    const name = checkPath(request.name, 'name');
    const warnings = checkLimits(request.limits, host);
    const {writesOf, refuse} = assign(request, parent, warnings);

    const devices = request.devices === undefined ? undefined : resolveDeviceRules(request.devices);
    const deviceOwner = devices === undefined ? undefined : ownerOf('devices', parent);
    if (devices !== undefined && deviceOwner === undefined)
      refuse('devices', 'devices', whyNot('devices', parent));

    // In a hybrid the v2 cgroup is made only for what v1 cannot do: joining it can cost a wait that v1's `tasks` do not.
    const freezerOwner = ownerOf('freezer', parent);
    const used = parts.filter(
      (part, index) =>
        index === 0 || part === deviceOwner || part === freezerOwner || (writesOf.get(part)?.length ?? 0) > 0,
    );
    refuseFrozenIn(used, parent);
    const built = used.map(part =>
      part.build(
        {parent, name, writes: writesOf.get(part) ?? [], devices: part === deviceOwner ? devices : undefined},
        slots,
      ),
    );
    return {
      host: built.flatMap(part => part.host),
      child: built.flatMap(part => part.child),
      cloneInto: built.map(part => part.cloneInto).find(slot => slot !== -1) ?? -1,
      exit: built.flatMap(part => part.exit),
      teardown: built.flatMap(part => part.teardown),
      warnings,
      directories: Object.assign({}, ...built.map(part => part.directories)),
    };
  }

  function compileUpdate({name, parent: asked, before, limits, whenUnavailable}: UpdateRequest): LimitUpdate {
    const parent = checkPath(asked ?? DEFAULT_PARENT, 'parent');
    const container = {parent, name: checkPath(name, 'name')};
    const warnings: string[] = [];
    const wanted = assign({limits, ...(whenUnavailable && {whenUnavailable})}, parent, warnings);
    const present = assign({limits: before, whenUnavailable: 'warn'}, parent, []);
    const writes = parts.flatMap(part => {
      const had = new Set(present.writesOf.get(part)!.map(keyOf));
      const changed = wanted.writesOf.get(part)!.filter(write => !had.has(keyOf(write)));
      return [...changed, ...liftedLimits(before, limits)]
        .filter(({controller}) => part === ownerOf(controller, parent))
        .map(write => ({...write, part, directory: part.directoryFor(container, write.controller)}));
    });
    return {writes, warnings, container};
  }

  return {
    layout,
    compile,
    compileUpdate,
    checkUpdate: limits => checkLimits(limits, host, {update: true}),
    decodeExitReports,
    refuseFrozen: (parent = DEFAULT_PARENT) => refuseFrozenIn(parts, checkPath(parent, 'parent')),
    directoriesOf(name, parent = DEFAULT_PARENT) {
      const [below, child] = [checkPath(parent, 'parent'), checkPath(name, 'name')];
      return Object.assign({}, ...parts.map(part => part.directories(below, child)));
    },
    counters: killCounters,
    joining(directories, slots) {
      const [v2, v1] = [new Set<string>(), new Set<string>()];
      for (const [controller, path] of Object.entries(directories)) (controller === '' ? v2 : v1).add(path);
      const joined = parts.map(part => part.joining([...(part.unified ? v2 : v1)], slots));
      return {
        host: joined.flatMap(part => part.host),
        child: joined.flatMap(part => part.child),
        cloneInto: joined.map(part => part.cloneInto).find(slot => slot !== -1) ?? -1,
      };
    },
    settle: () => parts.flatMap(part => part.settle(DEFAULT_PARENT)),
    removal(name, parent = DEFAULT_PARENT) {
      const [below, child] = [checkPath(parent, 'parent'), checkPath(name, 'name')];
      return parts.flatMap(part => part.removal(below, child));
    },
    prepare(parent = DEFAULT_PARENT) {
      for (const part of parts) {
        part.prepare(checkPath(parent, 'parent'));
        part.isFrozen(parent); // opens the file that every start looks at
      }
    },
    capabilities() {
      return CAPABILITIES.map(({name, controller, files}): CgroupCapability => {
        const owner = ownerOf(controller, DEFAULT_PARENT);
        if (owner === undefined)
          return {controller: name, available: false, ...whyNot(controller, DEFAULT_PARENT)};
        if (files.length === 0 || files.some(file => owner.hasFile(DEFAULT_PARENT, controller, file))) {
          return {controller: name, available: true, reason: '', remedy: ''};
        }
        return {controller: name, available: false, ...whyNoFile(files, layout)};
      });
    },
  };
}

/** Only this one can be lifted again: Docker's words for "none" mean "as it was" in an update of the others. */
function liftedLimits(before: Limits, {processes = 0}: Limits): (FileWrite & Pick<LimitWrite, 'limit'>)[] {
  if (processes > 0 || (before.processes ?? 0) <= 0) return [];
  return [{limit: 'processes', controller: 'pids', file: 'pids.max', value: 'max'}];
}

function keyOf({file, value}: FileWrite): string {
  return `${file} ${value}`;
}

type Refuse = (what: string, controller: Controller, refusal: Refusal) => void;
type LimitRequest = Pick<CgroupRequest, 'limits' | 'whenUnavailable'>;

interface Assigned {
  readonly writesOf: ReadonlyMap<CgroupPart, readonly (FileWrite & Pick<LimitWrite, 'limit'>)[]>;
  readonly refuse: Refuse;
}

function refuseFrozenIn(parts: readonly CgroupPart[], parent: string): void {
  if (!parts.some(part => part.isFrozen(parent))) return;
  throw new CoracleError(
    'ERR_CGROUP_FROZEN',
    `the parent cgroup ${parent} is frozen: nothing can start in it`,
    {
      hint: 'thaw it first',
    },
  );
}

/** The rows of `doctor`. A row with files needs one of them besides its controller. */
const CAPABILITIES: readonly {name: string; controller: Controller; files: readonly string[]}[] = [
  {name: 'memory', controller: 'memory', files: []},
  {name: 'swap', controller: 'memory', files: ['memory.memsw.limit_in_bytes', 'memory.swap.max']},
  {name: 'oom-kill-disable', controller: 'memory', files: ['memory.oom_control']},
  {name: 'swappiness', controller: 'memory', files: ['memory.swappiness']},
  {name: 'cpu', controller: 'cpu', files: ['cpu.cfs_quota_us', 'cpu.max']},
  {name: 'cpuacct', controller: 'cpuacct', files: []},
  {name: 'cpuset', controller: 'cpuset', files: []},
  {name: 'pids', controller: 'pids', files: []},
  {name: 'io', controller: 'io', files: ['blkio.throttle.read_bps_device', 'io.max']},
  {
    name: 'io-weight',
    controller: 'io',
    files: ['blkio.weight', 'blkio.bfq.weight', 'io.bfq.weight', 'io.weight'],
  },
  {name: 'hugetlb', controller: 'hugetlb', files: []},
  {name: 'devices', controller: 'devices', files: []},
  {name: 'freezer', controller: 'freezer', files: []},
];

function whyNoFile(files: readonly string[], layout: CgroupDriver['layout']): Refusal {
  const [file = ''] = files;
  if (file === '')
    return {reason: 'cgroup v2 has no such limit', remedy: 'leave it out on hosts with cgroup v2'};
  const remedy = /memsw|swap\.max/.test(file)
    ? 'boot with swapaccount=1 on the kernel command line'
    : /weight/.test(file)
      ? 'modprobe bfq, and choose it for the disk: echo bfq > /sys/block/DISK/queue/scheduler'
      : 'use a kernel that was built with it';
  return {reason: `this kernel's cgroup ${layout} has no ${files.join(' or ')}`, remedy};
}

/** A path below the parent of all: no way up, no empty segments. Docker writes parents with a leading slash. */
function checkPath(path: string, what: 'parent' | 'name'): string {
  const relative = what === 'parent' ? path.replace(/^\/+|\/+$/g, '') : path;
  const segments = relative.split('/');
  const wrong = segments.some(
    segment => segment === '' || segment === '.' || segment === '..' || segment.includes('\0'),
  );
  if (wrong || (what === 'name' && segments.length > 1)) {
    throw new CoracleError('ERR_INVALID_OPTION', `invalid cgroup ${what}: ${JSON.stringify(path)}`, {
      hint: what === 'parent' ? 'give a path such as "batch/nightly"' : 'give one path segment',
    });
  }
  return relative;
}
