/** What a start that did not come to exec is called, in Docker's words where scripts look for them. */
import {readlinkSync} from 'node:fs';
import {dirname} from 'node:path';
import {
  errnoName,
  type FailedEvent,
  isHostRoot,
  MOUNT_ATTR_IDMAP,
  type Plan,
  STEP_FLAGS,
  type StartedEvent,
  type Step,
  stepAt,
  TARGET_NOT_IN_PROC,
} from '../binding/index.js';
import {CoracleError, NativeFailure} from '../errors.js';
import {portRefused} from '../network/index.js';
import {rootNotWritable} from '../store/index.js';
import {namespacesForbidden} from './namespace-switches.js';
import {SUBPATH_STAGE} from './plan-mounts.js';
import {WRITABLE_STAGE} from './plan-rootfs.js';
import {volumeMountFailure} from './plan-volumes.js';

interface FailedStart {
  readonly plan: () => Plan;
  readonly argv: readonly [string, ...string[]];
  readonly startDeadlineMs: number;
}

/** The book-keeping step that reserves a name. */
export const NAME_STAGE = 'reserve the name';

const ECHILD = 10;

/** @param gaveUp the time was over, or nobody was interested any more */
export function startFailure(
  event: FailedEvent | StartedEvent,
  {plan, argv, startDeadlineMs}: FailedStart,
  gaveUp: boolean,
): CoracleError {
  const [program] = argv;
  if (event.type === 'started') return startDeadline(startDeadlineMs, 'exec', '');
  const {step, phase} = stepAt(plan(), event.step) ?? {step: undefined, phase: undefined};
  const errno = errnoName(-event.errno);
  const stage = step?.stage ?? 'start';
  const subject = subjectOf(step);
  if (gaveUp) return startDeadline(startDeadlineMs, stage, subject);
  const cause = new NativeFailure(stage, errno, subject);
  if (isNamespaceRefusal(step, errno)) return namespacesForbidden(isHostRoot(), cause);
  const killed = event.errno === ECHILD;
  if (step?.op === 'exec' && !killed) return execFailure(program, errno, cause);
  if (stage === NAME_STAGE && errno === 'EEXIST') return nameInUse(subject, cause);
  // The first files of a start: the store was writable when it was made.
  if ((stage === NAME_STAGE || stage === WRITABLE_STAGE) && (errno === 'EROFS' || errno === 'EACCES')) {
    return rootNotWritable(dirname(subject), cause);
  }
  if (step?.op === 'mountOnce') return volumeMountFailure(step, errno, cause);
  if (step?.op === 'open' && stage.startsWith(SUBPATH_STAGE)) return subpathMissing(subject, errno, cause);
  if (step?.op === 'openTree' && (errno === 'ENOENT' || errno === 'ENOTDIR')) {
    return mountSourceMissing(subject, cause);
  }
  if (step?.op === 'mountSetattr' && shiftsIds(step) && errno === 'EINVAL') return cannotShiftIds(cause);
  if (step?.op === 'workdir' && errno === 'ENOTDIR') {
    return new CoracleError('ERR_START_FAILED', `Cannot mkdir: ${subject} is not a directory`, {
      cause,
      details: {stage, phase, errno},
    });
  }
  if (isCallersMount(step) && errno === 'EXDEV') {
    return new CoracleError(
      'ERR_START_FAILED',
      `error mounting to rootfs at ${JSON.stringify(subject)}: ${JSON.stringify(subject)} cannot be mounted because it is inside /proc`,
      {
        cause,
        hint: 'A symlink of the image leads there.',
        details: {stage, phase, errno},
      },
    );
  }
  if (isCallersMount(step) && errno === 'ENOTDIR') {
    const source = sourceOf(plan(), stage);
    return new CoracleError(
      'ERR_START_FAILED',
      `error mounting ${JSON.stringify(source)} to rootfs at ${JSON.stringify(subject)}: not a directory: unknown: ` +
        'Are you trying to mount a directory onto a file (or vice-versa)? ' +
        'Check if the specified host path exists and is the expected type',
      {cause, details: {stage, phase, errno}},
    );
  }
  // Of the caller's mounts, only shared ones may not go through symlinks.
  if (isCallersMount(step) && ((step?.flags ?? 0) & STEP_FLAGS.noSymlinks) !== 0 && errno === 'ELOOP') {
    return new CoracleError(
      'ERR_START_FAILED',
      `cannot start ${program}: ${stage}: a symlink of the image is in the way`,
      {
        cause,
        hint: 'A shared mount needs the path that the symlink leads to.',
        details: {stage, phase, errno},
      },
    );
  }
  if (step?.op === 'bind') return portRefused(step, errno, cause);
  const why = killed ? 'the process was killed while it was being set up' : errno;
  return new CoracleError(
    'ERR_START_FAILED',
    `cannot start ${program}: ${stage}${subject && ` (${subject})`}: ${why}`,
    {cause, details: {stage, phase, errno}},
  );
}

function isCallersMount(step: Step | undefined): boolean {
  return step?.op === 'target' && ((step.z ?? 0) & TARGET_NOT_IN_PROC) !== 0;
}

/** What the mount of a stage is made of. */
function sourceOf(plan: Plan, stage: string): string {
  const steps = [...plan.host, ...plan.child];
  const opened = steps.find(step => step.stage === stage && (step.op === 'openTree' || step.op === 'open'));
  return text(opened?.s1) || 'tmpfs';
}

function shiftsIds({x}: Step): boolean {
  return (Number(x ?? 0) & MOUNT_ATTR_IDMAP) !== 0;
}

/** mount_setattr(2), ERRORS: the file system has no id-mapped mounts. */
function cannotShiftIds(cause: NativeFailure): CoracleError {
  return new CoracleError(
    'ERR_UNSUPPORTED_OPTION',
    'userNamespace needs a file system that can shift ids under images and volumes, and theirs cannot',
    {
      cause,
      hint: 'Keep them on ext4, XFS or Btrfs, or on tmpfs from Linux 6.3 on: CORACLE_ROOT=/some/where',
      details: {option: 'userNamespace'},
    },
  );
}

/**
 * EPERM: a switch, a security module or a seccomp profile says no; ENOSPC and EUSERS: a limit is reached (clone(2)).
 * Ubuntu's AppArmor lets the user namespace be made and then refuses its maps, or the next one in it.
 */
function isNamespaceRefusal(step: Step | undefined, errno: string): boolean {
  const makesOne = step?.op === 'clone' || step?.op === 'unshare' || step?.op === 'procWrite';
  return makesOne && ['EPERM', 'ENOSPC', 'EUSERS'].includes(errno);
}

export function startDeadline(milliseconds: number, stage: string, subject: string): CoracleError {
  return new CoracleError(
    'ERR_START_DEADLINE',
    `the start took longer than ${milliseconds} ms: it hung at "${stage}"${subject && ` (${subject})`}`,
    {
      hint: 'A source on a dead network file system hangs for ever; startDeadlineMs says how long to wait.',
      details: {stage},
    },
  );
}

/** @param path the symlink that reserves the name; its target is the id of the holder */
function nameInUse(path: string, cause: NativeFailure): CoracleError {
  const name = path.slice(path.lastIndexOf('/') + 1);
  let id = '';
  try {
    id = readlinkSync(path);
  } catch {
    // It was released a moment ago.
  }
  return new CoracleError(
    'ERR_NAME_IN_USE',
    `Conflict. The container name "/${name}" is already in use by container "${id}". ` +
      'You have to remove (or rename) that container to be able to reuse that name.',
    {cause, hint: `Remove it: coracle rm ${name}`, details: {name, id}},
  );
}

export function mountSourceMissing(source: string, cause?: NativeFailure): CoracleError {
  return new CoracleError(
    'ERR_MOUNT_SOURCE',
    `invalid mount config for type "bind": bind source path does not exist: ${source}`,
    {
      ...(cause && {cause}),
      hint: 'Create it first, or say createSource: true, as -v on the command line does.',
      details: {source},
    },
  );
}

function subpathMissing(subpath: string, errno: string, cause: NativeFailure): CoracleError {
  const why: Record<string, string> = {
    ENOENT: 'no such file or directory',
    EXDEV: 'a symlink leads out of the volume',
    ELOOP: 'too many levels of symbolic links',
  };
  return new CoracleError(
    'ERR_MOUNT_SOURCE',
    `cannot access path ${subpath} of the volume: ${why[errno] ?? errno}`,
    {
      cause,
      hint: 'A subpath has to be there before a container can have it.',
      details: {subpath, errno},
    },
  );
}

export function execFailure(program: string, errno: string, cause: NativeFailure): CoracleError {
  // "" names every directory of PATH, which the kernel then refuses to execute.
  if (errno === 'ENOENT' || errno === 'ENOTDIR' || program === '') {
    const why = program.includes('/')
      ? `stat ${program}: no such file or directory`
      : 'executable file not found in $PATH';
    return new CoracleError('ERR_COMMAND_NOT_FOUND', `exec: "${program}": ${why}`, {
      cause,
      hint: 'A script counts as missing when its #! interpreter is, a program when its dynamic linker is.',
    });
  }
  const why: Record<string, string> = {
    EACCES: 'permission denied',
    ENOEXEC: 'exec format error',
    EISDIR: 'is a directory',
  };
  return new CoracleError('ERR_COMMAND_NOT_EXECUTABLE', `exec: "${program}": ${why[errno] ?? errno}`, {
    cause,
  });
}

function subjectOf(step: Step | undefined): string {
  if (
    step === undefined ||
    step.op === 'exec' ||
    step.op === 'netlink' ||
    step.op === 'bind' ||
    step.op === 'forward' ||
    step.op === 'seccomp' ||
    step.op === 'groups'
  )
    return '';
  return text(step.op === 'fsconfigString' ? step.s2 : step.s1);
}

function text(value: string | Uint8Array | undefined): string {
  return typeof value === 'string' ? value : '';
}
