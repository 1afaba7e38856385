import {errnoName, type FailedEvent, type Plan, type StartedEvent, stepAt} from '../binding/index.js';
import {CoracleError, NativeFailure} from '../errors.js';
import type {ContainerState} from './container-state.js';
import {execFailure, startDeadline} from './start-failure.js';

/**
 * What an exec that did not come to its command is called, in runc's words where scripts look for them.
 * @param gaveUp the time was over, or nobody was interested any more
 */
export function failedExec(
  event: FailedEvent | StartedEvent,
  {
    plan,
    argv,
    containerId,
    startDeadlineMs,
  }: {
    readonly plan: Plan;
    readonly argv: readonly [string, ...string[]];
    readonly containerId: string;
    readonly startDeadlineMs: number;
  },
  gaveUp: boolean,
): CoracleError {
  if (event.type === 'started') return startDeadline(startDeadlineMs, 'exec', '');
  const {step} = stepAt(plan, event.step) ?? {};
  const errno = errnoName(-event.errno);
  const stage = step?.stage ?? 'join the container';
  const subject = step?.op === 'workdir' || step?.op === 'write' ? String(step.s1 ?? '') : '';
  if (gaveUp) return startDeadline(startDeadlineMs, stage, subject);
  const cause = new NativeFailure(stage, errno, subject);
  if (step?.op === 'exec') return execFailure(argv[0], errno, cause);
  const failed = (message: string, hint?: string) =>
    new CoracleError('ERR_EXEC_FAILED', message, {cause, details: {stage, errno}, ...(hint && {hint})});
  if (step?.op === 'workdir') {
    const why = WORKDIR_WORDS[errno] ?? errno;
    return failed(`chdir to cwd (${JSON.stringify(subject)}) set in config.json failed: ${why}`);
  }
  // What it was to join went away meanwhile: its cgroup, its record, its namespaces.
  if (['ENOENT', 'ENODEV', 'ESRCH'].includes(errno) && stage !== 'terminal')
    return notRunning(containerId, cause);
  if (errno === 'EAGAIN') {
    return failed(
      `cannot run ${argv[0]}: the container may have no more processes`,
      'Its limit of processes is reached; `update` raises it.',
    );
  }
  if (errno === 'ECHILD') return failed(`cannot run ${argv[0]}: what joined the container was killed`);
  return failed(`cannot run ${argv[0]}: ${stage}${subject && ` (${subject})`}: ${errno}`);
}

const WORKDIR_WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  ENOTDIR: 'not a directory',
  EACCES: 'permission denied',
  ELOOP: 'too many levels of symbolic links',
  EXDEV:
    'current working directory is outside of container mount namespace root -- possible container breakout detected',
};

/** @param status when it may be one that its policy is about to start again */
export function notRunning(id: string, cause?: unknown, status?: ContainerState['status']): CoracleError {
  if (status === 'restarting') {
    return new CoracleError(
      'ERR_CONTAINER_NOT_RUNNING',
      `Container ${id} is restarting, wait until the container is running`,
      {cause},
    );
  }
  return new CoracleError('ERR_CONTAINER_NOT_RUNNING', `Container ${id} is not running`, {cause});
}
