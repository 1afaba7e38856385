import {type Slot, type SlotAllocator, STEP_FLAGS, type Step} from '../binding/steps.js';
import type {Limits} from './cgroup.js';
import type {DevicePolicy} from './device-rules.js';
import type {Controller, LimitWrite} from './limit-writes.js';

/**
 * The v1 hierarchies of a host, or its v2 tree. A driver has one of them (v1, v2), both (hybrid) or neither (none);
 * each limit goes to the first part that has its controller.
 */
export interface CgroupPart {
  /** The v2 tree, or the v1 hierarchies. */
  readonly unified: boolean;
  /** Controllers that can be used under this parent, now. */
  controllers(parent: string): ReadonlySet<Controller>;
  /** Whether a cgroup below this parent has the file: kernels differ in what they were built with. */
  hasFile(parent: string, controller: Controller, file: string): boolean;
  /** Why a controller cannot be used, and what lifts it. */
  whyNot(controller: Controller, parent: string): Refusal;
  /** The limits in the order in which the kernel accepts them. Ones not asked for are left out. */
  limitWrites(limits: Limits): LimitWrite[];
  /** Makes the parent and enables what it needs. @throws CoracleError `ERR_CGROUP_PARENT` */
  prepare(parent: string): void;
  /** Whether processes that joined a cgroup below this parent would stand still. */
  isFrozen(parent: string): boolean;
  build(container: PartRequest, slots: SlotAllocator): PartSteps;
  /** Takes a process that outlives its caller out of the caller's cgroups. It acts as the process itself; what is refused stays. */
  settle(parent: string): Step[];
  /** Kills and removes a container's cgroup wherever it may have one. */
  removal(parent: string, name: string): Step[];
  /** A container's cgroups that are there, by controller; '' = the unified tree. */
  directories(parent: string, name: string): Readonly<Record<string, string>>;
  /** Where a controller's files of a container are, or would be. */
  directoryFor(container: Pick<PartRequest, 'parent' | 'name'>, controller: Controller): string;
  /** Host-phase steps that make the cgroups that these writes need, with their limits: `mkdir` and `write` alone. */
  extend(container: PartRequest): Step[];
  /** How one more process gets into these. */
  joining(directories: readonly string[], slots: SlotAllocator): JoinSteps;
}

export interface Refusal {
  readonly reason: string;
  readonly remedy: string;
}

export interface PartRequest {
  readonly parent: string;
  readonly name: string;
  readonly writes: readonly FileWrite[];
  readonly devices: DevicePolicy | undefined;
}

export interface FileWrite {
  readonly controller: Controller;
  readonly file: string;
  readonly value: string;
}

export interface JoinSteps {
  readonly host: readonly Step[];
  /** Carried out by the process itself, while it still sees the host's files. */
  readonly child: readonly Step[];
  readonly cloneInto: Slot;
}

export interface PartSteps extends JoinSteps {
  readonly exit: readonly Step[];
  readonly teardown: readonly Step[];
  readonly directories: Readonly<Record<string, string>>;
}

/** How long the janitor waits for killed processes to be gone, and for a directory to stop being busy. */
export const TEARDOWN_WAIT_MS = 2000;

/** "a/b" → ["a", "a/b"]: each level that must exist before the next. */
export function levelsOf(parent: string): string[] {
  const names = parent.split('/').filter(name => name !== '');
  return names.map((_, index) => names.slice(0, index + 1).join('/'));
}

/** Where processes of ours stay that outlive their caller, below the parent. No container's: those have ids. */
export const MONITORS = 'monitors';

/** As the process itself: with "0" to v1's `tasks` the kernel waits for nobody. */
export function joinStep(file: string): Step {
  return {op: 'write', stage: "leave the caller's cgroup", s1: file, s2: '0', flags: STEP_FLAGS.optional};
}

/**
 * The usual end: all its processes died with their pid namespace. Whoever looks into `cgroup.procs` instead makes the
 * kernel keep the list, and with it the cgroup, for another second. Once it is gone, the teardown's other steps find nothing.
 */
export function removeIfEmpty(directory: string): Step {
  return {op: 'rmdir', stage: 'remove cgroup', s1: directory, x: 0, flags: STEP_FLAGS.optional};
}
