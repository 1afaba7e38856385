/**
 * The plan of a process that joins a running container. Pure, as `compilePlan`.
 *
 * A helper carries it out that shares no memory with anything and whom nobody in the container sees. It joins the cgroup,
 * the namespaces, the one of processes last, gives up its privileges, and forks what becomes the command: when that can
 * be seen, and traced, from inside, it has no more rights and no more descriptors than it will ever have.
 */
import {
  CLONE_NEWPID,
  CLONE_NEWUSER,
  type Plan,
  SLOT_PASSED,
  SLOT_PROC,
  SlotAllocator,
  type Step,
  type TerminalSize,
} from '../binding/index.js';
import type {CgroupJoin} from '../cgroup/index.js';
import {CLOSE_RANGE_CLOEXEC, dieWithSupervisor, execStep, type IdMaps, rootInside} from './compile-plan.js';
import type {ContainerConfig} from './container-config.js';
import type {Bookkeeping} from './container-files.js';
import type {Ulimits} from './default-ulimits.js';
import {limitSteps, privilegeSteps} from './plan-privileges.js';
import type {ResolvedUser} from './resolve-user.js';
import type {SeccompFilter} from './seccomp-program.js';

export interface ExecPlanInput {
  readonly config: Pick<ContainerConfig, 'noNewPrivileges' | 'oomScoreAdj' | 'ulimits' | 'seccomp'>;
  readonly argv: readonly [string, ...string[]];
  /** Complete, HOME included. */
  readonly env: readonly string[];
  readonly workdir: string;
  readonly user: ResolvedUser;
  readonly capabilities: bigint;
  readonly seccomp: SeccompFilter | undefined;
  readonly ulimits: Ulimits;
  readonly cgroup: CgroupJoin;
  /** Read when it has ended. */
  readonly counters: readonly Step[];
  /** CLONE_NEW* of the namespaces that the container does not share with the host. */
  readonly namespaces: number;
  readonly userNamespace: IdMaps | undefined;
  readonly terminal: TerminalSize | undefined;
  readonly detached: boolean;
  readonly bookkeeping: Bookkeeping;
  /** The file by which a process leaves the container's freezer, when it was killed and stands; see `releaseFile`. */
  readonly release?: string;
}

/** What comes with the request after the three streams. */
const PIDFD = SLOT_PASSED + 3;
const TERMINAL_SOCKET = SLOT_PASSED + 4;

/** @param slots those that `input.cgroup` was made with */
export function compileExec(input: ExecPlanInput, slots = new SlotAllocator()): Plan {
  const {config, cgroup, userNamespace, namespaces, terminal, bookkeeping} = input;
  const privileges = privilegeSteps(input);
  const filter = privileges.findIndex(({op}) => op === 'seccomp');
  // Docker's profile lets all that follows pass. A caller's own may not, and comes last, at the price of what loading it needs.
  const early = filter === -1 || config.seccomp === 'default' ? privileges.length : filter;
  const far = slots.next();
  const join = (x: number): Step => ({op: 'setns', stage: 'join namespaces', at: PIDFD, x});
  const others = namespaces & ~CLONE_NEWPID;
  return {
    host: [
      ...bookkeeping.host,
      ...cgroup.host,
      {op: 'enter', stage: 'join the container', at: cgroup.cloneInto, s1: input.release ?? ''},
    ],
    parent: [],
    child: [
      ...cgroup.child,
      ...oomScore(config),
      {op: 'close', stage: 'close descriptors', at: SLOT_PROC},
      {op: 'prctl', stage: 'hide from tracing', x: PR_SET_DUMPABLE, y: 0},
      {op: 'keyring', stage: 'session keyring'},
      ...(others === 0 ? [] : [join(others)]),
      ...((namespaces & CLONE_NEWUSER) !== 0 && userNamespace?.by === 'root' ? rootInside() : []),
      {op: 'workdir', stage: 'working directory', s1: input.workdir},
      {op: 'umask', stage: 'umask', x: 0o022},
      ...limitSteps(input.ulimits, config.ulimits),
      ...(terminal === undefined ? [] : [terminalStep(terminal, input.user, far)]),
      ...((namespaces & CLONE_NEWPID) === 0 ? [] : [join(CLONE_NEWPID)]),
      {op: 'close', stage: 'close descriptors', at: PIDFD},
      ...privileges.slice(0, early),
      {op: 'fork', stage: 'fork inside'},
      ...[0, 1, 2].map(
        (fd): Step => ({
          op: 'stdio',
          stage: 'standard streams',
          at: terminal === undefined ? SLOT_PASSED + fd : far,
          x: fd,
        }),
      ),
      ...(terminal === undefined ? [] : [{op: 'ctty', stage: 'controlling terminal', x: 0} as const]),
      ...(input.detached ? [] : dieWithSupervisor()),
      {op: 'closeRange', stage: 'close descriptors', x: 3, y: CLOSE_RANGE_CLOEXEC},
      ...privileges.slice(early),
      execStep(input.argv, input.env),
    ],
    started: bookkeeping.started,
    exit: input.counters,
    teardown: bookkeeping.teardown,
  };
}

const PR_SET_DUMPABLE = 4;

function oomScore({oomScoreAdj}: ExecPlanInput['config']): Step[] {
  if (oomScoreAdj === 0) return [];
  const s2 = String(oomScoreAdj);
  return [{op: 'write', stage: 'oom_score_adj', at: SLOT_PROC, s1: 'self/oom_score_adj', s2}];
}

/** Its owner is who types in it, as runc has it. */
function terminalStep({rows, columns}: TerminalSize, {uid}: ResolvedUser, out: number): Step {
  return {op: 'terminal', stage: 'terminal', at: TERMINAL_SOCKET, out, x: rows, y: columns, z: uid};
}
