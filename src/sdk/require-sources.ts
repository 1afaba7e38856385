import {stat} from 'node:fs/promises';
import type {Mount} from './run-options.js';
import {mountSourceMissing} from './start-failure.js';

/** As dockerd, which looks for what is to be bound when a container is made, not only when it starts. @throws `ERR_MOUNT_SOURCE` */
export async function requireSources(mounts: readonly Mount[]): Promise<void> {
  for (const mount of mounts) {
    if (mount.type !== 'bind' || mount.createSource) continue;
    // What else is wrong with it the start tells.
    const isMissing = await stat(mount.source).then(
      () => false,
      ({code}) => code === 'ENOENT' || code === 'ENOTDIR',
    );
    if (isMissing) throw mountSourceMissing(mount.source);
  }
}
