import type {RemovedImage} from '../store/index.js';
import {imageDeleted, imageEvent} from './record-events.js';
import type {Runtime} from './runtime.js';

export interface ImageRemoveOptions {
  /** Take all names away, and from under containers that do not run. @default false */
  readonly force?: boolean;
  /** Leave the untagged images that it was made from. @default false */
  readonly keepParents?: boolean;
}

/** As `docker rmi`, with what is told of it. @throws `ERR_IMAGE_IN_USE`, `ERR_IMAGE_NOT_FOUND` */
export async function removeImage(
  runtime: Runtime,
  nameOrId: string,
  options: ImageRemoveOptions = {},
): Promise<RemovedImage> {
  const image = runtime.store.getImage(nameOrId);
  const removed = await runtime.store.removeImage(nameOrId, {...options, use: id => runtime.imageUse(id)});
  runtime.tell([
    ...removed.untagged.map(() => imageEvent(image, 'untag')),
    ...removed.images.map(id => imageDeleted(id)),
  ]);
  return removed;
}
