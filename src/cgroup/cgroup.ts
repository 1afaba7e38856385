import type {Slot, SlotAllocator, Step} from '../binding/steps.js';
import type {LimitUpdate} from './update-limits.js';

/**
 * Resource limits of one container. Every field is optional: absent means no limit of our own. Names follow Docker's
 * HostConfig where it has the notion; units are in the names.
 */
export interface Limits {
  /** Upper limit in bytes, page cache included; at least 6 MiB (Docker's floor). `--memory` */
  readonly memoryBytes?: number;
  /** Memory plus swap in bytes, as Docker counts it; -1 = unlimited swap. `--memory-swap` */
  readonly memorySwapBytes?: number;
  /** Soft limit in bytes. `--memory-reservation` */
  readonly memoryReservationBytes?: number;
  /** Keep the OOM killer away (v1 only). `--oom-kill-disable` */
  readonly oomKillDisable?: boolean;
  /** 0 to 100, v1 only. `--memory-swappiness` */
  readonly memorySwappiness?: number;
  /** CPUs' worth of time, e.g. 0.5. `--cpus` */
  readonly cpus?: number;
  /** CFS period and quota in microseconds, instead of `cpus`. `--cpu-period --cpu-quota` */
  readonly cpuPeriodUs?: number;
  readonly cpuQuotaUs?: number;
  /** Relative weight, 2 to 262144, 1024 is the default of the kernel. `--cpu-shares` */
  readonly cpuShares?: number;
  /** List format of cpuset(7), e.g. "0-1,3". `--cpuset-cpus --cpuset-mems` */
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  /** Processes and threads together; -1 = no limit. `--pids-limit` */
  readonly processes?: number;
  /** 10 to 1000. `--blkio-weight` */
  readonly blkioWeight?: number;
  readonly blkioWeightDevice?: readonly {readonly path: string; readonly weight: number}[];
  /** Throttles per block device. `--device-read-bps …` */
  readonly deviceReadBps?: readonly DeviceRate[];
  readonly deviceWriteBps?: readonly DeviceRate[];
  readonly deviceReadIops?: readonly DeviceRate[];
  readonly deviceWriteIops?: readonly DeviceRate[];
  /** Huge pages: size as the kernel names it ("2MB") and limit in bytes. */
  readonly hugetlb?: readonly {readonly pageSize: string; readonly limitBytes: number}[];
}

export interface DeviceRate {
  readonly path: string;
  /** Bytes or operations per second. */
  readonly rate: number;
}

/** One rule of the devices controller, in the kernel's terms. */
export interface DeviceRule {
  readonly allow: boolean;
  readonly type: 'a' | 'b' | 'c';
  /** -1 = any. */
  readonly major: number;
  readonly minor: number;
  /** Letters of "rwm". */
  readonly access: string;
}

export interface CgroupRequest {
  /** Name of the container's cgroup, relative to the parent: its id. */
  readonly name: string;
  /** Parent below each controller's root; default "coracle". `--cgroup-parent` */
  readonly parent?: string;
  readonly limits: Limits;
  /**
   * Device rules in order, deny-all first (DEFAULT_DEVICE_RULES); undefined = devices are not confined: `--privileged`,
   * and user namespaces, where the kernel refuses device nodes by itself and no device program can be loaded.
   */
  readonly devices?: readonly DeviceRule[];
  /** What to do with a limit that this host cannot enforce. Default 'error'. */
  readonly whenUnavailable?: 'error' | 'warn';
}

/** Other limits for a container that has a cgroup, or will have one. */
export interface UpdateRequest extends Pick<CgroupRequest, 'name' | 'parent' | 'limits' | 'whenUnavailable'> {
  /** Those that it has. */
  readonly before: Limits;
}

/** The steps that make, join, read and remove one container's cgroup. */
export interface CgroupSteps {
  /** Host phase: directories, limits, descriptors opened for the child. */
  readonly host: readonly Step[];
  /** Child phase, first thing after the clone: join (v1: write "0" to each `tasks`). */
  readonly child: readonly Step[];
  /** v2: slot of the directory for CLONE_INTO_CGROUP; -1 otherwise. */
  readonly cloneInto: Slot;
  /** Exit phase: counters read before the directory goes. Keys are those of `ExitReportKey`. */
  readonly exit: readonly Step[];
  /** Teardown phase: kill what is left, rmdir. */
  readonly teardown: readonly Step[];
  /** Limits that were asked for and are not enforced, when `whenUnavailable` is 'warn': one sentence each. */
  readonly warnings: readonly string[];
  /** Directory per controller on the host ("" = the unified tree), for freezer and statistics later. */
  readonly directories: Readonly<Record<string, string>>;
}

/** Steps for a process that joins a cgroup: before it is cloned, and its own first ones; `cloneInto` as for a start. */
export type CgroupJoin = Pick<CgroupSteps, 'host' | 'child' | 'cloneInto'>;

/** Keys of the exit event's reports; `decodeExitReports` turns them into facts. */
export const EXIT_REPORT = {
  oomControl: 1,
  memoryEvents: 2,
  memoryPeak: 3,
  cpuacctUsage: 4,
  cpuStat: 5,
  pidsEvents: 6,
} as const;

export interface ExitFacts {
  /** Times the OOM killer struck in this cgroup; undefined = not known on this host. */
  readonly oomKills: number | undefined;
  readonly peakMemoryBytes: number | undefined;
  readonly cpuTimeUs: number | undefined;
  /** Times a fork was refused by the pids limit; undefined = not known. */
  readonly pidsLimitHits: number | undefined;
}

export interface CgroupCapability {
  readonly controller: string;
  readonly available: boolean;
  /** Why not, and what lifts it; '' when available. */
  readonly reason: string;
  readonly remedy: string;
}

/** The cgroup under which containers are made when nothing else is asked for. */
export const DEFAULT_PARENT = 'coracle';

/** One host layout: v1, v2, hybrid or none. */
export interface CgroupDriver {
  readonly layout: 'v1' | 'v2' | 'hybrid' | 'none';
  /** What this host can enforce, for `doctor` and `capabilities()`. Exact once `prepare()` has run, read-only before. */
  capabilities(): readonly CgroupCapability[];
  /**
   * Makes a parent cgroup and, on v2, enables its controllers; again is fine. To be called at open, *before* the
   * launcher starts, and once for each other parent. It acts by itself, with blocking writes of some microseconds. In a
   * delegated v2 cgroup that holds this very process it moves the cgroup's processes one level down, to
   * `coracle-callers` (v2 allows no processes beside children), which takes some 10 ms.
   * @throws CoracleError `ERR_CGROUP_PARENT` when the directory cannot be made
   */
  prepare(parent?: string): void;
  /**
   * Changes nothing; looks at the parent's files (is it frozen, has this kernel that limit).
   * @throws CoracleError `ERR_LIMIT_UNSUPPORTED`, `ERR_INVALID_OPTION`, `ERR_CGROUP_FROZEN`
   */
  compile(request: CgroupRequest, slots: SlotAllocator): CgroupSteps;
  /** What changes with other limits; changes nothing: see `applyUpdate`. @throws CoracleError `ERR_LIMIT_UNSUPPORTED` */
  compileUpdate(request: UpdateRequest): LimitUpdate;
  /** Limits that are to replace some others: each on its own, as dockerd judges an update. @throws `ERR_INVALID_OPTION` */
  checkUpdate(limits: Limits): void;
  /** What `compile` looks at anew each time. @throws CoracleError `ERR_CGROUP_FROZEN` */
  refuseFrozen(parent?: string): void;
  decodeExitReports(reports: ReadonlyMap<number, Uint8Array>): ExitFacts;
  /** A container's cgroups that are there, by controller; '' = the unified tree. None: it has no cgroup, or none any more. */
  directoriesOf(name: string, parent?: string): CgroupSteps['directories'];
  /** Steps for the exit phase of a process that joined: the counters that say whether the kernel struck at somebody in there. */
  counters(directories: CgroupSteps['directories']): Step[];
  /** How one more process joins a container's cgroups. */
  joining(directories: CgroupSteps['directories'], slots: SlotAllocator): CgroupJoin;
  /** Host-phase steps of a process that is to outlive its caller: it leaves the caller's cgroup in every hierarchy. */
  settle(): Step[];
  /** Steps for the teardown phase that kill and remove a container's cgroup in every hierarchy, whatever its limits were. */
  removal(name: string, parent?: string): Step[];
}
