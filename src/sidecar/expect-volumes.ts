import {existsSync} from 'node:fs';
import {CoracleError} from '../errors.js';
import type {Runtime} from '../sdk/index.js';

/**
 * A volume that is read is in use, and is not removed by commands; nobody keeps the host's own `rm` from it, and what is left then
 * looks like a volume without files.
 * @throws `ERR_VOLUME_NOT_FOUND`
 */
export function expectVolumes(runtime: Runtime, names: readonly string[]): void {
  for (const name of names) {
    const record = runtime.store.volumes.find(name);
    if (record !== undefined && existsSync(record.Mountpoint)) continue;
    throw new CoracleError(
      'ERR_VOLUME_NOT_FOUND',
      `backup of ${name}: the volume was removed while it was read`,
      {
        hint: 'There is no new snapshot of it; coracle restore brings back an older one.',
        details: {name},
      },
    );
  }
}
