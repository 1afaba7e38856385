import {type InRuntime, Runtime} from '../../sdk/index.js';
import type {Progress} from '../progress.js';
import type {QuietOptions} from '../quiesce/index.js';
import {backup} from './backup-set.js';
import {type InRepository, withRepository} from './open-repository.js';
import {type RestoredVolume, restore} from './restore-snapshot.js';

export interface CopyVolumeOptions extends Omit<InRepository, 'signal'>, QuietOptions {
  /** The root that the copy is made in. @default the same: then `to` is another name */
  readonly target?: Runtime | undefined;
  /** Takes the place of what the volume has there. @default false */
  readonly replace?: boolean | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/**
 * Copies a volume to another root, or under another name, through a repository: what that has of the volume already is not moved
 * again. The snapshot stays in it; on another host, `restore` with the same repository is the second half.
 * @throws as `backup` and `restore`
 */
export async function copyVolume(
  from: string,
  to: string,
  options: CopyVolumeOptions,
  in_: InRuntime = {},
): Promise<RestoredVolume> {
  const runtime = in_.runtime ?? (await Runtime.default());
  const {target = runtime, replace, onProgress, signal} = options;
  return await withRepository({create: true, ...options}, runtime, async repository => {
    const {snapshot} = await backup({volumes: [from]}, {...options, repository, tags: ['copy']}, {runtime});
    return await restore(
      to,
      {repository, snapshot: snapshot.id, part: from, replace, onProgress, signal},
      {runtime: target},
    );
  });
}
