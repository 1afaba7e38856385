/** Which containers run again that do not run any more, through no fault of theirs. */
import type {ContainerRecord} from './container-files.js';
import {type ContainerState, dockerExitCode} from './container-state.js';

/**
 * After the loss of its monitor: what its policy says of an end that nobody wanted.
 * @param run whether it ran, or was about to run again; whether somebody wanted its end
 */
export function restartsAfterLoss(
  {restart}: Pick<ContainerRecord, 'restart'>,
  {ran, stopped}: {readonly ran: boolean; readonly stopped: boolean},
): boolean {
  return restart !== undefined && restart.name !== 'no' && ran && !stopped;
}

/** After a boot, as dockerd at its start: `always` also when it was stopped, `on-failure` when it had failed. */
export function restartsAtBoot(
  {restart}: Pick<ContainerRecord, 'restart'>,
  state: ContainerState,
  stopped: boolean,
): boolean {
  if (state.status !== 'exited') return false;
  switch (restart?.name) {
    case 'always':
      return true;
    case 'unless-stopped':
      return !stopped;
    case 'on-failure':
      return !stopped && dockerExitCode(state.exit) !== 0;
    default:
      return false;
  }
}
