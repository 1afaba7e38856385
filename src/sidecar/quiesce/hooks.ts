/** Commands in the containers that use a volume, before and after a backup. Pure. */
import {CoracleError} from '../../errors.js';
import type {ContainerHold} from '../../sdk/index.js';
import type {VolumeUser} from './users.js';

/** A string is for the container's shell, a list is executed as it is. */
export type HookCommand = string | readonly string[];

export interface HookOptions {
  /** What every user of the volumes runs before. @default its label `coracle.backup.pre` */
  readonly before?: HookCommand;
  /** And after, whatever happened. @default its label `coracle.backup.post` */
  readonly after?: HookCommand;
  /** Time for each. @default 60 000 */
  readonly hookTimeoutMs?: number;
}

/** Users without either command go on as they are. @throws `ERR_INVALID_OPTION` when none of them has any */
export function hookHolds(
  users: readonly VolumeUser[],
  {before, after, hookTimeoutMs: deadlineMs = 60_000}: HookOptions,
): ContainerHold[] {
  const holds = users.flatMap(({id, labels}): ContainerHold[] => {
    const commands = {
      before: argv(before ?? labels['coracle.backup.pre']),
      after: argv(after ?? labels['coracle.backup.post']),
    };
    if (commands.before === undefined && commands.after === undefined) return [];
    return [{id, hold: {kind: 'hook', ...commands, deadlineMs}}];
  });
  if (holds.length > 0 || users.length === 0) return holds;
  const names = users.map(({name}) => name).join(', ');
  throw new CoracleError(
    'ERR_INVALID_OPTION',
    `consistency hook: no command is given, and none is a label of ${names}`,
    {hint: 'Give before and after, or label the containers: coracle.backup.pre, coracle.backup.post.'},
  );
}

function argv(command: HookCommand | undefined): readonly string[] | undefined {
  if (command === undefined || command.length === 0) return undefined;
  return typeof command === 'string' ? ['sh', '-c', command] : command;
}
