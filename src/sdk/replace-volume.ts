import {CoracleError} from '../errors.js';
import {isUp} from './container-state.js';
import {volumeEvent} from './record-events.js';
import type {Runtime} from './runtime.js';

export interface ReplaceVolumeOptions {
  /** Also when the volume has content, which is gone then. @default false */
  readonly force?: boolean;
  /** Of a volume that is made by this. @default {} */
  readonly labels?: Readonly<Record<string, string>>;
}

/**
 * Gives a volume its content, all at once: a new one, or one that is empty. What fails before leaves all as it was. What is
 * replaced goes once the new content is on disk; else that goes there when the kernel sees fit, as with any copy.
 * @param fill writes into an empty directory, at a path of the host's, and says how many bytes it has written by then
 * @throws `ERR_VOLUME_NOT_EMPTY`, `ERR_VOLUME_IN_USE` while a container runs that has it, `ERR_UNSUPPORTED_OPTION` for a
 * volume that is a file system
 */
export async function replaceVolume(
  runtime: Runtime,
  name: string,
  {force = false, labels = {}}: ReplaceVolumeOptions,
  fill: (path: string, reach: (bytes: number) => void) => Promise<void>,
): Promise<void> {
  const {volumes, containers} = runtime.store;
  if (volumes.find(name) === undefined) {
    await volumes.createFilled({name, labels, durable: false}, (_, path) => fill(path, () => {}));
    runtime.tell([volumeEvent(name, 'create')]);
    return;
  }
  if (volumes.fileSystem(name) !== undefined) {
    throw new CoracleError(
      'ERR_UNSUPPORTED_OPTION',
      `the volume ${name} is a file system of its own, whose content cannot be replaced at once`,
      {hint: 'Restore into a new volume, and copy from there.', details: {name}},
    );
  }
  const check = () => {
    const running = runtime.volumeUsers(name).filter(id => {
      const record = runtime.findContainer(id);
      return record !== undefined && isUp(runtime.stateOf(record));
    });
    if (running.length > 0) {
      throw new CoracleError(
        'ERR_VOLUME_IN_USE',
        `restore ${name}: volume is in use - [${running.join(', ')}]`,
        {
          hint: 'Stop the containers first.',
          details: {name, users: running},
        },
      );
    }
    if (force || volumes.isEmpty(name)) return;
    throw new CoracleError('ERR_VOLUME_NOT_EMPTY', `restore ${name}: the volume is not empty`, {
      hint: 'With force (--force) what it has is replaced.',
      details: {name},
    });
  };
  check();
  const locks: Disposable[] = [];
  try {
    await volumes.replaceContent(name, fill, () => {
      // Nobody starts one of them between the last look and the exchange.
      for (const id of runtime.volumeUsers(name)) {
        const lock = containers.tryLock(id);
        if (lock !== undefined) locks.push(lock);
      }
      check();
    });
  } finally {
    for (const lock of locks) lock[Symbol.dispose]();
  }
}
