/**
 * The steps of a plan as TypeScript writes them: the mirror of `native/steps.def`, one constructor per opcode.
 * A plan is plain data: it can be shown (`--explain`), stored (`plan.bin`) and tested without the library.
 *
 * Slots are small numbers that stand for descriptors while a plan is executed. The executor closes every slot that is
 * still open when the plan ends.
 */
export type Slot = number & {readonly __slot?: never};

/** No slot: paths are looked up from the host's root (host phases only). */
export const HOST: Slot = -1;
/** Slots that the spawner fills before a plan starts. */
export const SLOT_EMPTY_NAMESPACE: Slot = 0;
/** A private procfs mount of the launcher's: the host's pid namespace, no submounts, nobody can mount over it. */
export const SLOT_PROC: Slot = 1;
/** Readable at its end once the supervisor is gone. */
export const SLOT_LIFE: Slot = 2;
/** The first descriptor passed with the request; the others follow. At most 16. */
export const SLOT_PASSED: Slot = 4;
/** The first slot that a plan may use for itself. */
export const SLOT_FREE: Slot = 20;
export const SLOT_LIMIT = 1024;

export const OPCODES = {
  open: 1,
  close: 2,
  mkdir: 3,
  write: 4,
  create: 5,
  symlink: 6,
  mknod: 7,
  fsopen: 8,
  fsconfigString: 9,
  fsconfigFlag: 10,
  fsconfigFd: 11,
  fsmount: 12,
  openTree: 13,
  mountSetattr: 14,
  moveMount: 15,
  target: 16,
  clone: 17,
  setns: 18,
  unshare: 19,
  chroot: 20,
  pivot: 21,
  hostname: 22,
  domainname: 23,
  rlimit: 24,
  prctl: 25,
  bounding: 26,
  capset: 27,
  ambient: 28,
  groups: 29,
  setgid: 30,
  setuid: 31,
  seccomp: 32,
  netlink: 33,
  keyring: 34,
  stdio: 35,
  closeRange: 36,
  workdir: 37,
  exec: 38,
  mask: 39,
  readOnly: 40,
  setsid: 41,
  ctty: 42,
  umask: 43,
  removeTree: 44,
  rmdir: 45,
  unlink: 46,
  umount: 47,
  report: 48,
  pidFile: 49,
  chown: 50,
  chmod: 51,
  procWrite: 52,
  killCgroup: 53,
  life: 54,
  mount: 55,
  bpfDevice: 56,
  overlayOptions: 57,
  hold: 58,
  userNamespace: 59,
  absent: 60,
  nextPlan: 61,
  console: 62,
  enter: 70,
  fork: 71,
  terminal: 72,
  socket: 80,
  bind: 81,
  forward: 82,
  pair: 83,
  pass: 84,
  resolve: 85,
  socketInside: 86,
  lock: 90,
  mountOnce: 91,
  unmountUnused: 92,
  removeUnshared: 93,
  removeEmpty: 94,
} as const;

export type OpcodeName = keyof typeof OPCODES;

/** Bits of a step's `flags`. */
export const STEP_FLAGS = {
  existsOk: 1,
  /** A missing file or a refusal is no failure: the step is skipped, and so are the `skip` steps after it. */
  optional: 2,
  file: 4,
  clamp: 8,
  make: 16,
  noSymlinks: 32,
  /** `target`: make what slot `x` is, a directory or a file. */
  like: 64,
  /** `teardown`: not when a step before it failed. */
  ifClean: 128,
  /** `teardown`: not when whoever carries it out is about to start the plan again. */
  final: 256,
} as const;

export interface Step {
  readonly op: OpcodeName;
  /** What this step is for, in words: the `stage` of an error and the row of `--explain`. */
  readonly stage: string;
  readonly at?: Slot;
  readonly out?: Slot;
  readonly s1?: string | Uint8Array;
  readonly s2?: string | Uint8Array;
  readonly x?: number | bigint;
  readonly y?: number | bigint;
  readonly z?: number;
  /** STEP_FLAGS, or-ed. */
  readonly flags?: number;
  /** The step belongs to Coracle's own book-keeping, not to starting a process: the floor benchmark leaves it out. */
  readonly record?: boolean;
}

/**
 * When the steps run: `host` in the spawner before the clone; `parent` in the spawner while the child waits (user
 * namespaces only); `child` in the new process, ending in `exec`; `started` in the spawner after a successful exec;
 * `exit` in the supervisor between death and its report (reads only, nothing that can block); `teardown` in the
 * janitor, after every exit and after a failed start: each of its steps finds absent things fine.
 */
export interface Plan {
  readonly host: readonly Step[];
  readonly parent: readonly Step[];
  readonly child: readonly Step[];
  readonly started: readonly Step[];
  readonly exit: readonly Step[];
  readonly teardown: readonly Step[];
}

export const PHASES = [
  'host',
  'parent',
  'child',
  'started',
  'exit',
  'teardown',
] as const satisfies readonly (keyof Plan)[];
export type Phase = (typeof PHASES)[number];

/** Hands out slots; a plan compiler has one per plan. */
export class SlotAllocator {
  #next = SLOT_FREE;

  next(): Slot {
    if (this.#next >= SLOT_LIMIT) throw new RangeError(`a plan may use at most ${SLOT_LIMIT} slots`);
    return this.#next++;
  }
}
